//! One transaction's worth of events.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use pegcount_calls::{Call, CallName, Fact, Status, fold_sealed, open_end};
use pegcount_store::{
    CallHead, CallKey, KeptBasis, LegSpan, OrganizationNumber, Report, Store, StoreError, Transaction,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::vocabulary::{Rejection, Told};

use super::{
    CallReference, Incoming, Outcome, Outside, Ties,
    basis::{Occasion, Settler, kept_basis},
    fair::{Flow, Spent},
    history::{Cache, Kept, Verdict, id_in_merged},
    outside::wanted,
    room::{LONG_CALL_BYTES, Room},
    touched::Touched,
};

/// The call that events belong to.
enum Found {
    Call(CallKey),
    /// It was erased.
    Erased,
    /// Its events were deleted.
    Sealed,
}

/// A call of which nothing that was recorded may be kept.
pub(super) type Forgotten = (OrganizationNumber, CallName);

/// What a batch has done, once it is on disk.
pub(super) struct Done {
    pub(super) standing: Standing,
    /// Calls that opted out, were erased, or whose recording was deleted, and of which something was recorded or said.
    pub(super) forgotten: Vec<Forgotten>,
    /// Whether jobs were asked for.
    pub(super) asked: bool,
    /// What the events of each organization took.
    pub(super) spent: BTreeMap<Flow, Spent>,
}

/// Where calls stand after a batch: what the live set is told.
pub(super) type Standing = Vec<(OrganizationNumber, CallKey, Option<Status>)>;

/// The events of one transaction while they are sorted to their calls.
pub(super) struct Batch<'a> {
    pub(super) transaction: Box<dyn Transaction>,
    cache: &'a mut Cache,
    settler: &'a mut Settler,
    outside: &'a [Box<dyn Outside>],
    touched: BTreeMap<CallKey, Touched>,
    standing: Standing,
    forgotten: Vec<Forgotten>,
    pub(super) room: Room,
}

impl<'a> Batch<'a> {
    pub(super) async fn begin(
        store: &'a dyn Store,
        cache: &'a mut Cache,
        settler: &'a mut Settler,
        outside: &'a [Box<dyn Outside>],
    ) -> Result<Self, StoreError> {
        let transaction = store.begin().await?;
        settler.begin();
        Ok(Self {
            transaction,
            cache,
            settler,
            outside,
            touched: BTreeMap::new(),
            standing: Vec::new(),
            forgotten: Vec::new(),
            room: Room::new(),
        })
    }

    /// Whether more may be taken in: others wait for their turn until the batch is written.
    pub(super) fn has_room(&self) -> bool {
        self.room.is_left()
    }

    /// Sorts events to their call. Each is expected to cost so much.
    pub(super) async fn take(
        &mut self,
        incoming: &Incoming,
        event_cost: Duration,
    ) -> Result<Vec<Outcome>, StoreError> {
        let begun = Instant::now();
        let outcomes = self.take_in(incoming).await?;
        self.room.expect(incoming.told.len(), event_cost);
        self.room.bytes +=
            incoming.told.iter().map(|told| told.report.data.as_json_text().len()).sum::<usize>();
        self.room.spend(incoming.organization, begun, incoming.told.len());
        Ok(outcomes)
    }

    async fn take_in(&mut self, incoming: &Incoming) -> Result<Vec<Outcome>, StoreError> {
        let recorded = incoming.told.iter().any(|told| matches!(told.event.fact, Fact::RecordingReady(_)));
        let key = match self.find(incoming).await? {
            Found::Call(key) => key,
            Found::Erased => {
                if recorded && let CallReference::Named(name) = &incoming.call {
                    self.forgotten.push((incoming.organization, name.clone()));
                }
                let erased =
                    Rejection::new(Rejection::CALL_ERASED, "the call was erased; nothing more is taken");
                return Ok(vec![Outcome::Rejected(erased); incoming.told.len()]);
            }
            Found::Sealed => {
                let message =
                    "the events of the call were deleted because of their age; nothing more is taken";
                let sealed = Rejection::new(Rejection::CALL_SEALED, message);
                return Ok(vec![Outcome::Rejected(sealed); incoming.told.len()]);
            }
        };
        let told = self.under_own_ids(key, incoming).await?;
        let Some(touched) = self.touched.get_mut(&key) else { return Ok(Vec::new()) };
        touched.recorded |= recorded;
        let outcomes = told.iter().map(|told| match touched.kept.take(told) {
            Verdict::New => {
                touched.new.push(told.report.clone());
                if let Fact::RecordingReady(recording) = &told.event.fact {
                    touched.objects.extend(recording.object.clone());
                    touched.recorded_elsewhere |= recording.url.is_some();
                }
                touched.unrecorded |= told.event.fact == Fact::RecordingDeleted;
                touched.spoken |= is_spoken(&told.event.fact);
                touched.ended |= matches!(told.event.fact, Fact::Ended(_));
                touched.changed = true;
                Outcome::Accepted
            }
            Verdict::Known => Outcome::Duplicate,
            Verdict::TurnedAway(rejection) => Outcome::Rejected(rejection),
        });
        Ok(outcomes.collect())
    }

