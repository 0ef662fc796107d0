//! Transcripts of made-up sound: by a server on loopback, and by shell scripts.

mod commands;
mod lab;
mod servers;

use std::time::Duration;

use serde_json::{Value, json};

use super::{sound::tests::wav, sweep::sweep_once};
use crate::jobs::Setback;
use lab::{Lab, loud, quiet, script, wrote};

/// Where the script of a test notes each piece that it hears: how many bytes, and the language.
const NOTING: &str = "wc -c < \"$1\" >> \"$NOTES\"; ";

/// Two seconds of both sides, the left one loud.
fn left_alone() -> Vec<u8> {
    let samples: Vec<i16> = loud(32_000).into_iter().flat_map(|sample| [sample, 0]).collect();
    wav(2, &samples)
}

fn both() -> Vec<u8> {
    wav(2, &loud(64_000))
}

/// A script that hears other words each time it is run.
fn alternating(lab: &Lab) -> Vec<String> {
    let first = r#"{"b":0,"d":2,"t":"good morning","w":[{"b":0.1,"d":0.2,"t":"good"},{"b":0.3,"d":0.4,"t":"morning"}]}"#;
    let second = r#"{"b":0,"d":2,"t":"hello","w":[{"b":1.0,"d":0.5,"t":"hello"}]}"#;
    let notes = lab.path("notes").display().to_string();
    script(
        lab,
        &format!(
            "NOTES='{notes}'; {NOTING}\nif [ $(wc -l < \"$NOTES\") = 1 ]; then echo '{first}'; else echo '{second}'; fi"
        ),
    )
}

#[tokio::test]
async fn a_recording_of_two_sides_becomes_turns_with_speakers_and_times_and_its_sound_goes() {
    let mut lab = Lab::new().await;
    let command = alternating(&lab);
    lab.hears("org_1", &command).await;
    lab.recorded("c", &both()).await;
    assert_eq!(lab.run().await, Ok(()));
    let turns = lab.turns("c").await;
    assert_eq!(
        turns,
        [
            json!({ "role": "caller", "content": "good morning", "start_ms": 600, "end_ms": 1200, "inferred": true,
                "words": [{ "word": "good", "start_ms": 600, "end_ms": 800 }, { "word": "morning", "start_ms": 800, "end_ms": 1200 }] }),
            json!({ "role": "agent", "content": "hello", "start_ms": 1500, "end_ms": 2000, "inferred": true,
                "words": [{ "word": "hello", "start_ms": 1500, "end_ms": 2000 }] }),
        ]
    );
    assert!(!lab.sound("c").exists());
    // One that was killed before it could say so: nothing is heard again.
    std::fs::write(lab.sound("c"), both()).unwrap();
    lab.recorded_again("c").await;
    assert_eq!(lab.run().await, Ok(()));
    assert_eq!(lab.turns("c").await, turns);
    assert_eq!(wrote(&lab).lines().count(), 2);
    assert!(!lab.sound("c").exists());
}

#[tokio::test]
async fn where_the_agent_calls_the_left_side_is_the_agents() {
    let mut lab = Lab::new().await;
    let command = alternating(&lab);
    lab.hears("org_1", &command).await;
    lab.tell("c", "call_initiated", 0, json!({ "direction": "outbound", "calling_leg": "agent" })).await;
    lab.recorded("c", &both()).await;
    lab.run().await.unwrap();
    let roles: Vec<Value> = lab.turns("c").await.iter().map(|turn| turn["role"].clone()).collect();
    assert_eq!(roles, ["agent", "caller"]);
}

#[tokio::test]
async fn a_side_that_is_silent_is_not_heard_and_silence_leaves_nothing() {
    let mut lab = Lab::new().await;
    let command = alternating(&lab);
    lab.hears("org_1", &command).await;
    lab.recorded("c", &left_alone()).await;
    lab.run().await.unwrap();
    assert_eq!(wrote(&lab).trim(), (44 + 2 * 32_000).to_string());
    assert_eq!(lab.turns("c").await.len(), 1);
    for (call, sound) in [("d", wav(2, &quiet(64_000))), ("e", wav(2, &[])), ("f", wav(1, &[]))] {
        lab.recorded(call, &sound).await;
        assert_eq!(lab.run().await, Ok(()), "{call}");
        assert!(lab.told(call).await.is_empty() && !lab.sound(call).exists());
    }
    assert_eq!(wrote(&lab).lines().count(), 1);
}

#[tokio::test]
async fn one_channel_becomes_a_text_without_speakers_unless_somebody_told_one() {
    let mut lab = Lab::new().await;
    let command = script(&lab, "echo '{\"b\":0,\"d\":2,\"t\":\"good morning\"}'");
    lab.hears("default", &command).await;
    for call in ["c", "d"] {
        if call == "d" {
            lab.tell("d", "transcript_ready", 0, json!({ "text": "told" })).await;
        }
        lab.recorded(call, &wav(1, &loud(32_000))).await;
        lab.run().await.unwrap();
    }
    assert_eq!(lab.call("c").await.content.transcript_text.as_deref(), Some("good morning"));
    assert_eq!(lab.call("d").await.content.transcript_text.as_deref(), Some("told"));
}

