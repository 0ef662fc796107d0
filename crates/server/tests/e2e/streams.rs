//! The whole array of an agent's calls: however long it is and however slowly it is read, the server's memory stays
//! as it was.

use std::{fs, time::Instant};

use reqwest::Method;

use crate::server::{Home, PATIENCE, Server, send};

/// Calls of the agent, and the bytes that are said in each. They stand in the array twice: as what was said, and as what
/// happened.
const CALLS: usize = 4_800;
const SAID: usize = 8 * 1024;
const ARRAY_AT_LEAST: usize = 2 * CALLS * SAID;
/// What memory may grow by while an array is streamed, in KiB: less than a third of the array. For an array of half the
/// length it is as much.
const MOST_GROWTH: u64 = 24 * 1024;

/// The anonymous resident memory of a server, in KiB: the mapped file of the store is the system's to take back.
fn memory(server: &Server<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

/// How many sockets a server has open.
fn sockets(server: &Server<'_>) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("the process lives");
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

async fn fill(server: &Server<'_>) {
    let said = "a".repeat(SAID);
    for first in (0..CALLS).step_by(100) {
        let mut lines = String::new();
        for number in first..first + 100 {
            let call = format!(r#""call_id":"call_{number}""#);
            lines +=
                &format!(r#"{{{call},"event_type":"call_initiated","event_data":{{"endpoint_id":"ep_1"}}}}"#);
            lines.push('\n');
            let data = format!(r#"{{"role":"agent","content":"{said}"}}"#);
            lines += &format!(r#"{{{call},"event_type":"transcript_turn","event_data":{data}}}"#);
            lines.push('\n');
        }
        let told = server.request(Method::POST, "/v1/events").header("x-api-key", &server.key);
        let told = told.header("content-type", "application/x-ndjson").body(lines);
        assert_eq!(send(told).await.expect(200)["accepted"], 200);
    }
}

async fn whole_array(server: &Server<'_>) -> reqwest::Response {
    let asked = server.request(Method::GET, "/api/agents/1/call_stats").header("x-api-key", &server.key);
    let answer = asked.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    answer
}

/// Reads an answer to its end: its length, and the most memory that the server had meanwhile.
async fn read(server: &Server<'_>, mut answer: reqwest::Response) -> (usize, u64) {
    let (mut length, mut most) = (0, 0);
    let mut tail = Vec::new();
    while let Some(part) = answer.chunk().await.expect("a part") {
        length += part.len();
        most = most.max(memory(server));
        tail = part.to_vec();
    }
    assert_eq!(tail.last(), Some(&b']'));
    (length, most)
}

#[tokio::test]
async fn a_whole_array_is_streamed_in_flat_memory_to_fast_and_slow_readers_and_ends_with_its_reader() {
    let home = Home::new("");
    let server = home.start();
    fill(&server).await;
    // What was freed after the filling would hide a growth.
    assert!(server.terminate().success());
    let server = home.start();
    server.get("/api/agents/1/call_stats?limit=50").await.expect(200);
    let (before, open) = (memory(&server), sockets(&server));

    let waiting = whole_array(&server).await;
    let (length, most) = read(&server, whole_array(&server).await).await;
    assert!(length >= ARRAY_AT_LEAST, "{length}");
    assert!(
        most < before + MOST_GROWTH,
        "{before} KiB before, up to {most} KiB while two arrays were written"
    );

    // There was time to write all of it, but nobody took it.
    let (slow_length, most) = read(&server, waiting).await;
    assert_eq!(slow_length, length);
    assert!(most < before + MOST_GROWTH, "{before} KiB before, up to {most} KiB for a slow reader");

    for _ in 0..20 {
        drop(whole_array(&server).await);
    }
    // Our ends are closed by tasks of this thread, which must get their turn.
    let begun = Instant::now();
    while sockets(&server) > open {
        assert!(begun.elapsed() < PATIENCE, "what nobody reads does not end");
        tokio::task::yield_now().await;
    }
    assert!(memory(&server) < before + MOST_GROWTH, "{before} KiB before, {} KiB after", memory(&server));
}
