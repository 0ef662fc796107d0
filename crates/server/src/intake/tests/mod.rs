//! The way in, over a real store in a folder of its own.

mod basis;
mod batches;
mod calls;
mod deferred;
mod deletion;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use pegcount_calls::{
    CallName, Document, EventId, LegId, OpenEnd, OrganizationName, Rate, Status, Tariff, Timestamp,
};
use pegcount_store::{
    CallHead, CallKey, Filed, JobQuery, LegSpan, NewJob, Opening, OrganizationNumber, Report, Store,
};
use serde_json::{Value, json};

use super::{
    CallReference, Incoming, Intake, IntakeParts, Outcome, Outside, TariffsHandle, Ties, history::Thresholds,
};
use crate::{
    live::Live,
    metrics::Metrics,
    organizations::{Names, PerOrganization},
    vocabulary::{self, Telling, Told, source_name},
};

const ORG: OrganizationNumber = OrganizationNumber(1);
/// 2026-01-01T10:00:00Z.
const TEN: i64 = 1_767_261_600_000;

/// A way in that runs, and what it writes to.
struct Desk {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    live: Arc<Live>,
    tariffs: TariffsHandle,
    metrics: Arc<Metrics>,
    /// The calls whose recordings had to be deleted.
    discarded: Arc<Mutex<Vec<String>>>,
    intake: Intake,
    thresholds: Thresholds,
}

/// Asks for a job for every recording that is told of, and for every call that must forget one.
struct Elsewhere {
    discarded: Arc<Mutex<Vec<String>>>,
}

impl Elsewhere {
    fn job(organization: OrganizationNumber, kind: &str, subject: &str, call: Option<CallKey>) -> NewJob {
        let now = Timestamp::from_millis(TEN);
        NewJob {
            organization,
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            call,
            data: Document::from_json_text("{}"),
            created_at: now,
            due: now,
        }
    }
}

impl Outside for Elsewhere {
    fn recorded(
        &self,
        head: &CallHead,
        _: &[CallName],
        _: Option<&OrganizationName>,
        object: &str,
    ) -> Option<NewJob> {
        Some(Self::job(head.organization, "upload", object, Some(head.key)))
    }

    fn recorded_elsewhere(&self, head: &CallHead, organization: Option<&OrganizationName>) -> Option<NewJob> {
        let subject = format!("{} of {}", head.name, organization?);
        Some(Self::job(head.organization, "fetch", &subject, Some(head.key)))
    }

    fn left_open(&self, head: &CallHead, open: &OpenEnd) -> Option<NewJob> {
        let subject = format!("{} {}", head.name, open.at.millis() - TEN);
        Some(Self::job(head.organization, "conclude", &subject, Some(head.key)))
    }

    fn forgotten(&self, organization: OrganizationNumber, call: &CallName) -> Option<NewJob> {
        Some(Self::job(organization, "delete", call.as_str(), None))
    }

    fn discard(&self, _: OrganizationNumber, call: &CallName) {
        self.discarded.lock().unwrap().push(call.to_string());
    }
}

impl Desk {
    async fn new() -> Self {
        Self::with(Thresholds::default()).await
    }

    async fn with(thresholds: Thresholds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        store.create_organization(&OrganizationName::new("org_1").unwrap(), Some(ORG), None).await.unwrap();
        Self::over(folder, store, thresholds).await
    }

    async fn over(folder: tempfile::TempDir, store: Arc<dyn Store>, thresholds: Thresholds) -> Self {
        let live = Arc::new(Live::of(store.open_calls().await.unwrap()));
        let tariffs = TariffsHandle::default();
        let metrics = Arc::new(Metrics::default());
        let discarded = Arc::<Mutex<Vec<String>>>::default();
        let parts = IntakeParts {
            store: Arc::clone(&store),
            live: Arc::clone(&live),
            names: Names::new(Arc::clone(&store)),
            tariffs: tariffs.clone(),
            masks: PerOrganization::default(),
            metrics: Arc::clone(&metrics),
            outside: vec![Box::new(Elsewhere { discarded: Arc::clone(&discarded) })],
        };
        let (intake, _) = Intake::start_with(parts, thresholds).unwrap();
        Self { _folder: folder, store, live, tariffs, metrics, discarded, intake, thresholds }
    }

    /// The same folder under a program that has just started: nothing is remembered that is not on disk.
    async fn restarted(self) -> Self {
        let Self { _folder: folder, store, intake, thresholds, .. } = self;
        drop((intake, store));
        let store = open(&folder);
        Self::over(folder, store, thresholds).await
    }

