//! Jobs: asked for with what causes them, run by one at a time, gone when they are done.

use pegcount_calls::{Call, Cause};
use pegcount_store::{
    Basis, Job, JobCount, JobFailure, JobId, JobOrder, JobQuery, JobState, NewJob, Next, OrganizationNumber,
    Severity, Store,
};

use crate::{
    bench::{OURS, THEIRS, at, call, end, json, keep, name},
    engines,
};

/// A job of ours, asked for at 100 and due at 1,000.
pub(crate) fn job(kind: &str, subject: &str) -> NewJob {
    NewJob {
        organization: OURS,
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        call: None,
        data: json(r#"{"n":1}"#),
        created_at: at(100),
        due: at(1_000),
    }
}

fn due(kind: &str, subject: &str, millis: i64) -> NewJob {
    NewJob { due: at(millis), ..job(kind, subject) }
}

pub(crate) async fn ask(store: &dyn Store, job: &NewJob) {
    let mut transaction = store.begin().await.unwrap();
    transaction.enqueue(job).await.unwrap();
    transaction.commit().await.unwrap();
}

pub(crate) fn all() -> JobQuery {
    JobQuery { limit: 100, ..JobQuery::default() }
}

fn why(error: &str) -> JobFailure {
    JobFailure { at: at(1_500), error: error.to_owned() }
}

fn subjects(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.subject.as_str()).collect()
}

/// What is leased at 2,000, until 3,000.
async fn lease(store: &dyn Store, kinds: &[&str]) -> Vec<Job> {
    store.lease_jobs(kinds, at(2_000), at(3_000), 10).await.unwrap()
}

async fn only(store: &dyn Store) -> Job {
    let mut jobs = store.jobs(&all()).await.unwrap().jobs;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.pop().unwrap()
}

/// The one job, dead.
async fn kill(store: &dyn Store) -> JobId {
    let leased = lease(store, &["upload"]).await.pop().unwrap();
    assert!(store.job_failed(leased.id, leased.attempts, &why("broken"), Next::Never).await.unwrap());
    leased.id
}

