//! A disk that is really full: a small file system of its own under the data folder.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::server::{Answer, Home, PATIENCE, Server, send};

/// A file system in memory, there as long as this is.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Under this folder, which is made, with so many MiB; none where the test may not do that.
    pub fn at(folder: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let options = format!("size={mebibytes}m,mode=700");
        Self::by(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder), folder)
    }

    /// On this file, so that its name can be made read-only.
    pub fn over(file: &Path) -> Option<Self> {
        Self::by(Command::new("mount").arg("--bind").args([file, file]), file)
    }

    fn by(mount: &mut Command, place: &Path) -> Option<Self> {
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(place.to_owned())),
            why => {
                // Past what the test harness captures: nobody shall believe that this was tested.
                let _ = writeln!(
                    std::io::stderr(),
                    "NOT TESTED: no file system can be mounted here (root may do that): {why:?}"
                );
                None
            }
        }
    }
}

impl Mounted {
    /// Makes it read-only (`ro`, a file `ro,bind`), or writable again (`rw`).
    pub fn remount(&self, how: &str) {
        let output = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).output();
        let output = output.expect("mount runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a test that fails may leave something open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What was acknowledged: how many events of which call.
#[derive(Default)]
pub struct Told {
    events: BTreeMap<String, usize>,
    calls: usize,
}

impl Told {
    /// Sends the events of a new call; an answer that is no acknowledgement comes back.
    async fn tell(&mut self, server: &Server<'_>, turns: usize, letters: usize) -> Option<Answer> {
        self.calls += 1;
        let call = format!("call_{}", self.calls);
        let events: Vec<Value> = (0..turns)
            .map(|turn| {
                // No two are alike, so that nothing becomes small by packing.
                let words: String = (0..letters / 20)
                    .map(|word| {
                        let mixed = (self.calls as u64 * 1_000_003 + (turn * 1_009 + word) as u64)
                            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
                        format!("{mixed:019} ")
                    })
                    .collect();
                json!({ "call_id": call, "id": format!("e{turn}"), "event_type": "transcript_turn",
                    "created_at": 1_767_261_600_000_i64 + turn as i64,
                    "event_data": { "role": "caller", "content": words } })
            })
            .collect();
        let answer = server.post("/v1/events", &json!(events)).await;
        if answer.status.as_u16() == 200 {
            assert_eq!(answer.json()["accepted"], json!(turns));
            self.events.insert(call, turns);
            return None;
        }
        Some(answer)
    }

    /// Everything acknowledged is there, and nothing else.
    async fn check(&self, server: &Server<'_>) {
        let client = server.client();
        let get = async |path: &str| {
            send(client.to("GET", path).header("x-api-key", &server.key)).await.expect(200)
        };
        let list = get("/v1/calls?limit=1").await;
        assert_eq!(list["total"], json!(self.events.len()));
        for (call, turns) in &self.events {
            let events = get(&format!("/v1/calls/{call}/events")).await;
            assert_eq!(events["events"].as_array().map(Vec::len), Some(*turns), "{call}");
            let read = get(&format!("/v1/calls/{call}")).await;
            let lines = read["transcript"].as_str().map_or(0, |text| text.lines().count());
            assert_eq!(lines, *turns, "{call}");
        }
    }

    /// Tells until nothing goes in any more, not even one small event.
    pub async fn fill(&mut self, server: &Server<'_>) {
        for (turns, letters) in [(50, 2_000), (1, 40)] {
            let refused = loop {
                if let Some(refused) = self.tell(server, turns, letters).await {
                    break refused;
                }
                assert!(self.calls < 5_000, "the disk is never full");
            };
            let told = refused.expect(503);
            assert_eq!(told["code"], "UNAVAILABLE", "{told}");
            assert!(told["error"].as_str().is_some_and(|error| error.contains("the disk is full")), "{told}");
            assert_eq!(refused.headers["retry-after"], "1");
        }
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_disk_is_told_loses_nothing_and_is_over_as_soon_as_there_is_room() {
    let home = Home::new("[readiness]\nmin_free_disk_bytes = 0\n");
    let Some(_disk) = Mounted::at(&home.data(), 28) else { return };
    let filler = home.data().join("filler");
    std::fs::write(&filler, vec![1; 10 << 20]).expect("the filler is written");
    let mut told = Told::default();
    let server = home.start();
    told.fill(&server).await;
    assert!(told.events.len() > 10, "the test has tested nothing");

    // Reads go on, and whoever asks is told.
    told.check(&server).await;
    for _ in 0..3 {
        let readiness = server.get("/readyz").await.expect(503);
        assert_eq!((&readiness["ready"], &readiness["store"]["ok"]), (&json!(false), &json!(false)));
        let message = readiness["store"]["message"].as_str().expect("a sentence");
        assert!(message.contains("the disk is full"), "{message}");
    }
    let doctor = home.run(&["doctor", "--json"]);
    let findings = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        doctor.status.code() == Some(1) && findings.contains("takes no writes: the disk is full"),
        "{findings}"
    );

    // With room it goes on by itself.
    std::fs::remove_file(&filler).expect("there is room");
    until("writes", async || told.tell(&server, 1, 40).await.is_none()).await;
    until("readiness", async || server.get("/readyz").await.status.as_u16() == 200).await;
    told.check(&server).await;
    assert!(server.terminate().success());
    let server = home.start();
    told.check(&server).await;
    assert!(told.tell(&server, 50, 200).await.is_none());
    assert!(home.run(&["doctor"]).status.success());
}

#[tokio::test]
async fn a_server_killed_while_the_disk_is_full_starts_when_there_is_room_or_says_that_there_is_none() {
    let home = Home::new("[readiness]\nmin_free_disk_bytes = 0\n");
    let Some(_disk) = Mounted::at(&home.data(), 24) else { return };
    let filler = home.data().join("filler");
    std::fs::write(&filler, vec![1; 12 << 20]).expect("the filler is written");
    let mut told = Told::default();
    let server = home.start();
    told.fill(&server).await;
    server.kill();
    // The last free page is gone.
    let rest = vec![1; 4096];
    while std::fs::OpenOptions::new()
        .append(true)
        .open(&filler)
        .and_then(|mut file| file.write_all(&rest))
        .is_ok()
    {}
    let listed = home.run(&["organizations", "list"]);
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(listed.status.success() || said.contains("the disk is full"), "{said}");

    std::fs::remove_file(&filler).expect("there is room");
    let server = home.start();
    told.check(&server).await;
    assert!(told.tell(&server, 1, 40).await.is_none());
    assert!(server.terminate().success());
}
