//! Lets calls happen: each event is sent when its time has come.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use pegcount_calls::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    DemoOptions, Progress, Tally,
    client::{Client, Made},
    control_url, left_over,
    listener::{HangUp, Listener},
    random::Random,
    scenarios::SCENARIOS,
    script::{Script, script},
    sound,
};
use crate::{clock::Clock, vocabulary::kinds};

/// Ended calls of the last 24 hours.
const PAST_CALLS: u64 = 300;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The last day's calls end this long ago at the latest, what comes after the call included.
const PAST_ENDS_MS: i64 = 5_000;
/// How often events are sent.
const TICK: Duration = Duration::from_millis(200);
/// How many events go into one request.
const BATCH: usize = 1000;
/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// How often calls that a killed run left are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long the calls in progress get to be ended when the run is stopped.
const FAREWELL: Duration = Duration::from_secs(5);
/// Hang-up orders that may wait.
const WAITING_ORDERS: usize = 16;
/// A machine that slept does not make up for the calls of the night.
const MOST_BEHIND_MS: i64 = 5_000;

/// One run.
pub(super) struct Sender<'a> {
    client: Client,
    clock: Clock,
    report: &'a (dyn Fn(Progress) + Send + Sync),
    seed: u64,
    mean_pause_ms: f64,
    limit: u64,
    scripts: Random,
    arrivals: Random,
    ids: Random,
    /// What is to be sent, by its time and its place in the order of making.
    due: BTreeMap<(i64, u64), Due>,
    made: u64,
    /// Calls in progress.
    open: BTreeSet<Arc<str>>,
    tally: Tally,
    /// Serves recordings and takes hang-up orders; `None` where no port could be had.
    listener: Option<Listener>,
    /// Kept so that the channel stays open without a listener.
    orders_in: mpsc::Sender<HangUp>,
    orders: mpsc::Receiver<HangUp>,
}

struct Due {
    call: Arc<str>,
    /// Whether the call is over with it, or was before it.
    ends_call: bool,
    event: Value,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        options: &DemoOptions,
        clock: Clock,
        report: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, String> {
        let rate = options.calls_per_second;
        if !(rate > 0.0 && rate <= 1000.0) {
            return Err(format!("{rate} calls a second cannot be made: give a rate above 0, up to 1000"));
        }
        let client = Client::new(options)?;
        let now = clock.now().millis().unsigned_abs();
        let seed = options.seed.unwrap_or(now);
        let (orders_in, orders) = mpsc::channel(WAITING_ORDERS);
        Ok(Self {
            client,
            clock,
            report,
            seed,
            mean_pause_ms: 1000.0 / rate,
            limit: options.limit.unwrap_or(u64::MAX),
            scripts: Random::of(seed),
            arrivals: Random::of(seed.wrapping_add(1)),
            // Another run with the same seed makes other calls.
            ids: Random::of(seed ^ now.rotate_left(32)),
            due: BTreeMap::new(),
            made: 0,
            open: BTreeSet::new(),
            tally: Tally::default(),
            listener: None,
            orders_in,
            orders,
        })
    }