#[tokio::test]
async fn a_job_is_there_when_its_transaction_is_and_comes_back_as_it_was_asked_for() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut dropped = store.begin().await.unwrap();
        dropped.enqueue(&job("upload", "gone")).await.unwrap();
        drop(dropped);
        assert_eq!(store.jobs(&all()).await.unwrap().total, Some(0));

        let head = keep(&*store, "c", &call(1)).await;
        let asked = NewJob { call: Some(head.key), ..job("upload", "c") };
        ask(&*store, &asked).await;
        store.close().await.unwrap();
        drop(store);
        let store = home.open().unwrap();
        let kept = only(&*store).await;
        let expected = Job {
            id: kept.id,
            organization: OURS,
            kind: "upload".to_owned(),
            subject: "c".to_owned(),
            call: Some(head.key),
            data: json(r#"{"n":1}"#),
            state: JobState::Waiting,
            attempts: 0,
            due: at(1_000),
            leased_until: None,
            created_at: at(100),
            failure: None,
        };
        assert_eq!(kept, expected);
        assert_eq!(store.job(kept.id).await.unwrap(), Some(expected));
        assert_eq!(store.job(JobId(999)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_due_is_leased_once_oldest_first_and_only_of_the_kinds_asked_for() {
    for home in engines() {
        let store = home.open().unwrap();
        for (kind, subject, millis) in [
            ("upload", "third", 1_003),
            ("upload", "first", 1_001),
            ("analyse", "second", 1_002),
            ("upload", "later", 2_001),
            ("sweep", "other", 1_000),
        ] {
            ask(&*store, &due(kind, subject, millis)).await;
        }
        assert_eq!(store.next_job_due(&["upload", "analyse"]).await.unwrap(), Some(at(1_001)));
        assert_eq!(store.next_job_due(&["nothing"]).await.unwrap(), None);
        let kinds = ["upload", "analyse"];
        let two = store.lease_jobs(&kinds, at(2_000), at(3_000), 2).await.unwrap();
        assert_eq!(subjects(&two), ["first", "second"]);
        for job in &two {
            assert_eq!((job.state, job.attempts), (JobState::Running, 1));
            assert_eq!(job.leased_until, Some(at(3_000)));
        }
        assert_eq!(subjects(&lease(&*store, &kinds).await), ["third"]);
        assert!(lease(&*store, &kinds).await.is_empty());
        assert_eq!(store.next_job_due(&["upload"]).await.unwrap(), Some(at(2_001)));
        assert!(lease(&*store, &[]).await.is_empty());
    }
}

#[tokio::test]
async fn a_done_job_is_gone_and_its_number_is_given_to_no_other() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "c")).await;
        let [leased] = &lease(&*store, &["upload"]).await[..] else { panic!("one is due") };
        assert!(!store.job_done(leased.id, 2).await.unwrap(), "another attempt");
        assert!(store.job_done(leased.id, 1).await.unwrap());
        assert!(!store.job_done(leased.id, 1).await.unwrap(), "twice");
        assert_eq!(store.job(leased.id).await.unwrap(), None);
        ask(&*store, &job("upload", "c")).await;
        assert!(only(&*store).await.id > leased.id);
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_is_anothers_and_its_holder_changes_nothing_any_more() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "c")).await;
        let [first] = &lease(&*store, &["upload"]).await[..] else { panic!("one is due") };
        let early = store.lease_jobs(&["upload"], at(2_999), at(9_000), 10).await.unwrap();
        assert!(early.is_empty());
        assert_eq!(store.next_job_due(&["upload"]).await.unwrap(), Some(at(3_000)));
        let second = store.lease_jobs(&["upload"], at(3_000), at(9_000), 10).await.unwrap();
        assert_eq!((second.len(), second[0].attempts), (1, 2));
        assert!(!store.job_done(first.id, 1).await.unwrap());
        assert!(!store.job_failed(first.id, 1, &why("late"), Next::Never).await.unwrap());
        assert!(!store.give_job_back(first.id, 1).await.unwrap());
        assert_eq!(only(&*store).await, second[0]);
        assert!(store.job_done(first.id, 2).await.unwrap());
    }
}

#[tokio::test]
async fn a_failed_job_waits_until_its_next_time_or_is_dead_and_says_why() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "c")).await;
        let [leased] = &lease(&*store, &["upload"]).await[..] else { panic!("one is due") };
        assert!(store.job_failed(leased.id, 1, &why("refused"), Next::At(at(5_000))).await.unwrap());
        let waits = only(&*store).await;
        assert_eq!((waits.state, waits.attempts, waits.due), (JobState::Waiting, 1, at(5_000)));
        assert_eq!((waits.leased_until, waits.failure), (None, Some(why("refused"))));
        assert!(lease(&*store, &["upload"]).await.is_empty());

        let again = store.lease_jobs(&["upload"], at(5_000), at(6_000), 1).await.unwrap();
        assert_eq!(again[0].attempts, 2);
        assert!(store.job_failed(leased.id, 2, &why("gone"), Next::Never).await.unwrap());
        let dead = only(&*store).await;
        assert_eq!((dead.state, dead.attempts, dead.failure), (JobState::Dead, 2, Some(why("gone"))));
        assert!(store.lease_jobs(&["upload"], at(i64::MAX), at(i64::MAX), 9).await.unwrap().is_empty());
        assert_eq!(store.next_job_due(&["upload"]).await.unwrap(), None);
        let findings = store.check().await.unwrap();
        let said: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Fine).collect();
        assert_eq!((said.len(), said[0].severity), (1, Severity::Warning), "{said:?}");
    }
}

