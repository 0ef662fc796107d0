//! One transaction's worth of events.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use pegcount_calls::{Call, CallName, Event, Fact, History, PhoneNumberName, Status, Tariff, fold};
use pegcount_store::{
    CallHead, CallKey, LegSpan, OrganizationNumber, Report, Store, StoreError, Transaction,
};
use uuid::Uuid;

use crate::{
    organizations::{Names, PerOrganization},
    vocabulary::Rejection,
};

use super::{
    CallReference, Incoming, Outcome, Outside,
    history::{Cache, Kept, Verdict},
    outside::wanted,
};

/// The tariffs that hold now; they may be replaced while the program runs.
#[derive(Clone, Default)]
pub struct TariffsHandle(Arc<RwLock<Arc<PerOrganization<Tariff>>>>);

impl TariffsHandle {
    /// The handle of these.
    pub fn of(tariffs: PerOrganization<Tariff>) -> Self {
        let handle = Self::default();
        handle.replace(tariffs);
        handle
    }

    /// From now on these hold. Calls keep their bills until they are folded again.
    pub fn replace(&self, tariffs: PerOrganization<Tariff>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tariffs);
    }

    fn now(&self) -> Arc<PerOrganization<Tariff>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call that a batch touches.
struct Touched {
    head: CallHead,
    kept: Kept,
    new: Vec<Report>,
    /// Whether it is to be folded and written: repetitions alone change nothing.
    changed: bool,
    /// Whether a recording was reported, be it once more.
    recorded: bool,
    /// Whether an end, an answer or a transcript was reported.
    spoken: bool,
    /// Recordings of our own that new events name.
    objects: Vec<String>,
    /// Whether new events name a recording of somebody else's.
    recorded_elsewhere: bool,
    /// Whether one of our own was named that must not be kept any more.
    forgets_object: bool,
    /// Whether something that was on disk was blanked.
    forgets_words: bool,
}

/// A call of which nothing that was recorded may be kept.
pub(super) type Forgotten = (OrganizationNumber, CallName);

/// What a batch has done, once it is on disk.
pub(super) struct Done {
    pub(super) standing: Standing,
    /// Calls that opted out, or were erased, and of which something was recorded or said.
    pub(super) forgotten: Vec<Forgotten>,
    /// Whether jobs were asked for.
    pub(super) asked: bool,
}

/// Where calls stand after a batch: what the live set is told.
pub(super) type Standing = Vec<(OrganizationNumber, CallKey, Option<Status>)>;

/// Folds calls and finds what belongs to them: the same for new events and for a refold.
pub(super) struct Folder {
    tariffs: TariffsHandle,
    names: Names,
}

impl Folder {
    pub(super) fn new(tariffs: TariffsHandle, names: Names) -> Self {
        Self { tariffs, names }
    }

    /// The tariff of an organization.
    pub(super) async fn tariff(&self, organization: OrganizationNumber) -> Result<Arc<Tariff>, StoreError> {
        self.names.pick(&self.tariffs.now(), organization).await
    }

    /// Makes the endpoint and the phone number that a call names known, and finds the phone number it belongs to.
    pub(super) async fn note_directory(
        &mut self,
        transaction: &mut dyn Transaction,
        organization: OrganizationNumber,
        call: &Call,
    ) -> Result<Option<PhoneNumberName>, StoreError> {
        if let Some(endpoint) = &call.endpoint {
            transaction.note_endpoint(organization, endpoint).await?;
        }
        match (&call.phone_number, call.own_number()) {
            (Some(named), _) => {
                transaction.note_phone_number(organization, named).await?;
                Ok(Some(named.clone()))
            }
            (None, Some(number)) => transaction.phone_number_with(organization, number).await,
            (None, None) => Ok(None),
        }
    }
}

/// The events of one transaction while they are sorted to their calls.
pub(super) struct Batch<'a> {
    transaction: Box<dyn Transaction>,
    cache: &'a mut Cache,
    folder: &'a mut Folder,
    outside: &'a [Box<dyn Outside>],
    touched: BTreeMap<CallKey, Touched>,
    standing: Standing,
    forgotten: Vec<Forgotten>,
}

impl<'a> Batch<'a> {
    pub(super) async fn begin(
        store: &'a dyn Store,
        cache: &'a mut Cache,
        folder: &'a mut Folder,
        outside: &'a [Box<dyn Outside>],
    ) -> Result<Self, StoreError> {
        let transaction = store.begin().await?;
        let (touched, standing, forgotten) = (BTreeMap::new(), Vec::new(), Vec::new());
        Ok(Self { transaction, cache, folder, outside, touched, standing, forgotten })
    }

