//! Jobs: seen and ordered through the program, and kept through kills and full disks.
//!
//! Jobs are put into the store here, of a kind that no program runs; work is made up and run by the program's own runner.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pegcount::{
    clock::Clock,
    jobs::{Jobs, Setback, Work},
    metrics::Metrics,
};
use pegcount_calls::{Document, Timestamp};
use pegcount_store::{Job, JobFailure, JobId, JobQuery, JobState, NewJob, Next, OrganizationNumber, Store};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    full_disk::Mounted,
    server::{Answer, Home, PATIENCE, Server, send, wait_for},
};

/// 2026-01-01T10:00:00Z.
const TEN: i64 = 1_767_261_600_000;
/// 2099-01-01T00:00:00Z.
const FAR: i64 = 4_070_908_800_000;
/// The word by which this program knows that it is to be killed, with the folder to work in.
const VICTIM: &str = "PEGCOUNT_TEST_VICTIM";

/// Asks for a job of an organization; gives its number. Also while a server runs.
pub async fn ask(store: &dyn Store, organization: i64, subject: &str, due: i64) -> JobId {
    let job = NewJob {
        organization: OrganizationNumber(organization),
        kind: "made_up".to_owned(),
        subject: subject.to_owned(),
        call: None,
        data: Document::from_json_text(r#"{"part":1}"#),
        created_at: Timestamp::from_millis(TEN),
        due: Timestamp::from_millis(due),
    };
    let mut transaction = store.begin().await.expect("a transaction");
    transaction.enqueue(&job).await.expect("a job");
    transaction.commit().await.expect("it is kept");
    jobs(store).await.first().expect("the newest").id
}

async fn jobs(store: &dyn Store) -> Vec<Job> {
    store.jobs(&JobQuery { limit: 100, ..JobQuery::default() }).await.expect("jobs").jobs
}

/// Runs a job so that it has failed for good.
async fn kill(store: &dyn Store, id: JobId) {
    let now = Timestamp::from_millis(TEN);
    let leased = store.lease_jobs(&["made_up"], now, now, 1).await.expect("a lease");
    assert_eq!(leased.first().map(|job| job.id), Some(id));
    let failure = JobFailure { at: now, error: "the other side\nsaid no".to_owned() };
    assert!(store.job_failed(id, 1, &failure, Next::Never).await.expect("it is kept"));
}

/// The store of a server, beside it.
pub fn store_of(home: &Home) -> Box<dyn Store> {
    pegcount_store::open(home.data().join("pegcount.db").to_str().expect("a path")).expect("the store")
}

/// A home with a dead job of its organization, and one that waits for long.
async fn home_with_jobs() -> (Home, JobId, JobId) {
    let home = Home::with_store("");
    let store = store_of(&home);
    let dead = ask(&*store, 1, "call_dead", TEN).await;
    kill(&*store, dead).await;
    let waits = ask(&*store, 1, "call_waits", FAR).await;
    store.close().await.expect("closed");
    (home, dead, waits)
}

async fn order(server: &Server<'_>, method: Method, path: &str) -> Answer {
    send(server.request(method, path).header("x-api-key", &server.key)).await
}

#[tokio::test]
async fn jobs_are_listed_shown_retried_and_forgotten_over_http() {
    let (home, dead, waits) = home_with_jobs().await;
    let server = home.start();
    let list = server.get("/v1/jobs").await.expect(200);
    let subjects = |list: &Value| -> Vec<String> {
        let jobs = list["jobs"].as_array().expect("a list").iter();
        jobs.map(|job| job["subject"].as_str().expect("a subject").to_owned()).collect()
    };
    assert_eq!(subjects(&list), ["call_waits", "call_dead"]);
    let rest = (&list["total"], &list["limit"], &list["next_cursor"]);
    assert_eq!(rest, (&json!(2), &json!(50), &Value::Null));
    assert_eq!(
        list["jobs"][1],
        json!({
            "id": dead.0, "kind": "made_up", "subject": "call_dead", "state": "dead", "attempts": 1,
            "due_at": "2026-01-01T10:00:00Z", "running_until": null, "created_at": "2026-01-01T10:00:00Z",
            "failed_at": "2026-01-01T10:00:00Z", "error": "the other side\nsaid no", "data": { "part": 1 },
        })
    );
    assert_eq!(server.get(&format!("/v1/jobs/{}", dead.0)).await.expect(200), list["jobs"][1]);
    for (query, found) in [
        ("state=dead", vec!["call_dead"]),
        ("state=waiting&kind=made_up", vec!["call_waits"]),
        ("kind=other", vec![]),
        ("state=running", vec![]),
    ] {
        assert_eq!(subjects(&server.get(&format!("/v1/jobs?{query}")).await.expect(200)), found, "{query}");
    }
    let first = server.get("/v1/jobs?limit=1").await.expect(200);
    assert_eq!((subjects(&first), &first["total"]), (vec!["call_waits".to_owned()], &json!(2)));
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let next = server.get(&format!("/v1/jobs?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((subjects(&next), next.get("total")), (vec!["call_dead".to_owned()], None));
    assert_eq!(next["next_cursor"], Value::Null);

    let readiness = server.get("/readyz").await.expect(200);
    assert_eq!((&readiness["ready"], &readiness["jobs"]["ok"]), (&json!(true), &json!(true)));
    assert_eq!(readiness["jobs"]["message"], "1 dead, see `pegcount jobs list --state dead`");
    assert_eq!(readiness["jobs"]["unfinished"], 1);
    assert!(readiness["jobs"]["oldest_seconds"].is_u64(), "{readiness}");
    let metrics = server.get("/metrics").await.text;
    for line in [r#"kind="made_up",state="dead"} 1"#, r#"kind="made_up",state="waiting"} 1"#] {
        assert!(metrics.contains(&format!("pegcount_jobs{{{line}")), "{line} in {metrics}");
    }

    let path = format!("/v1/jobs/{}/retry", dead.0);
    assert_eq!(order(&server, Method::POST, &path).await.status.as_u16(), 204);
    let woken = server.get(&format!("/v1/jobs/{}", dead.0)).await.expect(200);
    assert_eq!((&woken["state"], &woken["attempts"]), (&json!("waiting"), &json!(0)));
    let path = format!("/v1/jobs/{}", waits.0);
    assert_eq!(order(&server, Method::DELETE, &path).await.status.as_u16(), 204);
    for (method, path) in [
        (Method::DELETE, path.as_str()),
        (Method::GET, path.as_str()),
        (Method::POST, "/v1/jobs/99/retry"),
        (Method::GET, "/v1/jobs/seven"),
    ] {
        let refused = order(&server, method, path).await.expect(404);
        assert_eq!(refused, json!({ "error": "Job not found", "code": "JOB_NOT_FOUND" }), "{path}");
    }
    // One that runs: leased beside the server, which knows no such work.
    let store = store_of(&home);
    let until = Timestamp::from_millis(FAR);
    let leased = store.lease_jobs(&["made_up"], until, until, 1).await.expect("a lease");
    assert_eq!(leased.len(), 1);
    for (method, path) in [
        (Method::POST, format!("/v1/jobs/{}/retry", dead.0)),
        (Method::DELETE, format!("/v1/jobs/{}", dead.0)),
    ] {
        assert_eq!(order(&server, method, &path).await.expect(409)["code"], "JOB_RUNNING");
    }
    assert!(server.log().contains("nothing here runs jobs of this kind"), "{}", server.log());
    server.terminate();
    // Whoever had leased it is gone: a command says so, and the next start.
    assert_eq!(home.run_json(&["jobs", "list", "--state", "running"])["total"], 0);
    let leased = store.lease_jobs(&["made_up"], until, until, 1).await.expect("a lease");
    assert_eq!((leased.len(), leased[0].attempts), (1, 2));
    let server = home.start();
    let begun = wait_for_job(&server, dead, "waiting").await;
    assert_eq!(begun["error"], "the server ended while this ran");
}

async fn wait_for_job(server: &Server<'_>, id: JobId, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let job = server.get(&format!("/v1/jobs/{}", id.0)).await.expect(200);
        if job["state"] == state {
            return job;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long: {job}");
    }
}

#[tokio::test]
async fn an_operator_sees_to_jobs_whether_the_server_runs_or_not() {
    for runs in [false, true] {
        let (home, dead, waits) = home_with_jobs().await;
        let server = runs.then(|| home.start());
        let listed = home.run_json(&["jobs", "list", "--state", "dead"]);
        assert_eq!((&listed["total"], &listed["jobs"][0]["id"]), (&json!(1), &json!(dead.0)));
        assert_eq!(listed["jobs"][0]["organization"], "org_default");
        let output = home.run(&["jobs", "list", "--limit", "1"]);
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = "waiting\tmade_up\torg_default\tcall_waits\t2099-01-01T00:00:00Z\t0 attempts\t-\n";
        assert_eq!(lines, format!("{}\t{expected}", waits.0));
        assert!(String::from_utf8_lossy(&output.stderr).contains("newest 1 of 2"));
        let lines = String::from_utf8(home.run(&["jobs", "list", "--state", "dead"]).stdout).expect("text");
        assert!(lines.ends_with("1 attempts\tthe other side said no\n"), "{lines}");

        let upload = ["jobs", "retry", "--dead", "--kind", "recording_upload"];
        assert_eq!(home.run_json(&upload), json!({ "retried": 0 }));
        for wrong in [&["retry", "--dead", "--kind", "upload"][..], &["list", "--kind", "upload"]] {
            let output = home.run(&[&["jobs"], wrong].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("\"upload\"") && said.contains("recording_upload"), "{said}");
            assert_eq!(output.status.code(), Some(1));
        }
        assert_eq!(home.run_json(&["jobs", "retry", "--dead", "--kind", "made_up"]), json!({ "retried": 1 }));
        assert_eq!(home.run_json(&["jobs", "list", "--state", "dead"])["total"], 0);
        assert_eq!(home.run_json(&["jobs", "retry", &waits.0.to_string()]), json!({ "retried": 1 }));
        assert_eq!(home.run_json(&["jobs", "forget", &dead.0.to_string()]), json!({ "forgotten": dead.0 }));
        for wrong in [["forget", "99"], ["retry", "99"]] {
            let output = home.run(&["jobs", wrong[0], wrong[1]]);
            assert_eq!(output.status.code(), Some(1));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(said, "pegcount: there is no job 99\n");
        }
        for misused in [
            &["retry"][..],
            &["retry", "1", "--dead"],
            &["retry", "1", "--kind", "k"],
            &["list", "--state", "done"],
            &["list", "--limit", "0"],
            &["forget", "x"],
        ] {
            let output = home.run(&[&["jobs"], misused].concat());
            assert_eq!(output.status.code(), Some(2), "{misused:?}");
        }
        drop(server);
    }
}

/// Notes in a file that it was run, and waits for whatever it is told to wait for.
struct Noting {
    file: PathBuf,
    word: &'static str,
    gate: Option<Arc<Notify>>,
    runs: Arc<AtomicUsize>,
}

#[async_trait]
impl Work for Noting {
    fn kind(&self) -> &'static str {
        "made_up"
    }

    fn limit(&self) -> Duration {
        PATIENCE
    }

    fn at_once(&self) -> usize {
        1
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(&self.file).expect("a file");
        writeln!(file, "{} {}", self.word, job.attempts).expect("a line");
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        self.runs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Runs this work on a store until the guard is dropped.
fn run(store: &Arc<dyn Store>, clock: Clock, work: Noting) -> (Arc<Jobs>, tokio_util::sync::DropGuard) {
    let jobs = Jobs::new(Arc::clone(store), clock, Arc::new(Metrics::default()), vec![Arc::new(work)]);
    let stop = CancellationToken::new();
    jobs.start(stop.clone());
    (Arc::new(jobs), stop.drop_guard())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::task::yield_now().await;
    }
}

fn open(folder: &Path) -> Arc<dyn Store> {
    pegcount_store::open(folder.join("jobs.db").to_str().expect("a path")).expect("a store").into()
}

/// What the process does that is to be killed.
async fn be_killed(folder: &Path) {
    let store = open(folder);
    let noting = Noting {
        file: folder.join("notes"),
        word: "begun",
        gate: Some(Arc::default()),
        runs: Arc::default(),
    };
    let _running = run(&store, Clock::system(), noting);
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_job_under_way_in_a_process_that_is_killed_is_run_again_by_the_next_and_done_once() {
    if let Some(folder) = std::env::var_os(VICTIM) {
        return be_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let notes = folder.path().join("notes");
    let store = open(folder.path());
    ask(&*store, 1, "call_1", TEN).await;
    drop(store);
    let this = "jobs::a_job_under_way_in_a_process_that_is_killed_is_run_again_by_the_next_and_done_once";
    let mut victim = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", this])
        .env(VICTIM, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it runs");
    wait_for("the run", || std::fs::read_to_string(&notes).ok().filter(|notes| notes.ends_with('\n')));
    victim.kill().expect("it is killed");
    victim.wait().expect("it is gone");

    let store = open(folder.path());
    assert_eq!(jobs(&*store).await[0].state, JobState::Running, "as it was left");
    let noting = Noting { file: notes.clone(), word: "done", gate: None, runs: Arc::default() };
    let (runner, stop) = run(&store, Clock::system(), noting);
    until("the end of the job", async || jobs(&*store).await.is_empty()).await;
    drop(stop);
    runner.ended().await;
    assert_eq!(std::fs::read_to_string(&notes).expect("notes"), "begun 1\ndone 2\n");
}

#[tokio::test]
async fn a_job_that_ends_while_the_disk_is_full_is_kept_and_its_end_is_told_when_there_is_room() {
    let home = Home::new("");
    let folder = home.path("disk");
    let Some(_disk) = Mounted::at(&folder, 4) else { return };
    let store = open(&folder);
    ask(&*store, 1, "call_1", TEN).await;
    let (gate, runs, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let asked = Arc::new(asked);
    let clock = Clock::of({
        let asked = Arc::clone(&asked);
        move || {
            asked.fetch_add(1, Ordering::SeqCst);
            Timestamp::from_millis(FAR)
        }
    });
    let noting = Noting {
        file: home.path("notes"),
        word: "run",
        gate: Some(Arc::clone(&gate)),
        runs: Arc::clone(&runs),
    };
    let (runner, stop) = run(&store, clock, noting);
    until("the run", async || jobs(&*store).await[0].state == JobState::Running).await;

    let mut filler = std::fs::File::create(folder.join("filler")).expect("a file");
    while filler.write_all(&[1; 512]).is_ok() {}
    drop(filler);
    let before = asked.load(Ordering::SeqCst);
    gate.notify_one();
    // The time is taken when the end of a run is noted; telling the store comes next.
    until("the end of the run", async || {
        runs.load(Ordering::SeqCst) == 1 && asked.load(Ordering::SeqCst) > before
    })
    .await;
    for _ in 0..3 {
        runner.nudge();
        assert!(store.writable().await.is_err(), "the disk is not full");
        assert_eq!(jobs(&*store).await[0].state, JobState::Running);
    }
    std::fs::remove_file(folder.join("filler")).expect("there is room");
    until("the end of the job", async || jobs(&*store).await.is_empty()).await;
    // And the next one is run.
    ask(&*store, 1, "call_2", TEN).await;
    runner.nudge();
    gate.notify_one();
    until("the next job", async || jobs(&*store).await.is_empty()).await;
    drop(stop);
    runner.ended().await;
    let notes = std::fs::read_to_string(home.path("notes")).expect("notes");
    assert_eq!(notes, "run 1\nrun 1\n", "each was run once");
}