#[tokio::test]
async fn a_job_asked_for_again_is_one_job_with_the_newest_data() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "c")).await;
        let newer = NewJob { data: json(r#"{"n":2}"#), created_at: at(200), ..due("upload", "c", 7_000) };
        ask(&*store, &newer).await;
        let waits = only(&*store).await;
        assert_eq!((waits.due, waits.created_at), (at(1_000), at(100)), "it keeps its time");
        assert_eq!(waits.data, json(r#"{"n":2}"#));

        // Another organization's, and another kind, are others.
        ask(&*store, &NewJob { organization: THEIRS, ..job("upload", "c") }).await;
        ask(&*store, &job("analyse", "c")).await;
        assert_eq!(store.jobs(&all()).await.unwrap().total, Some(3));
    }
}

#[tokio::test]
async fn a_job_asked_for_again_while_it_runs_is_run_once_more() {
    for home in engines() {
        let store = home.open().unwrap();
        let newer = NewJob { data: json(r#"{"n":2}"#), ..due("upload", "c", 1_700) };
        let failures = [None, Some(Next::At(at(5_000))), Some(Next::Never)];
        for (failure, expected) in failures.into_iter().zip([(0, 1_700), (1, 5_000), (0, 1_700)]) {
            ask(&*store, &job("upload", "c")).await;
            let [leased] = &lease(&*store, &["upload"]).await[..] else { panic!("one is due") };
            ask(&*store, &due("upload", "c", 9_000)).await;
            ask(&*store, &newer).await;
            let runs = only(&*store).await;
            assert_eq!((runs.state, runs.leased_until), (JobState::Running, Some(at(3_000))));
            let told = match failure {
                None => store.job_done(leased.id, 1).await.unwrap(),
                Some(next) => store.job_failed(leased.id, 1, &why("refused"), next).await.unwrap(),
            };
            assert!(told);
            let waits = only(&*store).await;
            assert_eq!((waits.state, waits.data), (JobState::Waiting, json(r#"{"n":2}"#)), "{failure:?}");
            assert_eq!((waits.attempts, waits.due.millis()), expected, "{failure:?}");
            // Once more, and not for ever.
            let again = store.lease_jobs(&["upload"], at(9_000), at(9_999), 1).await.unwrap();
            assert!(store.job_done(leased.id, again[0].attempts).await.unwrap());
            assert_eq!(store.jobs(&all()).await.unwrap().total, Some(0));
        }
    }
}

#[tokio::test]
async fn a_dead_job_asked_for_again_waits_with_all_its_attempts() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "c")).await;
        let id = kill(&*store).await;
        ask(&*store, &due("upload", "c", 8_000)).await;
        let woken = only(&*store).await;
        assert_eq!((woken.id, woken.state), (id, JobState::Waiting));
        assert_eq!((woken.attempts, woken.due), (0, at(8_000)));
    }
}

#[tokio::test]
async fn a_lease_that_is_given_back_was_no_attempt() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "c")).await;
        let before = only(&*store).await;
        let [leased] = &lease(&*store, &["upload"]).await[..] else { panic!("one is due") };
        assert!(store.give_job_back(leased.id, 1).await.unwrap());
        assert_eq!(only(&*store).await, before);
    }
}

#[tokio::test]
async fn leases_that_nobody_holds_any_more_end_and_jobs_begun_too_often_are_dead() {
    for home in engines() {
        let store = home.open().unwrap();
        for subject in ["often", "once", "asked_again"] {
            ask(&*store, &job("upload", subject)).await;
        }
        ask(&*store, &due("upload", "waits", 9_000)).await;
        let leased = lease(&*store, &["upload"]).await;
        for job in leased.iter().filter(|job| job.subject != "once") {
            assert!(store.job_failed(job.id, 1, &why("refused"), Next::At(at(1_000))).await.unwrap());
        }
        assert_eq!(lease(&*store, &["upload"]).await.len(), 2);
        ask(&*store, &job("upload", "asked_again")).await;
        assert_eq!(store.end_leases(&why("killed"), 2).await.unwrap(), 3);
        let mut jobs = store.jobs(&all()).await.unwrap().jobs;
        jobs.sort_by(|one, other| one.subject.cmp(&other.subject));
        let stand: Vec<_> = jobs.iter().map(|job| (job.subject.as_str(), job.state)).collect();
        let expected = [
            ("asked_again", JobState::Waiting),
            ("often", JobState::Dead),
            ("once", JobState::Waiting),
            ("waits", JobState::Waiting),
        ];
        assert_eq!(stand, expected);
        assert_eq!(jobs[1].failure, Some(why("killed")));
        assert_eq!((jobs[2].attempts, jobs[2].due, jobs[2].leased_until), (1, at(1_000), None));
        assert_eq!(jobs[3].failure, None);
    }
}

