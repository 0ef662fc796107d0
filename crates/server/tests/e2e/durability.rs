//! kill -9 at random moments: what was acknowledged is there, and nothing is there by halves.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::server::{Answer, Home, PATIENCE, Server, send, wait_for};

const ROUNDS: usize = 50;
const CLIENTS: usize = 4;
/// Calls that a client goes through at a time.
const CALLS: usize = 3;
/// Requests that may be answered before the server is killed, at most.
const MOST_ANSWERS: u64 = 40;
/// 2026-01-01T10:00:00Z.
const TEN: i64 = 1_767_261_600_000;

/// splitmix64: the same seed gives the same requests, though not the same moments.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Events by their ids: what was sent, as it was sent.
type Events = BTreeMap<(String, String), Value>;

/// What clients know.
#[derive(Default)]
struct Known {
    acknowledged: Events,
    sent: Events,
}

impl Known {
    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.sent.extend(other.sent);
    }
}

/// Tells when how many requests were answered.
#[derive(Default)]
struct Counter {
    answers: AtomicUsize,
    changed: Notify,
}

impl Counter {
    fn count(&self) {
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    async fn reaches(&self, target: usize) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.answers.load(Ordering::SeqCst) >= target {
                return;
            }
            changed.await;
        }
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client")
}

/// The event of a call at a step of its life.
fn event(call: &str, step: usize, last: usize) -> Value {
    let at = TEN + 1000 * i64::try_from(step).expect("a step");
    let (kind, data) = match step {
        0 => ("call_initiated", json!({ "from_number": "+15550001", "to_number": "+15550002" })),
        1 => ("call_ringing", json!({})),
        2 => ("call_answered", json!({})),
        step if step == last => ("call_completed", json!({ "hangup_cause": "user_hangup" })),
        step => ("transcript_turn", json!({ "role": "caller", "content": "word ".repeat(step * 40) })),
    };
    json!({ "call_id": call, "id": format!("e{step:03}"), "event_type": kind, "created_at": at, "event_data": data })
}

/// Sends events of its own calls, and of one that all clients share, until the server is gone.
async fn tell_until_cut(
    url: String,
    key: String,
    name: String,
    mut random: Random,
    counter: Arc<Counter>,
) -> Known {
    let client = client();
    let mut known = Known::default();
    let mut calls: Vec<(String, usize, usize)> = Vec::new();
    let mut opened = 0;
    loop {
        let mut batch = Vec::new();
        for _ in 0..=random.below(12) {
            if calls.len() < CALLS {
                let last = 3 + usize::try_from(random.below(12)).expect("small");
                calls.push((format!("{name}_{opened}"), 0, last));
                opened += 1;
            }
            let place = usize::try_from(random.below(calls.len() as u64)).expect("small");
            let (call, step, last) = &mut calls[place];
            batch.push(event(call, *step, *last));
            *step += 1;
            if *step > *last {
                calls.remove(place);
            }
        }
        let at = TEN + i64::try_from(known.sent.len()).expect("small");
        let (shared, _) = name.split_once('_').expect("the round");
        batch.push(json!({ "call_id": format!("{shared}_shared"), "id": format!("{name}_{at}"),
            "event_type": "call_ringing", "created_at": at, "event_data": { "leg_id": "a" } }));
        for event in &batch {
            known.sent.insert(place_of(event), event.clone());
        }
        let request = client.post(&url).header("x-api-key", &key).json(&batch);
        let Ok(response) = request.send().await else { return known };
        let (status, Ok(receipt)) = (response.status(), response.json::<Value>().await) else { return known };
        assert_eq!((status.as_u16(), &receipt["rejected"]), (200, &json!([])), "{receipt}");
        assert_eq!(receipt["accepted"], json!(batch.len()), "{receipt}");
        known.acknowledged.extend(batch.into_iter().map(|event| (place_of(&event), event)));
        counter.count();
    }
}

fn place_of(event: &Value) -> (String, String) {
    let text = |key: &str| event[key].as_str().expect("a text").to_owned();
    (text("call_id"), text("id"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_minus_nine_at_any_moment() {
    let seed = match std::env::var("PEGCOUNT_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => RandomState::new().hash_one(0),
    };
    println!("PEGCOUNT_TEST_SEED={seed}");
    let mut random = Random(seed);
    let home = Home::new("");
    let mut known = Known::default();
    for round in 0..ROUNDS {
        let server = home.start();
        let counter = Arc::new(Counter::default());
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (url, key) = (server.url("/v1/events"), server.key.clone());
                let name = format!("r{round}_{number}");
                tokio::spawn(tell_until_cut(url, key, name, Random(random.next()), Arc::clone(&counter)))
            })
            .collect();
        counter.reaches(usize::try_from(random.below(MOST_ANSWERS)).expect("small")).await;
        for _ in 0..random.below(2000) {
            tokio::task::yield_now().await;
        }
        server.kill();
        let mut of_round = Known::default();
        for client in clients {
            of_round.add(client.await.expect("a client that ends"));
        }

        let server = home.start();
        let answers = Answers { client: client(), server: &server };
        answers.check(&of_round).await;
        known.add(of_round);
        answers.check_counts(&known).await;
        answers.send_again(&known).await;
        assert!(server.terminate().success());
    }
    assert!(known.acknowledged.len() > ROUNDS, "the test has tested nothing");
    assert!(home.run(&["doctor"]).status.success());
}

/// What a restarted server says.
struct Answers<'a> {
    client: reqwest::Client,
    server: &'a Server<'a>,
}

