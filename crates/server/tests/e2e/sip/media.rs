//! What a recording sounds like: both sides speak with a tone of their own, and each is looked for.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    audio::Heard,
    lab::{Lab, Place, Scene, id},
};

/// The tone of each side, and one that nobody makes.
const CALLER: f64 = 440.0;
const AGENT: f64 = 1_000.0;
const NOBODY: f64 = 2_300.0;
/// How long they make them: packets of 20 ms.
const PACKETS: u16 = 125;
const SPOKEN: Duration = Duration::from_millis(20 * PACKETS as u64);

/// A call in which both sides made their tones; the event of its recording.
pub async fn call_of_tones(scene: Scene<'_>) -> (Lab<'_>, Value, Value) {
    let Scene { lab, carrier, agent } = scene;
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    let mut tones = (
        carrier.sing(caller.heard.expect("media"), CALLER, PACKETS),
        agent.sing(callee.heard.expect("media"), AGENT, PACKETS),
    );
    tokio::join!(tones.0.ends(), tones.1.ends());
    caller.hang_up().await;
    callee.hung_up().await;
    let call = lab.call("completed").await;
    let recording = lab.event(&call, "recording_ready").await;
    (lab, call, recording)
}

/// Whether it lasts as long as was spoken, and as long as the ledger says.
fn assert_lasts(heard: &Heard, recording: &Value) {
    let (seconds, told) = (heard.seconds(), recording["duration_seconds"].as_f64().expect("a number"));
    assert!((seconds - SPOKEN.as_secs_f64()).abs() < 0.5, "{seconds} s");
    // An encoder begins and ends with some silence of its own.
    assert!((seconds - told).abs() < 0.15, "{seconds} s, told were {told} s");
}

#[tokio::test]
async fn a_recording_holds_what_both_sides_said_in_one_channel() {
    let place = Place::usual();
    let (lab, call, recording) = call_of_tones(place.start().await).await;
    assert_eq!((&recording["channels"], &recording["sample_rate_hz"]), (&json!(1), &json!(48_000)));
    assert_eq!(recording.get("incomplete"), None, "{recording}");
    let (kind, audio) = lab.recording(&call).await;
    assert_eq!(kind, "audio/mpeg");
    let heard = Heard::of_mp3(audio);
    assert_eq!((heard.rate, heard.channels.len()), (48_000, 1));
    assert_lasts(&heard, &recording);
    for tone in [CALLER, AGENT] {
        let strength = heard.strength(0, tone);
        assert!((0.4..0.6).contains(&strength), "{tone} Hz is there with {strength}");
    }
    assert!(heard.strength(0, NOBODY) < 0.01, "{}", heard.strength(0, NOBODY));
    // Two sines of half of full scale, and nothing else.
    assert!((heard.loudness(0) - 0.5).abs() < 0.05, "{}", heard.loudness(0));
}

#[tokio::test]
async fn a_sealed_recording_sounds_as_any_other_and_nothing_in_the_folder_sounds_like_anything() {
    let key = pegcount_sealed::Keys::generate().expect("random bytes");
    let place = Place::with(&format!(
        "[encryption]\nkeys = \"{key}\"\n[transcription.default]\nprovider = \"command\"\ncommand = [\"sh\", \"-c\", \"sleep 60\", \"{{wav}}\"]\n\
         format = \"openai\"\n"
    ));
    let (lab, call, recording) = call_of_tones(place.start().await).await;
    let (kind, audio) = lab.recording(&call).await;
    assert_eq!((kind.as_str(), &recording["size_bytes"]), ("audio/mpeg", &json!(audio.len())));
    let heard = Heard::of_mp3(audio);
    assert!(heard.strength(0, CALLER) > 0.4 && heard.strength(0, AGENT) > 0.4);
    let folder = place.home.data().join("recordings");
    let object = recording["object"].as_str().expect("an object");
    for file in [folder.join(object), folder.join("speech").join(object).with_extension("wav")] {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(bytes.starts_with(b"PEGSEAL"), "{}", file.display());
    }
}

#[tokio::test]
async fn a_recording_in_stereo_has_the_caller_on_the_left_alone_and_the_agent_on_the_right_alone() {
    let place = Place::with("[sip.recording]\nlayout = \"stereo\"\n");
    let (lab, call, recording) = call_of_tones(place.start().await).await;
    assert_eq!(recording["channels"], 2);
    let heard = Heard::of_mp3(lab.recording(&call).await.1);
    assert_eq!((heard.rate, heard.channels.len()), (48_000, 2));
    assert_lasts(&heard, &recording);
    for (channel, own, other) in [(0, CALLER, AGENT), (1, AGENT, CALLER)] {
        let (own, other) = (heard.strength(channel, own), heard.strength(channel, other));
        assert!((0.4..0.6).contains(&own), "channel {channel}: {own}");
        assert!(other < 0.01, "channel {channel} has {other} of the other side");
        assert!((heard.loudness(channel) - 0.354).abs() < 0.04, "{}", heard.loudness(channel));
    }
}

