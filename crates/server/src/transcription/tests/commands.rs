//! Commands: what they are given, and what becomes of those that fail.

use std::{path::Path, time::Duration};

use super::{lab::loud, wav};
use crate::{
    jobs::Setback,
    transcription::{
        provider::{Command, Piece, Provider, Scratch},
        wire::{Form, Heard},
    },
};

async fn heard(folder: &Path, words: &[&str], form: Form, timeout: Duration) -> Result<Heard, Setback> {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    let provider = Provider::Command(Command { words, form, timeout });
    let piece = Piece { wav: wav(1, &loud(16_000)), length: 1_000 };
    let scratch = Scratch { folder: folder.join("scratch"), is_in_memory: false };
    provider.hear(piece, Some("en"), &scratch).await
}

async fn ran(script: &str) -> Result<Heard, Setback> {
    let folder = tempfile::tempdir().unwrap();
    let words = ["sh", "-c", script, "hear", "{wav}", "{language}"];
    let heard = heard(folder.path(), &words, Form::OpenAi, Duration::from_secs(60)).await;
    assert_eq!(std::fs::read_dir(folder.path().join("scratch")).unwrap().count(), 0, "files are left");
    heard
}

fn later(done: Result<Heard, Setback>) -> String {
    match done {
        Err(Setback::Later { reason, after: None }) => reason,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn sound_that_is_sealed_is_given_to_a_command_without_a_file_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let script = "[ -L \"$1\" ] && [ $(wc -c < \"$1\") = 32044 ] && cp \"$1\" copy && echo '{\"text\":\"en\"}'; rm -f copy";
    let words = ["sh", "-c", script, "hear", "{wav}"].map(str::to_owned).to_vec();
    let timeout = Duration::from_secs(60);
    let provider = Provider::Command(Command { words, form: Form::OpenAi, timeout });
    let piece = Piece { wav: wav(1, &loud(16_000)), length: 1_000 };
    let scratch = Scratch { folder: folder.path().to_owned(), is_in_memory: true };
    assert_eq!(provider.hear(piece, None, &scratch).await.unwrap().said[0].text, "en");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
}

#[tokio::test]
async fn a_command_is_given_the_sound_and_the_language_and_writes_json() {
    let script = "[ $(wc -c < \"$1\") = 32044 ] && echo \"{\\\"text\\\":\\\"$2\\\"}\"";
    assert_eq!(ran(script).await.unwrap().said[0].text, "en");
}

#[tokio::test]
async fn a_command_may_write_a_file_under_a_name_or_under_the_stem_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let entry = r#"{"transcription":[{"offsets":{"from":0,"to":900},"text":" Hi."}]}"#;
    for (place, file) in [("{json}", "$2"), ("{stem}", "$2.json")] {
        let script = format!("echo noise; echo '{entry}' > \"{file}\"");
        let words = ["sh", "-c", &script, "hear", "{wav}", place];
        let heard = heard(folder.path(), &words, Form::WhisperCpp, Duration::from_secs(60)).await.unwrap();
        assert_eq!(heard.said[0].text, "Hi.");
    }
    let words = ["sh", "-c", "exit 0", "hear", "{wav}", "{json}"];
    let none = heard(folder.path(), &words, Form::WhisperCpp, Duration::from_secs(60)).await;
    assert!(later(none).contains("without writing its JSON file"));
}

#[tokio::test]
async fn a_command_that_fails_is_told_by_its_code_and_its_last_line_in_short() {
    let reason = later(ran("echo first >&2; echo 'no  model' >&2; echo >&2; exit 7").await);
    assert_eq!(reason, "sh ended with exit code 7: no model");
    let reason =
        later(ran("i=0; while [ $i -lt 99 ]; do printf 'word %s ' $i >&2; i=$((i+1)); done; exit 1").await);
    assert!(reason.ends_with('…') && reason.len() < 300, "{reason}");
    assert_eq!(later(ran("kill -9 $$").await), "sh was ended by signal 9");
    assert!(later(ran("echo 'what was said'").await).contains("is no JSON"));
    assert!(later(ran("exit 0").await).contains("ends too early"));
    let reason = later(ran("head -c 60000000 /dev/zero").await);
    assert!(reason.contains("more than 50000000 bytes"), "{reason}");
}

#[tokio::test]
async fn a_command_that_is_not_there_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["/nowhere/whisper-cli", "{wav}"];
    let done = heard(folder.path(), &words, Form::WhisperCpp, Duration::from_secs(60)).await;
    assert!(
        matches!(&done, Err(Setback::Never { reason }) if reason.contains("/nowhere/whisper-cli cannot be run")),
        "{done:?}"
    );
}

/// Whether a process is there and is no corpse.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_command_that_takes_too_long_ends_with_its_children_and_so_does_one_that_nobody_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = "sleep 1000 & echo $! $$ > \"$2\"; wait";
    let words = ["sh", "-c", script, "hear", "{wav}", pids.to_str().unwrap()];
    let wait_for_end = async || {
        let pids = loop {
            let text = std::fs::read_to_string(&pids).unwrap_or_default();
            if text.ends_with('\n') {
                break text;
            }
            tokio::task::yield_now().await;
        };
        while pids.split_whitespace().any(lives) {
            tokio::task::yield_now().await;
        }
    };
    let slow = heard(folder.path(), &words, Form::OpenAi, Duration::from_secs(1)).await;
    assert!(later(slow).contains("took longer than 1 s"));
    wait_for_end().await;

    std::fs::remove_file(&pids).unwrap();
    let hearing = heard(folder.path(), &words, Form::OpenAi, Duration::from_secs(1000));
    let begun = async {
        while !std::fs::read_to_string(&pids).unwrap_or_default().ends_with('\n') {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = hearing => unreachable!("{done:?}"),
        () = begun => {}
    }
    wait_for_end().await;
}