    /// Sorts events to their call.
    pub(super) async fn take(&mut self, incoming: &Incoming) -> Result<Vec<Outcome>, StoreError> {
        let recorded = incoming.told.iter().any(|told| matches!(told.event.fact, Fact::RecordingReady(_)));
        let Some(key) = self.find(incoming).await? else {
            if recorded && let CallReference::Named(name) = &incoming.call {
                self.forgotten.push((incoming.organization, name.clone()));
            }
            let erased = Rejection::new(Rejection::CALL_ERASED, "the call was erased; nothing more is taken");
            return Ok(vec![Outcome::Rejected(erased); incoming.told.len()]);
        };
        let Some(touched) = self.touched.get_mut(&key) else { return Ok(Vec::new()) };
        touched.recorded |= recorded;
        let outcomes = incoming.told.iter().map(|told| match touched.kept.take(told) {
            Verdict::New => {
                touched.new.push(told.report.clone());
                if let Fact::RecordingReady(recording) = &told.event.fact {
                    touched.objects.extend(recording.object.clone());
                    touched.recorded_elsewhere |= recording.url.is_some();
                }
                touched.spoken |= is_spoken(&told.event.fact);
                touched.changed = true;
                Outcome::Accepted
            }
            Verdict::Known => Outcome::Duplicate,
            Verdict::TurnedAway(rejection) => Outcome::Rejected(rejection),
        });
        Ok(outcomes.collect())
    }

    /// The call that these events belong to; it is opened if nobody knows it. `None` when it was erased.
    async fn find(&mut self, incoming: &Incoming) -> Result<Option<CallKey>, StoreError> {
        let organization = incoming.organization;
        let (name, legs) = match &incoming.call {
            CallReference::Named(name) => (name, &[][..]),
            CallReference::Legs { legs, name } => (name, legs.as_slice()),
        };
        let mut heads: BTreeMap<CallKey, CallHead> = BTreeMap::new();
        for leg in legs {
            let found = self.transaction.find_leg(organization, &incoming.source, leg).await?;
            heads.extend(found.into_iter().map(|head| (head.key, head)));
        }
        if heads.is_empty() {
            heads.extend(self.transaction.find_call(organization, name).await?.map(|head| (head.key, head)));
        }
        let mut heads = heads.into_values();
        let oldest = match heads.next() {
            Some(head) => head,
            None if self.is_erased(incoming, name, legs).await? => return Ok(None),
            None => self.transaction.open_call(organization, name, Uuid::now_v7()).await?,
        };
        let key = oldest.key;
        self.load(oldest).await?;
        for younger in heads {
            self.merge(younger, key).await?;
        }
        for leg in legs {
            self.transaction.link_leg(key, &incoming.source, leg).await?;
        }
        Ok(Some(key))
    }

    async fn is_erased(
        &mut self,
        incoming: &Incoming,
        name: &CallName,
        legs: &[LegSpan],
    ) -> Result<bool, StoreError> {
        let Incoming { organization, source, .. } = incoming;
        for leg in legs {
            if self.transaction.is_erased_leg(*organization, source, leg).await? {
                return Ok(true);
            }
        }
        self.transaction.is_erased(*organization, name).await
    }

    async fn load(&mut self, head: CallHead) -> Result<(), StoreError> {
        if self.touched.contains_key(&head.key) {
            return Ok(());
        }
        let kept = match self.cache.take(head.key) {
            Some(kept) => kept,
            None => read_kept(&head, &self.transaction.reports(head.key).await?)?,
        };
        let (new, objects) = (Vec::new(), Vec::new());
        let (changed, recorded, spoken) = (false, false, false);
        let (recorded_elsewhere, forgets_object, forgets_words) = (false, false, false);
        let key = head.key;
        let touched = Touched {
            head,
            kept,
            new,
            changed,
            recorded,
            spoken,
            objects,
            recorded_elsewhere,
            forgets_object,
            forgets_words,
        };
        self.touched.insert(key, touched);
        Ok(())
    }

    /// Two calls turned out to be one: the younger becomes part of the older.
    async fn merge(&mut self, younger: CallHead, older: CallKey) -> Result<(), StoreError> {
        let (younger_key, organization) = (younger.key, younger.organization);
        self.load(younger).await?;
        // What is new to either goes to its place first: the store then decides over all that share an id.
        for key in [older, younger_key] {
            if let Some(touched) = self.touched.get_mut(&key) {
                self.transaction.append(key, &std::mem::take(&mut touched.new)).await?;
            }
        }
        self.transaction.merge(younger_key, older).await?;
        if let Some(gone) = self.touched.remove(&younger_key)
            && let Some(touched) = self.touched.get_mut(&older)
        {
            touched.kept.absorb(gone.kept);
            touched.changed = true;
            touched.recorded |= gone.recorded;
            touched.spoken |= gone.spoken;
            touched.objects.extend(gone.objects);
            touched.recorded_elsewhere |= gone.recorded_elsewhere;
        }
        self.standing.push((organization, younger_key, None));
        Ok(())
    }