#[tokio::test]
async fn turns_that_were_told_are_the_transcript_before_and_after() {
    let mut lab = Lab::new().await;
    let command = alternating(&lab);
    lab.hears("org_1", &command).await;
    let told = json!({ "role": "caller", "content": "told" });
    lab.tell("c", "transcript_turn", 700, told.clone()).await;
    lab.recorded("c", &both()).await;
    lab.run().await.unwrap();
    assert!(wrote(&lab).is_empty() && !lab.sound("c").exists());

    lab.recorded("d", &both()).await;
    lab.run().await.unwrap();
    assert_eq!(lab.call("d").await.content.turns.len(), 2);
    lab.tell("d", "transcript_turn", 700, told).await;
    let turns = lab.call("d").await.content.turns;
    assert_eq!((turns.len(), turns[0].said.content.as_str()), (1, "told"));
}

#[tokio::test]
async fn of_a_call_that_opted_out_or_was_erased_or_of_nobodys_nothing_is_heard() {
    let mut lab = Lab::new().await;
    let command = alternating(&lab);
    lab.hears("org_1", &command).await;
    lab.recorded("c", &both()).await;
    lab.tell("c", "call_initiated", 0, json!({ "opt_out_sensitive_data_storage": true })).await;
    assert!(!lab.sound("c").exists(), "opting out deletes it at once");
    // Written anew by a gateway that had not heard of it.
    std::fs::write(lab.sound("c"), both()).unwrap();
    lab.run().await.unwrap();
    assert!(!lab.sound("c").exists());

    lab.recorded("d", &both()).await;
    let job = lab.lease().await;
    lab.erase("d").await;
    std::fs::write(lab.sound("d"), both()).unwrap();
    lab.run_job(&job).await.unwrap();
    assert!(!lab.sound("d").exists());

    assert!(wrote(&lab).is_empty());
    let mut lab = Lab::wanted_by("org_2").await;
    let command = alternating(&lab);
    // Switching it on later makes no difference to what was told before.
    lab.hears("org_1", &command).await;
    lab.recorded("e", &both()).await;
    lab.run().await.unwrap();
    assert!(!lab.sound("e").exists() && lab.told("e").await.is_empty());
    assert!(wrote(&lab).is_empty());
}

#[tokio::test]
async fn sound_waits_while_transcription_is_off() {
    let mut lab = Lab::new().await;
    let command = alternating(&lab);
    lab.recorded("c", &both()).await;
    let job = lab.lease().await;
    let off = "transcription is off: switch it on, or forget the job";
    assert_eq!(lab.run_job(&job).await, Err(Setback::later(off)));
    assert!(lab.sound("c").exists());
    lab.hears("org_1", &command).await;
    assert_eq!(lab.run_job(&job).await, Ok(()));
    assert_eq!(lab.turns("c").await.len(), 2);
    assert!(!lab.sound("c").exists());

    lab.hears("org_2", &command).await;
    lab.recorded("d", &both()).await;
    let job = lab.lease().await;
    lab.erase("d").await;
    std::fs::write(lab.sound("d"), both()).unwrap();
    assert_eq!(lab.run_job(&job).await, Ok(()), "nobody is asked to switch it on for a call that is gone");
    assert!(!lab.sound("d").exists());
}

#[tokio::test]
async fn sound_that_is_none_or_is_gone_is_told_and_what_fails_keeps_it() {
    let mut lab = Lab::new().await;
    let command = script(&lab, "echo 'no model' >&2; exit 3");
    lab.hears("org_1", &command).await;
    lab.recorded("c", b"<html>no sound</html>").await;
    let done = lab.run().await;
    assert!(matches!(&done, Err(Setback::Never { reason }) if reason.contains("no sound")), "{done:?}");
    assert!(!lab.sound("c").exists());

    lab.recorded("d", &both()).await;
    let job = lab.lease().await;
    std::fs::remove_file(lab.sound("d")).unwrap();
    let done = lab.run_job(&job).await;
    assert!(matches!(&done, Err(Setback::Never { reason }) if reason.contains("not here")), "{done:?}");

    lab.recorded("e", &both()).await;
    let done = lab.run().await;
    assert!(
        matches!(&done, Err(Setback::Later { reason, .. }) if reason.contains("exit code 3: no model")),
        "{done:?}"
    );
    assert!(lab.sound("e").exists());
}

#[tokio::test]
async fn sound_is_kept_for_a_week_and_as_long_as_a_job_waits_for_it() {
    let mut lab = Lab::new().await;
    let command = alternating(&lab);
    lab.hears("org_1", &command).await;
    lab.recorded("c", &both()).await;
    for call in ["old", "new"] {
        std::fs::write(lab.sound(call), both()).unwrap();
    }
    let hour = Duration::from_secs(3600);
    let now = std::fs::metadata(lab.sound("new")).unwrap().modified().unwrap();
    for call in ["c", "old"] {
        std::fs::File::options()
            .write(true)
            .open(lab.sound(call))
            .unwrap()
            .set_modified(now - 2 * hour)
            .unwrap();
    }
    assert_eq!(sweep_once(&lab.desk, now - hour).await.unwrap(), 1);
    assert!(lab.sound("c").exists() && lab.sound("new").exists() && !lab.sound("old").exists());
}
