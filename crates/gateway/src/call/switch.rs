//! The gateway's SIP side as a whole: its doors, and the orders of the program.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    actor::{Actor, Beginning},
    directory::Directory,
    door::{Door, Opening, Transport},
    incoming,
    index::Index,
    media::{Media, MediaMaker, NoMedia},
    names::Names,
    registry::{Place, Refused, Registry},
    words::{Dial, Input},
};
use crate::{CallId, Report, Routes, guard::Gate, trace::Traces};

/// The time of day: milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the gateway's SIP side needs to know, and whom it asks.
pub struct Settings {
    /// What `User-Agent` says.
    pub user_agent: String,
    /// How many calls there may be.
    pub most_calls: usize,
    /// T1 (RFC 3261, 17.1.1.1): 500 ms, but for tests that wait for the end of transactions.
    pub t1: Duration,
    /// The time of day.
    pub clock: Clock,
    /// Where calls lead.
    pub routes: Arc<dyn Routes>,
    /// Who people are.
    pub directory: Arc<dyn Directory>,
    /// Makes the media of calls.
    pub media: Arc<dyn MediaMaker>,
    /// Takes the reports.
    pub owner: mpsc::Sender<Report>,
    /// Guards what comes in.
    pub gate: Arc<Gate>,
    /// Remembers messages.
    pub traces: Arc<Traces>,
    /// Who is asked for SRV records; empty: whom the system asks.
    pub name_servers: Vec<SocketAddr>,
}

/// How an order to hang up went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// The call is over on all sides.
    Ended,
    /// It is ordered, but some side has not confirmed it in time.
    Ending,
    /// There is no such call (any more).
    NoSuchCall,
}

/// What all calls share.
pub(super) struct Shared {
    pub(super) doors: Vec<Arc<Door>>,
    pub(super) settings: Settings,
    pub(super) index: Arc<Index>,
    pub(super) lost: Arc<AtomicU64>,
    pub(super) registry: Arc<Registry>,
    pub(super) running: CancellationToken,
    pub(super) names: Names,
    /// The tasks of calls.
    calls: TaskTracker,
}

impl Shared {
    pub(super) fn now(&self) -> u64 {
        (self.settings.clock)()
    }

    /// The door by which messages reach an address.
    pub(super) fn door_to(&self, transport: Transport, address: SocketAddr) -> Option<&Arc<Door>> {
        self.doors.iter().find(|door| door.leads_to(transport, address))
    }

    /// Runs a call's task.
    pub(super) fn spawn(&self, call: impl Future<Output = ()> + Send + 'static) {
        self.calls.spawn(call);
    }

    pub(super) async fn open_media(&self, call: &CallId, account: &str) -> Box<dyn Media> {
        match self.settings.media.open(call, account).await {
            Ok(media) => media,
            Err(refused) => {
                tracing::warn!(%call, %refused, "no media for a call");
                Box::new(NoMedia::default())
            }
        }
    }

    /// A place for a new call.
    pub(super) fn admit(
        &self,
        trunk: Option<&crate::Trunk>,
    ) -> Result<(Place, mpsc::Receiver<super::registry::Command>), Refused> {
        if !self.settings.media.has_room() {
            return Err(Refused::Full);
        }
        self.registry.admit(&CallId::fresh(), trunk)
    }
}

/// The gateway's SIP side. Dropped, it is deaf, and calls are left as they are: [`Switch::stop`] ends them.
pub struct Switch {
    shared: Arc<Shared>,
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.running.cancel();
    }
}

impl Switch {
    /// Opens the doors, each with the address that peers know it by, and tells the owner of its calls.
    pub fn start(doors: Vec<(Opening, SocketAddr)>, settings: Settings) -> Self {
        let running = CancellationToken::new();
        let index = Arc::new(Index::default());
        let opened: Vec<_> = doors
            .into_iter()
            .map(|(opening, advertised)| Door::open(opening, advertised, index.clone(), &settings, &running))
            .collect();
        let shared = Arc::new(Shared {
            doors: opened.iter().map(|(door, _)| door.clone()).collect(),
            registry: Registry::with_room(settings.most_calls),
            names: Names::of(&settings.name_servers),
            settings,
            index,
            lost: Arc::default(),
            running,
            calls: TaskTracker::new(),
        });
        let refused = shared.settings.gate.refused_invites();
        tokio::spawn(incoming::record_refused(shared.clone(), refused));
        for (door, ear) in opened {
            tokio::spawn(incoming::listen(shared.clone(), door, ear));
        }
        Self { shared }
    }

    /// Calls two parties and connects them.
    ///
    /// # Errors
    /// When there is no room for a call.
    pub fn dial(&self, order: Dial) -> Result<CallId, Refused> {
        let (place, commands) = self.shared.admit(order.plan.trunk.as_ref())?;
        let call = place.call().clone();
        let shared = self.shared.clone();
        let beginning = Beginning {
            account: order.plan.account.clone(),
            note: order.plan.note.clone(),
            from: order.from.chars().filter(|c| c.is_ascii_alphanumeric() || "+-_.".contains(*c)).collect(),
            identity: Arc::default(),
            max_forwards: 70,
            trace: shared.settings.traces.begin(&call),
        };
        self.shared.spawn(async move {
            let media = shared.open_media(place.call(), &beginning.account).await;
            let (actor, ears) = Actor::new(shared, place, commands, media, beginning);
            actor.run(Input::Dial(Box::new(order)), ears).await;
        });
        Ok(call)
    }

    /// Ends a call, and waits up to a limit until it is over on all sides. An order that is given again changes nothing.
    pub async fn hang_up(&self, call: &CallId, reason: Option<String>, limit: Duration) -> HangUp {
        let Some(over) = self.shared.registry.hang_up(call, reason) else { return HangUp::NoSuchCall };
        match tokio::time::timeout(limit, over.cancelled()).await {
            Ok(()) => HangUp::Ended,
            Err(_) => HangUp::Ending,
        }
    }

    /// How many calls are not over.
    pub fn live(&self) -> usize {
        self.shared.registry.live()
    }

    /// Whether a call is not over.
    pub fn is_live(&self, call: &CallId) -> bool {
        self.shared.registry.is_live(call)
    }

    /// How many calls are not over, or are but the owner has not taken all their reports.
    pub fn admitted(&self) -> usize {
        self.shared.registry.admitted()
    }

    /// Reports that were dropped so far.
    pub fn lost_reports(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// How many dialogs there are, those that are only begun too.
    pub fn dialogs(&self) -> usize {
        self.shared.index.len()
    }

    /// How many transactions are running.
    pub fn transactions(&self) -> usize {
        self.shared.doors.iter().map(|door| door.transactions()).sum()
    }

    /// Takes no more calls, ends all, and waits up to a limit until they are over on all sides and the owner has their
    /// reports. Then it is deaf. Says how many were not over in time.
    pub async fn stop(self, limit: Duration) -> usize {
        let ending = self.shared.registry.stop();
        self.shared.calls.close();
        let _ = tokio::time::timeout(limit, self.shared.calls.wait()).await;
        ending.iter().filter(|over| !over.is_cancelled()).count()
    }
}