    /// Folds every touched call, writes it, and commits. When this returns, all of it is on disk.
    pub(super) async fn finish(mut self) -> Result<Done, StoreError> {
        let mut done = Vec::with_capacity(self.touched.len());
        let mut jobs = Vec::new();
        for (key, mut touched) in std::mem::take(&mut self.touched) {
            let written = if touched.changed { self.write(key, &mut touched).await? } else { None };
            if touched.recorded {
                let opts_out = || touched.kept.history().is_some_and(|history| fold(history).opt_out);
                if written.as_ref().map_or_else(opts_out, |call| call.opt_out) {
                    let names = self.transaction.names(key).await?;
                    self.forgotten.extend(names.into_iter().map(|name| (touched.head.organization, name)));
                }
            }
            let (outside, head) = (self.outside, &touched.head);
            let organization = head.organization;
            if touched.forgets_words {
                jobs.extend(wanted(outside, |one| one.gone(organization)));
            }
            if written.as_ref().is_some_and(|call| !call.opt_out) {
                for object in &touched.objects {
                    jobs.extend(wanted(outside, |one| one.recorded(head, object)));
                }
                if touched.recorded_elsewhere {
                    let name = self.folder.names.of(organization).await?;
                    jobs.extend(wanted(outside, |one| one.recorded_elsewhere(head, name.as_ref())));
                }
            } else if touched.forgets_object {
                for name in self.transaction.names(key).await? {
                    jobs.extend(wanted(outside, |one| one.forgotten(organization, &name)));
                }
            }
            let over = written.as_ref().filter(|call| !call.opt_out && call.status().is_ended());
            if let Some(call) = over.filter(|_| touched.spoken) {
                jobs.extend(wanted(outside, |one| one.spoken(head, call)));
            }
            let status = written.map(|call| call.status());
            if let Some(status) = status {
                self.standing.push((touched.head.organization, key, Some(status)));
            }
            // Where only repetitions came it is not known; the next new event will tell.
            done.push((key, touched.kept, status.is_some_and(|status| !status.is_ended())));
        }
        for job in &jobs {
            self.transaction.enqueue(job).await?;
        }
        self.transaction.commit().await?;
        for (key, kept, lives) in done {
            self.cache.put(key, kept, lives);
        }
        Ok(Done { standing: self.standing, forgotten: self.forgotten, asked: !jobs.is_empty() })
    }

    /// Writes one call; `None` while it has no events.
    async fn write(&mut self, key: CallKey, touched: &mut Touched) -> Result<Option<Call>, StoreError> {
        let Some(mut call) = touched.kept.history().map(fold) else { return Ok(None) };
        if call.opt_out {
            let has_object = |event: &Event| matches!(&event.fact, Fact::RecordingReady(recording) if recording.object.is_some());
            let before = touched.kept.history().map(History::events).unwrap_or_default();
            touched.forgets_object = before.iter().any(has_object);
            let blanked = touched.kept.blank();
            touched.recorded |= !blanked.is_empty();
            let (new, stored): (Vec<_>, Vec<_>) =
                blanked.into_iter().partition(|id| touched.new.iter().any(|report| report.id == *id));
            for report in touched.new.iter_mut().filter(|report| new.contains(&report.id)) {
                report.data = pegcount_calls::Document::from_json_text("{}");
                report.blanked = true;
            }
            if !stored.is_empty() {
                self.transaction.blank(key, &stored).await?;
                touched.forgets_words = true;
            }
            // Of what is left, as a refold will find it.
            call = touched.kept.history().map_or(call, fold);
        }
        self.transaction.append(key, &touched.new).await?;
        let organization = touched.head.organization;
        let bill = self.folder.tariff(organization).await?.bill(&call);
        let phone_number = self.folder.note_directory(self.transaction.as_mut(), organization, &call).await?;
        self.transaction.save(key, &call, &bill, phone_number.as_ref()).await?;
        Ok(Some(call))
    }
}

/// Whether it makes a call that is over one of which something can be said.
fn is_spoken(fact: &Fact) -> bool {
    matches!(fact, Fact::Answered | Fact::Ended(_) | Fact::Turn(_) | Fact::TranscriptReady(_))
}

/// A call's history from what is kept of it.
pub(super) fn read_kept(head: &CallHead, reports: &[Report]) -> Result<Kept, StoreError> {
    Kept::of(reports).map_err(|(event, cause)| StoreError::Unreadable {
        what: format!("event {event} of call {}", head.name),
        cause: Box::new(cause),
    })
}