#[tokio::test]
async fn a_list_is_newest_first_filtered_and_continued() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "dead")).await;
        kill(&*store).await;
        for subject in ["a", "b", "c"] {
            ask(&*store, &job("upload", subject)).await;
        }
        ask(&*store, &job("analyse", "d")).await;
        ask(&*store, &NewJob { organization: THEIRS, ..job("upload", "theirs") }).await;
        let listed = async |query: JobQuery| {
            let page = store.jobs(&query).await.unwrap();
            assert_eq!(page.total, Some(page.jobs.len() as u64));
            subjects(&page.jobs).join(" ")
        };
        assert_eq!(listed(all()).await, "theirs d c b a dead");
        assert_eq!(listed(JobQuery { organization: Some(THEIRS), ..all() }).await, "theirs");
        assert_eq!(listed(JobQuery { state: Some(JobState::Dead), ..all() }).await, "dead");
        let ours = JobQuery { organization: Some(OURS), kind: Some("upload".to_owned()), ..all() };
        assert_eq!(listed(ours.clone()).await, "c b a dead");

        let first = store.jobs(&JobQuery { limit: 3, ..ours.clone() }).await.unwrap();
        assert_eq!((subjects(&first.jobs), first.total), (vec!["c", "b", "a"], Some(4)));
        let rest = store.jobs(&JobQuery { limit: 3, after: first.next, ..ours }).await.unwrap();
        assert_eq!((subjects(&rest.jobs), rest.total, rest.next), (vec!["dead"], None, None));

        let count = |kind: &str, state, count, oldest| JobCount {
            kind: kind.to_owned(),
            state,
            count,
            oldest: at(oldest),
        };
        let expected = [
            count("analyse", JobState::Waiting, 1, 100),
            count("upload", JobState::Waiting, 4, 100),
            count("upload", JobState::Dead, 1, 100),
        ];
        assert_eq!(store.job_counts().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn an_order_reaches_jobs_of_its_organization_that_do_not_run() {
    for home in engines() {
        let store = home.open().unwrap();
        ask(&*store, &job("upload", "c")).await;
        let id = kill(&*store).await;
        let foreign = Some(THEIRS);
        assert_eq!(store.rerun_job(foreign, id, at(4_000)).await.unwrap(), JobOrder::Missing);
        assert_eq!(store.forget_job(foreign, id).await.unwrap(), JobOrder::Missing);
        assert_eq!(store.rerun_job(Some(OURS), id, at(4_000)).await.unwrap(), JobOrder::Done);
        let woken = only(&*store).await;
        assert_eq!((woken.state, woken.attempts, woken.due), (JobState::Waiting, 0, at(4_000)));
        // One that waits for its next time need not wait for it.
        assert_eq!(store.rerun_job(None, id, at(1_000)).await.unwrap(), JobOrder::Done);

        let leased = lease(&*store, &["upload"]).await;
        assert_eq!(leased.len(), 1);
        for organization in [Some(OURS), None] {
            assert_eq!(store.rerun_job(organization, id, at(1)).await.unwrap(), JobOrder::Running);
            assert_eq!(store.forget_job(organization, id).await.unwrap(), JobOrder::Running);
        }
        assert_eq!(only(&*store).await, leased[0]);
        assert!(store.give_job_back(id, 1).await.unwrap());
        assert_eq!(store.forget_job(Some(OURS), id).await.unwrap(), JobOrder::Done);
        assert_eq!(store.forget_job(None, id).await.unwrap(), JobOrder::Missing);
        assert_eq!(store.rerun_job(None, id, at(1)).await.unwrap(), JobOrder::Missing);
    }
}

#[tokio::test]
async fn all_dead_jobs_of_a_kind_or_of_every_kind_are_woken_at_once() {
    for home in engines() {
        let store = home.open().unwrap();
        for (kind, subject) in [("upload", "a"), ("upload", "b"), ("analyse", "c")] {
            ask(&*store, &job(kind, subject)).await;
        }
        for job in lease(&*store, &["upload", "analyse"]).await {
            assert!(store.job_failed(job.id, 1, &why("refused"), Next::Never).await.unwrap());
        }
        ask(&*store, &due("upload", "waits", 9_000)).await;
        assert_eq!(store.rerun_dead_jobs(Some("upload"), at(4_000)).await.unwrap(), 2);
        assert_eq!(store.rerun_dead_jobs(None, at(4_000)).await.unwrap(), 1);
        assert_eq!(store.rerun_dead_jobs(None, at(4_000)).await.unwrap(), 0);
        let leased = store.lease_jobs(&["upload", "analyse"], at(4_000), at(5_000), 10).await.unwrap();
        assert_eq!(subjects(&leased), ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn an_erased_call_takes_its_jobs_along_and_a_merged_one_hands_them_over() {
    for home in engines() {
        let store = home.open().unwrap();
        let over = Call { state: end(60_000, None, Cause::Busy), ..call(0) };
        let older = keep(&*store, "older", &over).await;
        let younger = keep(&*store, "younger", &over).await;
        let other = keep(&*store, "other", &over).await;
        for (head, kind) in
            [(&older, "upload"), (&younger, "upload"), (&younger, "analyse"), (&other, "upload")]
        {
            ask(&*store, &NewJob { call: Some(head.key), ..job(kind, head.name.as_str()) }).await;
        }
        ask(&*store, &job("sweep", "older")).await;
        let [running] = &lease(&*store, &["analyse"]).await[..] else { panic!("one is due") };

        let mut transaction = store.begin().await.unwrap();
        transaction.merge(younger.key, older.key, &[]).await.unwrap();
        transaction
            .save(older.key, &over, &pegcount_calls::Bill::default(), &Basis::default())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let jobs = store.jobs(&all()).await.unwrap().jobs;
        let of_older = jobs.iter().filter(|job| job.call == Some(older.key)).count();
        assert_eq!((jobs.len(), of_older), (5, 3));

        let mut transaction = store.begin().await.unwrap();
        assert!(transaction.find_call(OURS, &name("older")).await.unwrap().is_some());
        transaction.erase(older.key).await.unwrap();
        transaction.commit().await.unwrap();
        let left = store.jobs(&all()).await.unwrap().jobs;
        let left: Vec<_> = left.iter().map(|job| (job.kind.as_str(), job.subject.as_str())).collect();
        assert_eq!(left, [("sweep", "older"), ("upload", "other")]);
        assert!(!store.job_done(running.id, 1).await.unwrap(), "the one that runs is gone as well");
        let findings = store.check().await.unwrap();
        assert!(findings.iter().all(|finding| finding.severity == Severity::Fine), "{findings:?}");
    }
}

#[tokio::test]
async fn many_at_once_never_lease_the_same_job() {
    for home in engines() {
        let store: std::sync::Arc<dyn Store> = home.open().unwrap().into();
        for subject in 0..40 {
            let organization = OrganizationNumber(1 + subject % 3);
            ask(&*store, &NewJob { organization, ..job("upload", &subject.to_string()) }).await;
        }
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = std::sync::Arc::clone(&store);
            takers
                .spawn(async move { store.lease_jobs(&["upload"], at(2_000), at(3_000), 7).await.unwrap() });
        }
        let mut ids: Vec<JobId> = takers.join_all().await.into_iter().flatten().map(|job| job.id).collect();
        assert_eq!(ids.len(), 40);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 40);
    }
}
