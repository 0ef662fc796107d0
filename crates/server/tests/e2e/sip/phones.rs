//! Soft phones as they come: baresip with the configuration that it writes for itself, and a file for a sound card.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::json;

use super::{
    audio::Heard,
    lab::{Lab, Network, Place},
    program::Program,
    programs::wav_of,
};
use crate::server::Home;

/// The voices of the two phones.
const ALICE: f64 = 440.0;
const BOB: f64 = 1_000.0;

/// The configuration that the first page of the documentation shows, on a network of its own.
fn first_page(network: &Network) -> String {
    let user = |name: &str| {
        format!(
            "[[sip.users]]\nname = \"{name}\"\norganization = \"org_default\"\npassword = \"secret-{name}\"\n"
        )
    };
    format!("[sip]\nlisten = \"{}\"\n{}{}", network.at(1), user("alice"), user("bob"))
}

/// A phone of a user.
struct StockPhone {
    folder: PathBuf,
}

impl StockPhone {
    /// Has baresip write its configuration, and puts files in the place of the sound card.
    fn new(home: &Home, lab: &Lab<'_>, name: &str, voice: f64) -> Self {
        let folder = home.path(name);
        let mut first = Command::new("baresip");
        first.arg("-f").arg(&folder).args(["-t", "1"]).stdin(Stdio::null()).output().expect("baresip runs");
        let file = folder.join("voice.wav");
        std::fs::write(&file, wav_of(voice)).expect("it is written");
        let text = std::fs::read_to_string(folder.join("config")).expect("a configuration");
        let lines = text.lines().map(|line| match line.split_whitespace().next() {
            Some("audio_source") => format!("audio_source aufile,{}", file.display()),
            Some("audio_player") => format!("audio_player aubridge,{name}"),
            Some("audio_alert") => "audio_alert aufile,/dev/null".to_owned(),
            _ if line.contains("g711.so") => {
                format!("{line}\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so")
            }
            _ => line.to_owned(),
        });
        let mut config: Vec<String> = lines.collect();
        config.push(format!("snd_path {}\n", folder.display()));
        std::fs::write(folder.join("config"), config.join("\n")).expect("it is written");
        let gateway = lab.gateway();
        let account = format!("<sip:{name}@{gateway}>;auth_pass=secret-{name};answermode=auto\n");
        std::fs::write(folder.join("accounts"), account).expect("it is written");
        Self { folder }
    }

    /// Runs it for so many seconds, with what is typed into it.
    fn runs(&self, seconds: u32, typed: Option<&str>) -> Program {
        let mut command = Command::new("baresip");
        command.arg("-f").arg(&self.folder).current_dir(&self.folder).args(["-t", &seconds.to_string()]);
        command.args(typed.map(|typed| ["-e", typed]).into_iter().flatten());
        Program::start(&mut command, &self.folder.join("log"))
    }

    /// What it has heard, once that is all on the disk.
    fn heard(&self) -> Option<Heard> {
        let files = std::fs::read_dir(&self.folder).ok()?.flatten().map(|file| file.path());
        let file = files.into_iter().find(|file| file.to_string_lossy().ends_with("-dec.wav"))?;
        let bytes = std::fs::read(file).ok()?;
        let length = u32::from_le_bytes(bytes.get(40..44)?.try_into().ok()?);
        (length > 0 && length as usize == bytes.len() - 44).then(|| Heard::of_wav(&bytes))
    }
}

async fn registered(lab: &Lab<'_>, count: u32) {
    lab.wait("the registrations", async || {
        (lab.figure("pegcount_sip_registered").await >= f64::from(count)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_phones_as_they_come_hear_each_other() {
    let place = Place::configured(first_page);
    let lab = place.start_alone();
    let alice = StockPhone::new(&place.home, &lab, "alice", ALICE);
    let bob = StockPhone::new(&place.home, &lab, "bob", BOB);
    let _bob_runs = bob.runs(40, None);
    registered(&lab, 1).await;
    let mut alice_runs = alice.runs(7, Some("/dial bob"));
    let call = lab.call("in_progress").await;
    let established = lab.event(&call, "sip_media_established").await;
    assert_eq!(established["codec"], "PCMU");
    // While it goes on.
    lab.wait("the counted packets", async || {
        (lab.figure("pegcount_rtp_relayed_total").await > 100.0).then_some(())
    })
    .await;
    assert!(alice_runs.ends().await);
    let call = lab.call("completed").await;
    assert_eq!((&call["from_number"], &call["to_number"]), (&json!("alice"), &json!("bob")));
    for (phone, other, own) in [(&alice, BOB, ALICE), (&bob, ALICE, BOB)] {
        let heard = lab.wait("what was heard", async || phone.heard()).await;
        assert!(heard.strength(0, other) > 0.1, "{} of {other} Hz", heard.strength(0, other));
        assert!(heard.strength(0, own) < 0.01, "an echo of {own} Hz");
    }
    assert!(!lab.timeline(&call).await.contains(&"x_media_refused".to_owned()));
}