    async fn accept(&self, incoming: Vec<Incoming>) -> Vec<Vec<Outcome>> {
        self.intake.accept(incoming).await.unwrap()
    }

    /// Tells events of one call.
    async fn tell(&self, call: &str, events: &Value) -> Vec<Outcome> {
        self.accept(vec![named(call, events)]).await.remove(0)
    }

    async fn call(&self, id: &str) -> Filed {
        self.store.call(ORG, id).await.unwrap().unwrap_or_else(|| panic!("there is no call {id}"))
    }

    async fn reports(&self, id: &str) -> Vec<Report> {
        let key = self.call(id).await.head.key;
        self.store.reports(&[key]).await.unwrap().remove(0)
    }

    async fn status(&self, id: &str) -> Status {
        self.call(id).await.call.status()
    }

    /// What was asked for and is on disk, in the order of its words.
    async fn jobs(&self) -> Vec<String> {
        let query = JobQuery { limit: 100, ..JobQuery::default() };
        let jobs = self.store.jobs(&query).await.unwrap().jobs;
        let mut words: Vec<String> = jobs.iter().map(|job| format!("{} {}", job.kind, job.subject)).collect();
        words.sort();
        words
    }

    /// The fields of every call that a refold would change.
    async fn differences(&self) -> BTreeMap<String, Vec<&'static str>> {
        let refolded = self.refold(true).await;
        assert!(refolded.unreadable.is_empty(), "{refolded:?}");
        refolded.differing.into_iter().map(|one| (one.call, one.fields)).collect()
    }

    async fn refold(&self, check_only: bool) -> super::Refolded {
        self.refold_as(super::Refold { check_only, ..super::Refold::default() }).await
    }

    async fn refold_as(&self, order: super::Refold) -> super::Refolded {
        let heads = self.store.calls_after(None, pegcount_store::CallKey(0), 1000).await.unwrap();
        self.intake.refold(heads, order).await.unwrap()
    }
}

fn open(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    let opening = Opening { fold: Some(vocabulary::fold_reports), ..Opening::default() };
    Arc::from(
        pegcount_store::open_as(&folder.path().join("calls.db").display().to_string(), opening).unwrap(),
    )
}

/// Events: `[id, type, milliseconds after ten or null, data]` each; a missing time is taken from the clock.
fn told(events: &Value) -> Vec<Told> {
    let events = events.as_array().expect("an array of events");
    let told = events.iter().map(|event| {
        let at = event[2].as_i64();
        let telling = Telling {
            id: EventId::new(event[0].as_str().unwrap()).unwrap(),
            at: Timestamp::from_millis(TEN + at.unwrap_or_else(clock)),
            at_given: at.is_some(),
            received_at: Timestamp::from_millis(TEN),
            source: source_name("native"),
            kind: event[1].as_str().unwrap().to_owned(),
            data: event.get(3).map_or_else(|| "{}".to_owned(), Value::to_string),
        };
        vocabulary::tell(telling).unwrap_or_else(|error| panic!("{error}: {event}"))
    });
    told.collect()
}

/// Another time at each look.
fn clock() -> i64 {
    static NEXT: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(60_000);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn named(call: &str, events: &Value) -> Incoming {
    Incoming {
        organization: ORG,
        source: source_name("native"),
        call: CallReference::Named(CallName::new(call).unwrap()),
        told: told(events),
    }
}

/// A record of a source that names its legs.
fn record(name: &str, legs: &[&str], events: &Value) -> Incoming {
    let legs = legs.iter().map(|leg| LegSpan::unique(LegId::new(*leg).unwrap())).collect();
    Incoming {
        source: source_name("switch"),
        call: CallReference::Legs { legs, ties: Ties::default(), name: CallName::new(name).unwrap() },
        ..named(name, events)
    }
}

/// A tariff of so much a minute for every call of everybody.
fn tariffs(per_minute: &str) -> PerOrganization<Tariff> {
    let rate = Rate {
        prefix: String::new(),
        direction: None,
        per_minute: pegcount_calls::parse_decimal(per_minute).unwrap(),
        connection_fee: pegcount_calls::parse_decimal("0").unwrap(),
        increments: pegcount_calls::Increments { initial_seconds: 60, following_seconds: 60 },
    };
    PerOrganization::same(Tariff { rates: vec![rate], ..Tariff::default() })
}

/// A call of one minute.
fn minute() -> Value {
    json!([
        ["1", "call_initiated", 0, { "from_number": "+15550001", "to_number": "+15550002" }],
        ["2", "call_answered", 0],
        ["3", "call_completed", 60_000],
    ])
}
