//! Calls that are transcribed: what the ledger says of what was said.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{
    lab::{Lab, Place, id},
    media::call_of_tones,
    programs::{baresip, user},
};
use crate::server::Home;

/// A section that has every recording heard by a script, which finds the sound under `$1`.
fn heard_by(script: &Path) -> String {
    format!(
        "[transcription.default]\nprovider = \"command\"\nformat = \"pocketsphinx\"\ncommand = [\"sh\", \"{}\", \"{{wav}}\"]\n",
        script.display()
    )
}

async fn turns(lab: &Lab<'_>, call: &Value) -> Vec<Value> {
    let events = lab.events(call).await;
    events.into_iter().filter(|event| event["event_type"] == "transcript_turn").collect()
}

/// How often the script was begun.
fn begun(notes: &Path) -> usize {
    std::fs::read_to_string(notes).unwrap_or_default().lines().count()
}

fn sound(place: &Place) -> usize {
    let folder = place.home.data().join("recordings/speech");
    let files = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    files.filter(|file| file.path().extension().is_some_and(|kind| kind == "wav")).count()
}

/// A recogniser that shares its machine with all other tests takes minutes.
const RECOGNISED_WITHIN: std::time::Duration = std::time::Duration::from_secs(400);

#[tokio::test]
async fn a_transcript_that_a_kill_cut_off_is_there_once_after_the_next_start() {
    let mut place = Place::usual();
    let (script, notes, go) = (place.home.path("hear.sh"), place.home.path("notes"), place.home.path("go"));
    // It hears the same on both sides, and waits for the test.
    let line = r#"{"b":0.5,"d":1.0,"t":"hello there","w":[{"b":0.5,"d":0.4,"t":"hello"},{"b":1.0,"d":0.5,"t":"there"}]}"#;
    let text = format!(
        "head -c 4 $1 | grep -q RIFF || exit 1\necho $1 >> '{}'\nwhile [ ! -e '{}' ]; do sleep 0.1; done\necho '{line}'\n",
        notes.display(),
        go.display()
    );
    std::fs::write(&script, text).expect("it is written");
    // Sealed, so that it is seen that what a recogniser gets is not.
    let key = pegcount_sealed::Keys::generate().expect("random bytes");
    let sealed = format!("[encryption]\nkeys = \"{key}\"\n");
    let config = format!("{}{}{sealed}", place.home.config, heard_by(&script));
    place.configure(&config);

    let (lab, call, recording) = call_of_tones(place.start().await).await;
    assert!(recording["begins_at"].is_i64(), "{recording}");
    assert_eq!(sound(&place), 1);
    lab.wait_for(RECOGNISED_WITHIN, "the recogniser", async || (begun(&notes) == 1).then_some(())).await;
    assert!(turns(&lab, &call).await.is_empty());
    lab.server.kill();

    std::fs::write(&go, "").expect("it is written");
    let lab = place.start_alone();
    let told = lab
        .wait("the transcript", async || {
            let told = turns(&lab, &call).await;
            (!told.is_empty()).then_some(told)
        })
        .await;
    let data: Vec<&Value> = told.iter().map(|event| &event["event_data"]).collect();
    let mut roles: Vec<&str> = data.iter().filter_map(|turn| turn["role"].as_str()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["agent", "caller"]);
    for turn in data {
        assert_eq!((&turn["content"], &turn["inferred"]), (&json!("hello there"), &json!(true)));
        let start = turn["start_ms"].as_i64().expect("a time");
        assert!((400..2_500).contains(&start), "{turn}");
        assert_eq!(turn["words"][1]["start_ms"], start + 500);
    }
    lab.wait("the end of the job", async || {
        let jobs = lab.server.get("/v1/jobs").await.expect(200);
        jobs["jobs"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    assert_eq!((begun(&notes), sound(&place)), (3, 0));
    let transcript = lab.details(&call).await;
    assert_eq!(
        transcript["transcript"].as_str().map(|text| text.matches("hello there").count()),
        Some(2),
        "{transcript}"
    );
    let found = lab.server.get("/v1/calls?q=there").await.expect(200);
    assert_eq!(found["total"], 1);
    assert!(lab.server.terminate().success());
    let lab = place.start_alone();
    assert_eq!(turns(&lab, &call).await, told, "{}", id(&call));
}

#[tokio::test]
async fn the_doctor_says_who_is_heard_by_whom_and_what_makes_no_sense_is_refused_without_secrets() {
    let config = "[transcription.default]\nprovider = \"http\"\nurl = \"http://127.0.0.1:1/v1/audio/transcriptions\"\n\
                  api_key = \"hush-hush\"\n[transcription.org-2]\nprovider = \"off\"\n";
    let home = Home::new(config);
    let _server = home.start();
    let findings = home.run_json(&["doctor"]).to_string();
    assert!(
        findings.contains("every other organization are transcribed by http://127.0.0.1:1\""),
        "{findings}"
    );
    assert!(
        findings.contains("recordings of org-2 are not transcribed") && !findings.contains("hush"),
        "{findings}"
    );
    let file = home.path("wrong.toml");
    std::fs::write(&file, config.replace("http://127.0.0.1:1", "ftp://127.0.0.1:1")).expect("it is written");
    let refused = home.run(&["check-config", file.to_str().expect("a path")]);
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && sentence.contains("transcription.default.url"), "{sentence}");
    assert!(!sentence.contains("hush"), "{sentence}");
}

/// What is said, and the words by which it is known again.
const CALLER_SAYS: &str = "Good morning. I have a question about the money that I paid for the new house.";
const CALLER_WORDS: [&str; 6] = ["good", "morning", "question", "money", "new", "house"];
const AGENT_SAYS: &str = "Thank you for calling. The water in the river is cold this winter.";
const AGENT_WORDS: [&str; 6] = ["thank", "calling", "water", "river", "cold", "winter"];

/// The folder of a recogniser, unless none can be had here.
fn recogniser() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/recogniser");
    let made = Command::new(script).output().expect("the script runs");
    if made.status.success() {
        return Some(PathBuf::from(String::from_utf8_lossy(&made.stdout).trim()));
    }
    let why = String::from_utf8_lossy(&made.stderr).into_owned();
    // Not the macro, whose words are kept back when a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED, no speech was recognised: {why}");
    None
}

/// The voice that the recogniser makes out best, even where a busy machine drops packets: another one left a third of
/// the caller's words. Both speak with it, for who said what is told by the leg and not by the voice.
const VOICE: &str = "rms";

/// A WAV file as a phone takes it: somebody speaks after so many seconds, and is silent for others.
fn spoken(file: &Path, text: &str, silent: [u32; 2]) -> Vec<u8> {
    let raw = file.with_extension("raw.wav");
    let said = Command::new("flite").args(["-voice", VOICE, "-t", text, "-o"]).arg(&raw).status();
    assert!(said.expect("flite is installed: scripts/recogniser").success());
    let mut sox = Command::new("sox");
    sox.arg(&raw).args(["-r", "8000", "-c", "1", "-b", "16"]).arg(file);
    sox.arg("pad").args(silent.map(|seconds| seconds.to_string()));
    assert!(sox.status().expect("sox is installed: scripts/recogniser").success());
    std::fs::read(file).expect("a file")
}

/// How many of some words a role said.
fn recalled(turns: &[Value], role: &str, words: &[&str]) -> usize {
    let own = turns.iter().map(|event| &event["event_data"]).filter(|turn| turn["role"] == role);
    let said: Vec<String> = own
        .flat_map(|turn| turn["words"].as_array().cloned().unwrap_or_default())
        .map(|word| {
            assert!(word["start_ms"].as_i64() < word["end_ms"].as_i64(), "{word}");
            word["word"].as_str().expect("a text").to_owned()
        })
        .collect();
    words.iter().filter(|word| said.iter().any(|said| said == *word)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_phones_say_is_recognised_with_speakers_and_times_and_found_by_its_words() {
    let Some(recogniser) = recogniser() else { return };
    let mut place = Place::configured(|network| {
        let users = format!("{}{}", user("alice"), user("bob"));
        network.config(None, &users).replace("\"sha-256\"", "\"md5\"")
    });
    let (script, notes) = (place.home.path("hear.sh"), place.home.path("notes"));
    let (root, notes_name) = (recogniser.display(), notes.display());
    let text = format!(
        "set -e\nf=$(mktemp -u /tmp/speech.XXXXXXXX.wav)\ncp \"$1\" '{root}'\"$f\"\n\
         trap 'rm -f \"{root}$f\"' EXIT\n/usr/sbin/chroot '{root}' pocketsphinx single \"$f\"\necho $f >> '{notes_name}'\n"
    );
    std::fs::write(&script, text).expect("it is written");
    let config = format!("{}{}", place.home.config, heard_by(&script));
    place.configure(&config);
    let Place { network, home } = &place;
    let lab = place.start_alone();
    let (asks, answers) = (
        spoken(&home.path("alice.wav"), CALLER_SAYS, [1, 8]),
        spoken(&home.path("bob.wav"), AGENT_SAYS, [7, 4]),
    );
    let _bob = baresip(home, "bob", &network.ip(12), lab.gateway(), &answers, &["-t", "60"]);
    let registered = async |count: u32| {
        lab.wait("the registrations", async || {
            let metrics = lab.server.get("/metrics").await.text;
            metrics.contains(&format!("pegcount_sip_registered {count}\n")).then_some(())
        })
        .await;
    };
    registered(1).await;
    let dial = format!("/dial sip:bob@{}", lab.gateway());
    let alice = baresip(home, "alice", &network.ip(11), lab.gateway(), &asks, &["-e", &dial, "-t", "60"]);
    registered(2).await;
    let call = lab.call("in_progress").await;
    lab.event(&call, "sip_media_established").await;
    // A phone hangs up when it has nothing more to say.
    let call = lab.call("completed").await;
    lab.event(&call, "recording_ready").await;
    drop(alice);
    for count in 1..=2 {
        lab.wait_for(RECOGNISED_WITHIN, "the recogniser", async || (begun(&notes) >= count).then_some(()))
            .await;
    }
    let told = lab
        .wait("the transcript", async || {
            let told = turns(&lab, &call).await;
            (!told.is_empty()).then_some(told)
        })
        .await;
    let (caller, agent) = (recalled(&told, "caller", &CALLER_WORDS), recalled(&told, "agent", &AGENT_WORDS));
    assert!(caller >= 3 && agent >= 3, "{caller} and {agent} of 6 words: {told:#?}");
    // Each side's words are its own.
    let (crossed, over) = (
        recalled(&told, "agent", &["question", "money", "house"]),
        recalled(&told, "caller", &["river", "winter"]),
    );
    assert_eq!((crossed, over), (0, 0), "{told:#?}");
    let word = CALLER_WORDS.iter().find(|word| recalled(&told, "caller", &[word]) > 0).expect("a word");
    let found = lab.server.get(&format!("/v1/calls?q={word}")).await.expect(200);
    assert_eq!(found["total"], 1);
    assert_eq!(sound(&place), 0);
}