#[tokio::test]
async fn what_was_recorded_of_a_call_that_opts_out_is_not_kept_whenever_it_says_so() {
    let opts_out = async |lab: &Lab<'_>, call: &Value| {
        let data = json!({ "opt_out_sensitive_data_storage": true });
        let event = json!([{ "call_id": id(call), "event_type": "call_initiated", "event_data": data }]);
        lab.server.tell(&event).await;
    };
    let files = |place: &Place| {
        let folder = place.home.data().join("recordings");
        let kept = |folder: &std::path::Path| {
            let entries = std::fs::read_dir(folder).expect("the folder");
            entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())).count()
        };
        (kept(&folder), kept(&folder.join("journals")))
    };
    // While it goes on: the recording is made, and deleted as soon as the ledger hears of it.
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    let mut tone = carrier.sing(caller.heard.expect("media"), CALLER, 25);
    tone.ends().await;
    opts_out(&lab, &lab.call("in_progress").await).await;
    caller.hang_up().await;
    callee.hung_up().await;
    let call = lab.call("completed").await;
    lab.event(&call, "recording_ready").await;
    assert_eq!(files(&place), (0, 0));
    drop(lab);

    // When it is over and recorded.
    let place = Place::usual();
    let (lab, call, _) = call_of_tones(place.start().await).await;
    assert_eq!(files(&place), (1, 0));
    opts_out(&lab, &call).await;
    assert_eq!(files(&place), (0, 0));
    let answer = lab.server.get(&format!("/v1/calls/{}/recording", id(&call))).await;
    assert_eq!(answer.status.as_u16(), 404);
}

/// A folder in which the system finds a LAME that cannot be loaded, before the one that it has.
fn without_lame(place: &Place) -> std::path::PathBuf {
    let folder = place.home.path("libraries");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("libmp3lame.so.0"), "no library").expect("it is written");
    folder
}

#[tokio::test]
async fn without_lame_a_recording_is_a_wav_file_and_readiness_says_so() {
    let mut place = Place::usual();
    place.home.environment = vec![("LD_LIBRARY_PATH", without_lame(&place))];
    let (lab, call, recording) = call_of_tones(place.start().await).await;
    assert_eq!((&recording["format"], &recording["sample_rate_hz"]), (&json!("wav"), &json!(48_000)));
    let object = recording["object"].as_str().expect("an object");
    assert!(object.ends_with(".wav"), "{object}");
    let (kind, audio) = lab.recording(&call).await;
    assert_eq!(kind, "audio/wav");
    assert_eq!(recording["size_bytes"], audio.len());
    let heard = Heard::of_wav(&audio);
    assert_eq!((heard.rate, heard.channels.len()), (48_000, 1));
    assert_lasts(&heard, &recording);
    assert!(heard.strength(0, CALLER) > 0.4 && heard.strength(0, AGENT) > 0.4);

    // It is ready all the same: calls lose nothing.
    let readiness = lab.server.get("/readyz").await.expect(200);
    assert_eq!(readiness["sip"]["ok"], true);
    let message = readiness["sip"]["message"].as_str().expect("a sentence");
    assert!(message.contains("LAME is missing") && message.contains("libmp3lame0"), "{message}");
    assert!(lab.server.log().contains("LAME is missing"), "{}", lab.server.log());
}

#[tokio::test]
async fn media_from_elsewhere_is_refused_and_said_once() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    let elsewhere = lab.peer(&place.network.ip(9)).await;
    let _speech = elsewhere.speak(callee.heard.expect("media"));
    let call = lab.call("in_progress").await;
    let refused = lab.event(&call, "x_media_refused").await;
    assert_eq!(refused["leg"], "agent");
    let names = |field: &str, host: u8| {
        let address = refused[field].as_str().expect("an address");
        address.starts_with(&format!("{}:", place.network.ip(host)))
    };
    assert!(names("from", 9) && names("expected", 3), "{refused}");
    lab.wait("the counter", async || (lab.figure("pegcount_rtp_refused_total").await > 50.0).then_some(()))
        .await;
    let log = lab.server.log();
    assert_eq!(log.matches("`nat = true`").count(), 1, "{log}");
    caller.hang_up().await;
    callee.hung_up().await;
    lab.call("completed").await;
}