impl Answers<'_> {
    async fn get(&self, path: &str) -> Answer {
        send(self.client.get(self.server.url(path)).header("x-api-key", &self.server.key)).await
    }

    async fn events_of(&self, call: &str) -> BTreeMap<String, Value> {
        let answer = self.get(&format!("/v1/calls/{call}/events")).await;
        if answer.status.as_u16() == 404 {
            return BTreeMap::new();
        }
        let events = answer.expect(200)["events"].as_array().expect("events").clone();
        events.into_iter().map(|event| (event["id"].as_str().expect("an id").to_owned(), event)).collect()
    }

    /// Every acknowledged event is there, what is there was sent, word for word, and the calls are made of it.
    async fn check(&self, known: &Known) {
        let calls: BTreeSet<&String> = known.sent.keys().map(|(call, _)| call).collect();
        for call in calls {
            let there = self.events_of(call).await;
            for (_, id) in known.acknowledged.keys().filter(|(of, _)| of == call) {
                assert!(there.contains_key(id), "{id} of {call} was acknowledged and is lost");
            }
            for (id, event) in &there {
                let sent = known.sent.get(&(call.clone(), id.clone())).expect("nobody sent this");
                assert_eq!(event["event_type"], sent["event_type"]);
                assert_eq!(event["event_data"], sent["event_data"]);
            }
            if there.is_empty() {
                continue;
            }
            let found = self.get(&format!("/v1/calls/{call}")).await.expect(200);
            assert_eq!(found["status"], status_of(&there), "{call}: {there:?}");
            let turns = there.values().filter(|event| event["event_type"] == "transcript_turn").count();
            let lines = found["transcript"].as_str().map_or(0, |text| text.lines().count());
            assert_eq!(lines, turns, "{call}");
        }
    }

    /// The live calls are those that their events say are live, and no call differs from its events.
    async fn check_counts(&self, known: &Known) {
        let calls: BTreeSet<&String> = known.sent.keys().map(|(call, _)| call).collect();
        let mut live = 0;
        for call in &calls {
            let there = self.events_of(call).await;
            live += usize::from(
                there.values().any(|event| event["event_type"] != "transcript_turn")
                    && status_of(&there) != "completed"
                    && status_of(&there) != "no_answer",
            );
        }
        let counted = self.get("/v1/live").await.expect(200)["live_calls"].clone();
        assert_eq!(counted, json!(live));
        let listed = self.get("/v1/calls?limit=1&status=initiated,ringing,in_progress").await.expect(200);
        assert!(listed["total"].as_u64() >= counted.as_u64());
        let findings = self.get("/v1/calls/stats").await.expect(200);
        let ended = findings["total_calls"].as_u64().expect("a count");
        let all = self.get("/v1/calls?limit=1").await.expect(200)["total"].as_u64().expect("a count");
        assert_eq!(all - ended, listed["total"].as_u64().expect("a count"));
    }

    /// What was acknowledged is known; the rest is taken now.
    async fn send_again(&self, known: &Known) {
        let acknowledged: Vec<&Value> = known.acknowledged.values().collect();
        for events in acknowledged.chunks(1000) {
            let receipt = self.post(events).await;
            assert_eq!(receipt, json!({ "accepted": 0, "duplicates": events.len(), "rejected": [] }));
        }
        let sent: Vec<&Value> = known.sent.values().collect();
        for events in sent.chunks(1000) {
            assert_eq!(self.post(events).await["rejected"], json!([]));
        }
        for (call, id) in known.sent.keys().take(50) {
            assert!(self.events_of(call).await.contains_key(id));
        }
    }

    async fn post(&self, events: &[&Value]) -> Value {
        let request = self.client.post(self.server.url("/v1/events")).header("x-api-key", &self.server.key);
        send(request.json(events)).await.expect(200)
    }
}

/// Where a call stands by the events that are there.
fn status_of(events: &BTreeMap<String, Value>) -> &'static str {
    let has = |kind: &str| events.values().any(|event| event["event_type"] == kind);
    match (has("call_completed"), has("call_answered"), has("call_ringing")) {
        (true, true, _) => "completed",
        (true, false, _) => "no_answer",
        (false, true, _) => "in_progress",
        (false, false, true) => "ringing",
        (false, false, false) => "initiated",
    }
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_anywhere_is_taken_up_by_the_next() {
    for file in ["lock", "pegcount.db", "first-key", "link-key", "control.sock"] {
        let home = Home::new("");
        let mut cut_off = home
            .command(&["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0", "--sip", "off"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the program starts");
        wait_for(file, || home.data().join(file).exists().then_some(()));
        cut_off.kill().expect("it is killed");
        cut_off.wait().expect("it is gone");
        if file == "control.sock" {
            // Left over: nobody listens there.
            home.run_json(&["keys", "list"]);
        }
        let server = home.start();
        server.get("/v1/calls").await.expect(200);
        let organizations = home.run_json(&["organizations", "list"]);
        assert_eq!(organizations, json!([{ "number": 1, "id": "org_default", "name": null }]), "{file}");
        assert_eq!(home.run_json(&["keys", "list"]).as_array().map(Vec::len), Some(1), "{file}");
        assert!(server.terminate().success());
    }
}