    /// Runs until `stop` comes true, or to the limit.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), String> {
        (self.report)(Progress::Begun { seed: self.seed });
        match Listener::start(self.orders_in.clone()).await {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => {
                let note =
                    format!("calls have no recordings and cannot be hung up: no port can be had: {error}");
                (self.report)(Progress::Note(note));
            }
        }
        let running = async {
            self.introduce().await?;
            self.take_orders().await?;
            self.send_past().await?;
            self.go_live().await
        };
        let result = tokio::select! {
            result = running => result,
            () = stop => Ok(()),
        };
        result?;
        // Nothing is left in progress for ever. Who stops a run does not wait for a server that is gone.
        let ended = timeout(FAREWELL, self.end_open_calls()).await;
        if let Ok(Err(problem)) = ended {
            (self.report)(Progress::Note(problem));
        }
        if let Some(listener) = &self.listener
            && let Ok(Err(problem)) = timeout(FAREWELL, control_url::remove(&mut self.client, listener)).await
        {
            (self.report)(Progress::Note(problem));
        }
        (self.report)(Progress::Over(self.tally()));
        Ok(())
    }

    fn tally(&self) -> Tally {
        Tally { live: self.open.len() as u64, ..self.tally }
    }

    /// Makes the endpoints and their phone numbers.
    async fn introduce(&mut self) -> Result<(), String> {
        for agent in SCENARIOS.iter().map(|scenario| &scenario.agent) {
            let endpoint = json!({ "id": agent.id, "name": agent.name, "provider": agent.provider });
            let number = json!({ "id": agent.number_id(), "number": agent.number, "endpoint_id": agent.id });
            for (path, thing) in [("/v1/endpoints", endpoint), ("/v1/phone-numbers", number)] {
                if let Made::Refused(status) = self.client.make(path, &thing).await? {
                    // Calls make them known by their ids alone, which is enough.
                    let note = format!(
                        "{path} answered {status}: endpoints stay without names (that needs the scope admin)"
                    );
                    (self.report)(Progress::Note(note));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Has hang-up orders come here.
    async fn take_orders(&mut self) -> Result<(), String> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let note = match control_url::register(&mut self.client, listener).await? {
            Ok(()) => {
                format!("recordings and hang-ups are served at http://{} until this ends", listener.address())
            }
            Err(reason) => reason,
        };
        (self.report)(Progress::Note(note));
        Ok(())
    }

    /// Sends the calls of the last 24 hours, oldest first.
    async fn send_past(&mut self) -> Result<(), String> {
        let now = self.clock.now().millis();
        let mut starts: Vec<i64> = (0..PAST_CALLS).map(|_| now - DAY_MS + self.moment_of_day()).collect();
        starts.sort_unstable();
        let mut events = Vec::new();
        for start in starts {
            let seed = self.scripts.next();
            let script = script(seed);
            let last_event = script.events.last().map_or(0, |event| event.offset_ms);
            let length = script.recording.as_ref().map_or(last_event, |one| one.ready_ms.max(last_event));
            let start = start.min(now - PAST_ENDS_MS - length);
            events.extend(self.events_of(seed, &script, start).into_iter().map(|(_, due)| due.event));
        }
        for batch in events.chunks(BATCH) {
            self.send(batch).await?;
        }
        (self.report)(Progress::PastSent { calls: PAST_CALLS, events: self.tally.events });
        Ok(())
    }

    /// A time of day: most calls come around the middle of it.
    fn moment_of_day(&mut self) -> i64 {
        let spread = self.arrivals.unit() + self.arrivals.unit();
        let at = if self.arrivals.chance(0.5) { self.arrivals.unit() } else { spread / 2.0 };
        (at * DAY_MS as f64) as i64
    }

    async fn go_live(&mut self) -> Result<(), String> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_call = self.clock.now().millis();
        let mut next_report = Instant::now() + REPORT_EVERY;
        let mut next_look = Some(Instant::now());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(order) = self.orders.recv() => {
                    self.hang_up(order).await?;
                    continue;
                }
            }
            if next_look.is_some_and(|at| at <= Instant::now()) {
                next_look = self.end_left_over().await?.then(|| Instant::now() + LOOK_EVERY);
            }
            let now = self.clock.now().millis();
            if now - next_call > MOST_BEHIND_MS {
                next_call = now;
            }
            while next_call <= now && self.tally.calls < self.limit {
                let seed = self.scripts.next();
                let due = self.events_of(seed, &script(seed), next_call);
                self.due.extend(due);
                self.tally.calls += 1;
                next_call += self.arrivals.exponential(self.mean_pause_ms).round() as i64;
            }
            self.send_due(now).await?;
            if self.tally.calls >= self.limit && self.due.is_empty() {
                return Ok(());
            }
            if Instant::now() >= next_report {
                (self.report)(Progress::Running(self.tally()));
                next_report = Instant::now() + REPORT_EVERY;
            }
        }
    }

    async fn send_due(&mut self, now: i64) -> Result<(), String> {
        let later = self.due.split_off(&(now + 1, 0));
        let due: Vec<Due> = std::mem::replace(&mut self.due, later).into_values().collect();
        for batch in due.chunks(BATCH) {
            // Before they are sent: a call that may have begun is ended when the run is stopped meanwhile.
            self.open.extend(batch.iter().filter(|due| !due.ends_call).map(|due| Arc::clone(&due.call)));
            let events: Vec<Value> = batch.iter().map(|due| due.event.clone()).collect();
            self.send(&events).await?;
            for ended in batch.iter().filter(|due| due.ends_call) {
                self.open.remove(&ended.call);
            }
        }
        Ok(())
    }

    async fn send(&mut self, events: &[Value]) -> Result<(), String> {
        let receipt = self.client.send(events).await?;
        self.tally.events += receipt.accepted + receipt.duplicates;
        if let Some(first) = receipt.rejected.first() {
            self.tally.rejected += receipt.rejected.len() as u64;
            tracing::warn!(
                count = receipt.rejected.len(),
                code = first.code,
                message = first.message,
                "the server turned events away"
            );
        }
        Ok(())
    }

    /// Ends a call that is to be hung up, as a switch would: the rest of it does not happen.
    async fn hang_up(&mut self, order: HangUp) -> Result<(), String> {
        let Some(call) = self.open.get(order.call.as_str()).cloned() else {
            // Who asked may have gone away.
            let _ = order.taken.send(false);
            return Ok(());
        };
        self.due.retain(|_, due| due.call != call);
        let _ = order.taken.send(true);
        let data = json!({ "hangup_cause": "normal_clearing", "hangup_source": "api" });
        self.send(&[event(&call, LAST, self.clock.now(), kinds::CALL_COMPLETED, &data)]).await?;
        self.open.remove(&call);
        (self.report)(Progress::Note(format!("hung up {call}, as ordered")));
        Ok(())
    }

    /// Ends the calls that a killed run left. Gives whether it is worth looking again.
    async fn end_left_over(&mut self) -> Result<bool, String> {
        let ends = match left_over::ends(&mut self.client, &self.open, self.clock.now()).await? {
            Ok(ends) => ends,
            Err(refused) => {
                let note =
                    format!("live calls that a killed demo may have left are not ended: {}", refused.0);
                (self.report)(Progress::Note(note));
                return Ok(false);
            }
        };
        for batch in ends.chunks(BATCH) {
            self.send(batch).await?;
        }
        if !ends.is_empty() {
            let note = format!("live calls of a killed demo that were ended: {}", ends.len());
            (self.report)(Progress::Note(note));
        }
        Ok(true)
    }

    async fn end_open_calls(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let open = std::mem::take(&mut self.open);
        let data =
            json!({ "hangup_cause": "normal_clearing", "hangup_source": "system", "reason": "demo_stopped" });
        let ends: Vec<Value> =
            open.iter().map(|call| event(call, LAST, now, kinds::CALL_COMPLETED, &data)).collect();
        for batch in ends.chunks(BATCH) {
            self.send(batch).await?;
        }
        Ok(())
    }

    /// The events of a call that begins at this time, and its recording.
    fn events_of(&mut self, seed: u64, script: &Script, start: i64) -> Vec<((i64, u64), Due)> {
        let call: Arc<str> = format!("call_{:016x}", self.ids.next()).into();
        let scripted = script.events.iter().enumerate().map(|(place, scripted)| {
            // After its end a call is not in progress, whatever is still said of it.
            let ends_call = place >= script.end;
            let at = start + scripted.offset_ms;
            let event = event(&call, place, Timestamp::from_millis(at), scripted.kind, &scripted.data);
            (at, Due { call: Arc::clone(&call), ends_call, event })
        });
        let recorded = script.recording.iter().zip(&self.listener).map(|(recording, listener)| {
            let data = json!({
                "url": listener.recording_url(seed),
                "format": "wav",
                "duration_seconds": recording.talk_ms as f64 / 1000.0,
                "size_bytes": sound::size_bytes(recording.talk_ms),
            });
            let at = start + recording.ready_ms;
            let place = script.events.len();
            let event = event(&call, place, Timestamp::from_millis(at), kinds::RECORDING_READY, &data);
            (at, Due { call: Arc::clone(&call), ends_call: true, event })
        });
        let from = self.made;
        let events: Vec<_> =
            scripted.chain(recorded).zip(from..).map(|((at, due), made)| ((at, made), due)).collect();
        self.made += events.len() as u64;
        events
    }
}

/// A place after that of any event of a script.
pub(super) const LAST: usize = 9999;

/// A native event. Ids sort in the order of happening, since many events share a millisecond.
pub(super) fn event(call: &str, place: usize, at: Timestamp, kind: &str, data: &Value) -> Value {
    json!({
        "call_id": call,
        "id": format!("evt_{place:04}"),
        "event_type": kind,
        "created_at": at.millis(),
        "event_data": data,
    })
}