    /// The events, under the ids that they have in their call: where calls were merged, an id may be that of another event,
    /// told of another of them.
    async fn under_own_ids<'b>(
        &mut self,
        key: CallKey,
        incoming: &'b Incoming,
    ) -> Result<Cow<'b, [Told]>, StoreError> {
        let told = Cow::Borrowed(incoming.told.as_slice());
        let Some(touched) = self.touched.get(&key) else { return Ok(told) };
        if !told.iter().any(|one| touched.kept.contradicts(one)) {
            return Ok(told);
        }
        let names = self.transaction.names(key).await?;
        if names.len() < 2 {
            return Ok(told);
        }
        let mut told = told.into_owned();
        for one in told.iter_mut().filter(|one| touched.kept.contradicts(one)) {
            let known = touched.kept.renamed(one, &names);
            // The ids of records are of their legs: under one of them there is no other event.
            let id = known.or_else(|| match &incoming.call {
                CallReference::Named(name) => Some(id_in_merged(&one.report.id, name, 0)),
                CallReference::Legs { .. } => None,
            });
            if let Some(id) = id {
                (one.report.id, one.event.id) = (id.clone(), id);
            }
        }
        Ok(Cow::Owned(told))
    }

    /// The call that these events belong to; it is opened if nobody knows it.
    async fn find(&mut self, incoming: &Incoming) -> Result<Found, StoreError> {
        let organization = incoming.organization;
        let (name, legs, ties) = match &incoming.call {
            CallReference::Named(name) => (name, &[][..], &Ties::default()),
            CallReference::Legs { legs, ties, name } => (name, legs.as_slice(), ties),
        };
        let mut heads: BTreeMap<CallKey, CallHead> = BTreeMap::new();
        for leg in legs.iter().chain(&ties.sought) {
            let found = self.transaction.find_leg(organization, &incoming.source, leg).await?;
            heads.extend(found.into_iter().map(|head| (head.key, head)));
        }
        if heads.is_empty() {
            heads.extend(self.transaction.find_call(organization, name).await?.map(|head| (head.key, head)));
        }
        let was_known = !heads.is_empty();
        for head in heads.values() {
            self.load(head.clone()).await?;
        }
        // A call that is not folded from its events any more stays by itself.
        heads.retain(|key, _| self.touched.get(key).is_none_or(|touched| !touched.kept.is_sealed()));
        let mut heads = heads.into_values();
        let key = match heads.next() {
            Some(head) => head.key,
            None if was_known => return Ok(Found::Sealed),
            None if self.is_erased(incoming, name, legs.iter().chain(&ties.sought)).await? => {
                return Ok(Found::Erased);
            }
            None => {
                let opened = self.transaction.open_call(organization, name, Uuid::now_v7()).await?;
                let key = opened.key;
                // It has no events yet, and nothing that it was folded with.
                self.touched.insert(key, Touched::new(opened, Kept::empty()));
                key
            }
        };
        for younger in heads {
            self.merge(younger, key).await?;
        }
        for leg in legs.iter().chain(&ties.left) {
            self.transaction.link_leg(key, &incoming.source, leg).await?;
        }
        Ok(Found::Call(key))
    }

    async fn is_erased(
        &mut self,
        incoming: &Incoming,
        name: &CallName,
        legs: impl Iterator<Item = &LegSpan>,
    ) -> Result<bool, StoreError> {
        let Incoming { organization, source, .. } = incoming;
        for leg in legs {
            if self.transaction.is_erased_leg(*organization, source, leg).await? {
                return Ok(true);
            }
        }
        self.transaction.is_erased(*organization, name).await
    }

    /// The call as it is at hand in this batch.
    pub(super) async fn touch(&mut self, head: &CallHead) -> Result<&mut Touched, StoreError> {
        self.load(head.clone()).await?;
        let gone = || StoreError::Unavailable("a call that was loaded is not there".into());
        self.touched.get_mut(&head.key).ok_or_else(gone)
    }

    async fn load(&mut self, head: CallHead) -> Result<(), StoreError> {
        if self.touched.contains_key(&head.key) {
            return Ok(());
        }
        let kept = match self.cache.take(head.key) {
            // Its document will not be written: its length costs nothing.
            Some(kept) if self.transaction.defers() && self.cache.thresholds.defer(&kept, kept.lives()) => {
                self.touched.insert(head.key, Touched::new(head, kept));
                return Ok(());
            }
            Some(kept) => kept,
            None => {
                let mut kept = read_kept(&head, &self.transaction.reports(head.key).await?)?;
                kept.basis = kept_basis(self.transaction.as_mut(), &head).await?;
                kept
            }
        };
        self.room.bytes += kept.size().saturating_sub(LONG_CALL_BYTES);
        self.touched.insert(head.key, Touched::new(head, kept));
        Ok(())
    }

    /// Two calls turned out to be one: the younger becomes part of the older.
    async fn merge(&mut self, younger: CallHead, older: CallKey) -> Result<(), StoreError> {
        let (younger_key, organization, name) = (younger.key, younger.organization, younger.name.clone());
        self.load(younger).await?;
        // What is new to either goes to its place first: the store then moves all of it.
        for key in [older, younger_key] {
            if let Some(touched) = self.touched.get_mut(&key) {
                self.transaction.append(key, &std::mem::take(&mut touched.new)).await?;
            }
        }
        let mut renamed = Vec::new();
        if let Some(gone) = self.touched.remove(&younger_key)
            && let Some(touched) = self.touched.get_mut(&older)
        {
            renamed = touched.kept.absorb(&gone.kept, &name);
            touched.changed = true;
            touched.recorded |= gone.recorded;
            touched.spoken |= gone.spoken;
            touched.ended |= gone.ended;
            touched.objects.extend(gone.objects);
            touched.recorded_elsewhere |= gone.recorded_elsewhere;
            touched.unrecorded |= gone.unrecorded;
        }
        self.transaction.merge(younger_key, older, &renamed).await?;
        self.standing.push((organization, younger_key, None));
        Ok(())
    }

    /// Folds every touched call, writes it, and commits. When this returns, all of it is on disk.
    pub(super) async fn finish(mut self) -> Result<Done, StoreError> {
        let mut done = Vec::with_capacity(self.touched.len());
        let mut jobs = Vec::new();
        for (key, mut touched) in std::mem::take(&mut self.touched) {
            let begun = Instant::now();
            if touched.changed {
                self.write(key, &mut touched).await?;
            } else if touched.recorded {
                touched.kept.fold();
            }
            let written = touched.call().filter(|_| touched.changed);
            let is_deleted = touched.forgets_object && written.is_some_and(|call| !call.opt_out);
            if is_deleted || (touched.recorded && touched.call().is_some_and(|call| call.opt_out)) {
                let names = self.transaction.names(key).await?;
                self.forgotten.extend(names.into_iter().map(|name| (touched.head.organization, name)));
            }
            let (outside, head) = (self.outside, &touched.head);
            let organization = head.organization;
            if touched.forgets_words {
                jobs.extend(wanted(outside, |one| one.gone(organization)));
            }
            let tells = touched.spoken || touched.recorded_elsewhere || !touched.objects.is_empty();
            let name = if tells { self.settler.names().of(organization).await? } else { None };
            let name = name.as_ref();
            if written.is_some_and(|call| !call.opt_out && call.content.recording.is_some()) {
                if !touched.objects.is_empty() {
                    let names = self.transaction.names(key).await?;
                    for object in &touched.objects {
                        jobs.extend(wanted(outside, |one| one.recorded(head, &names, name, object)));
                    }
                }
                if touched.recorded_elsewhere {
                    jobs.extend(wanted(outside, |one| one.recorded_elsewhere(head, name)));
                }
            } else if touched.forgets_object {
                for name in self.transaction.names(key).await? {
                    jobs.extend(wanted(outside, |one| one.forgotten(organization, &name)));
                }
            }
            let speaks = |call: &&Call| !call.opt_out && call.content.transcript_deleted_at.is_none();
            let over = written.filter(speaks).filter(|call| call.status().is_ended());
            if let Some(call) = over.filter(|_| touched.spoken) {
                jobs.extend(wanted(outside, |one| one.spoken(head, name, call)));
            }
            let status = written.map(Call::status);
            if touched.ended && status.is_some_and(|status| !status.is_ended()) {
                let open = touched.kept.history().filter(|_| !touched.kept.is_sealed()).and_then(open_end);
                jobs.extend(open.iter().flat_map(|open| wanted(outside, |one| one.left_open(head, open))));
            }
            if let Some(status) = status {
                self.standing.push((touched.head.organization, key, Some(status)));
            }
            self.room.spend(organization, begun, 0);
            if !touched.forgets_events {
                done.push((key, touched.kept));
            }
        }
        for job in &jobs {
            self.transaction.enqueue(job).await?;
        }
        self.transaction.commit().await?;
        self.settler.committed();
        for (key, kept) in done {
            self.cache.put(key, kept);
        }
        let Self { standing, forgotten, room, .. } = self;
        Ok(Done { standing, forgotten, asked: !jobs.is_empty(), spent: room.spent() })
    }

    /// Writes one call, unless it has no events.
    async fn write(&mut self, key: CallKey, touched: &mut Touched) -> Result<(), StoreError> {
        if touched.kept.is_sealed() {
            return self.write_sealed(key, touched).await;
        }
        touched.kept.fold();
        let Some(call) = touched.kept.call() else { return Ok(()) };
        let (opt_out, words_go) = (call.opt_out, call.content.transcript_deleted_at.is_some());
        let told = touched.unrecorded || !touched.objects.is_empty();
        if opt_out || told && call.content.recording_deleted_at.is_some() {
            touched.forgets_object = touched.names_object();
        }
        if opt_out || words_go {
            let blanked = touched.kept.blank(!opt_out);
            touched.recorded |= !blanked.is_empty();
            let mut stored = Vec::new();
            for (id, left) in blanked {
                match touched.new.iter_mut().find(|report| report.id == id) {
                    Some(report) => (report.data, report.blanked) = (left, true),
                    None => stored.push((id, left)),
                }
            }
            if !stored.is_empty() {
                self.transaction.blank(key, &stored).await?;
                touched.forgets_words = true;
            }
            // Of what is left, as a refold will find it.
            touched.kept.fold();
        }
        if touched.forgets_events {
            self.transaction.forget_events(key).await?;
            touched.forgets_words = true;
        }
        self.transaction.append(key, &touched.new).await?;
        self.save(key, touched).await
    }

    /// Keeps the call as it is folded: with its document, or, where that would cost much more than the event, without.
    async fn save(&mut self, key: CallKey, touched: &mut Touched) -> Result<(), StoreError> {
        // Without its events it could not be folded. What was blanked is to leave the index of words, which has the words of
        // documents.
        let must_have_document = touched.forgets_events || touched.forgets_words;
        let Touched { head, kept, .. } = touched;
        let Some(call) = kept.call() else { return Ok(()) };
        let transaction = self.transaction.as_mut();
        self.settler.note_directory(transaction, head.organization, call).await?;
        let lives = !call.status().is_ended();
        let defers = !must_have_document && transaction.defers();
        let deferred = if defers && self.cache.thresholds.defer(kept, lives) {
            self.settler.settle_deferred(transaction, head, kept).await?
        } else {
            None
        };
        let Some(call) = kept.call() else { return Ok(()) };
        let basis = match deferred {
            Some((charge, basis)) => {
                transaction.save_row(key, call, charge, &basis, kept.changed_metadata()).await?;
                basis
            }
            None => {
                let before = kept.basis.as_ref();
                let (bill, basis) =
                    self.settler.settle(transaction, head, call, before, Occasion::Event).await?;
                transaction.save(key, call, &bill, &basis).await?;
                basis
            }
        };
        kept.mark_saved(KeptBasis::of(call, basis));
        Ok(())
    }

    /// Writes a call whose events are gone, and of which something else was deleted.
    async fn write_sealed(&mut self, key: CallKey, touched: &mut Touched) -> Result<(), StoreError> {
        let saved = self.transaction.saved(key).await?;
        let Some((filed, history)) = saved.zip(touched.kept.history()) else { return Ok(()) };
        let of_ours =
            filed.call.content.recording.as_ref().is_some_and(|recording| recording.object.is_some());
        let (had_words, basis) = (filed.call.content.has_words(), filed.basis());
        let call = fold_sealed(filed.call, history);
        touched.forgets_object = of_ours && call.content.recording.is_none();
        touched.forgets_words = had_words && !call.content.has_words();
        self.transaction.append(key, &touched.new).await?;
        self.transaction.save(key, &call, &filed.bill, &basis).await?;
        touched.sealed = Some(call);
        Ok(())
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
