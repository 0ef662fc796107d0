//! The histories of the calls that are being written, kept in memory so that an event costs no read.

use std::collections::HashMap;

use lru::LruCache;
use pegcount_calls::{
    Call, CallName, Charge, CostTally, Document, Event, EventId, Fact, Folded, History, Tariff, Timestamp,
};
use pegcount_store::{CallKey, KeptBasis, Report, TariffId};
use sha2::{Digest, Sha256};

use crate::{
    redaction,
    vocabulary::{self, Rejection, Told},
};

/// Most events that one call may have.
pub(super) const MOST_EVENTS: usize = 20_000;
/// Most bytes that the data of one call's events may have.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How much the cache keeps of calls that live: about 200,000 at a time. Each of their events would else cost a read of
/// all the earlier ones.
const OF_LIVE: Bounds = Bounds { events: 1_500_000, bytes: 512 * 1024 * 1024 };
/// How much it keeps of calls that are over, of which a few more events may come.
const OF_OVER: Bounds = Bounds { events: 50_000, bytes: 64 * 1024 * 1024 };

/// What is remembered of the words of an event, to tell a repetition from another event under its id.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Words {
    digest: [u8; 16],
    at: i64,
    /// Whether the time was said, or taken from the clock: then a repetition has another.
    at_given: bool,
    blanked: bool,
    /// Whether something of it was masked, which the same event is not under another setting.
    masked: bool,
}

impl Words {
    fn of(report: &Report) -> Self {
        let digest = Sha256::new()
            .chain_update(report.kind.as_bytes())
            .chain_update([0])
            .chain_update(report.data.as_json_text().as_bytes())
            .finalize();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self {
            digest: short,
            at: report.at.millis(),
            at_given: report.at_given,
            blanked: report.blanked,
            masked: redaction::is_masked(&report.kind, report.data.as_json_text()),
        }
    }

    /// Whether these are the same words. What was blanked or masked cannot be compared any more and is believed. A time that was
    /// taken from the clock may be said the next time: so it is when events are read back and sent again.
    fn same_as(&self, other: &Self) -> bool {
        let same_time = if other.at_given { self.at == other.at } else { !self.at_given };
        let hidden = self.masked || other.masked || other.blanked;
        self.blanked || ((hidden || self.digest == other.digest) && same_time)
    }
}

/// From which length of a call on an event is taken in without work that grows with the call.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// From here on the call itself is kept beside its history, so that an event costs no fold of all the others. To fold
    /// a shorter call costs less than the memory for 200,000 of them.
    keep_folded: Bounds,
    /// From here on the document of a call in progress is deferred, so that an event costs no document of all the others.
    /// Until it is written the call is folded whenever it is read.
    defer_live: Bounds,
    /// The same of a call that is over. A shorter one has its document at once, so what was said in it can be searched for
    /// at once.
    defer_over: Bounds,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            keep_folded: Bounds { events: 64, bytes: 64 * 1024 },
            defer_live: Bounds { events: 256, bytes: 64 * 1024 },
            defer_over: Bounds { events: 1_000, bytes: 1024 * 1024 },
        }
    }
}

impl Thresholds {
    /// Every call counts as a long one, or none: for tests.
    pub fn for_all(long: bool) -> Self {
        let from = if long { 0 } else { usize::MAX };
        let bounds = Bounds { events: from, bytes: from };
        Self { keep_folded: bounds, defer_live: bounds, defer_over: bounds }
    }

    /// Whether the document of a call with this history is deferred.
    pub(super) fn defer(self, kept: &Kept, lives: bool) -> bool {
        kept.reaches(if lives { self.defer_live } else { self.defer_over })
    }
}

/// The history of one call, with what is needed to take more events in.
pub(super) struct Kept {
    folded: Option<Folded>,
    /// The costs of the call, as far as this tariff has added them up.
    tally: Option<(TariffId, CostTally)>,
    words: HashMap<EventId, Words>,
    bytes: usize,
    is_sealed: bool,
    /// What the call was last folded with; `None` for one that was never kept.
    pub(super) basis: Option<KeptBasis>,
}

/// Whether an event is new.
pub(super) enum Verdict {
    New,
    Known,
    TurnedAway(Rejection),
}

impl Kept {
    /// The history of a call that has none yet.
    pub(super) fn empty() -> Self {
        Self { folded: None, tally: None, words: HashMap::new(), bytes: 0, is_sealed: false, basis: None }
    }

    /// The history that these reports make.
    ///
    /// # Errors
    /// The first report that cannot be read: it was kept, so it is damaged.
    pub(super) fn of(reports: &[Report]) -> Result<Self, (EventId, Rejection)> {
        let mut kept = Self::empty();
        let mut events = Vec::with_capacity(reports.len());
        for report in reports {
            let event = vocabulary::read_report(report).map_err(|error| (report.id.clone(), error))?;
            kept.note(report);
            kept.is_sealed |= event.fact == Fact::EventsDeleted;
            events.push(event);
        }
        kept.folded = History::of(events).map(Folded::of);
        Ok(kept)
    }

    fn note(&mut self, report: &Report) {
        self.bytes += report.data.as_json_text().len();
        self.words.insert(report.id.clone(), Words::of(report));
    }

    /// Takes an event in, unless it is known or there is no room.
    pub(super) fn take(&mut self, told: &Told) -> Verdict {
        let words = Words::of(&told.report);
        if let Some(known) = self.words.get(&told.report.id) {
            return if known.same_as(&words) {
                Verdict::Known
            } else {
                Verdict::TurnedAway(reused(&told.report.id, known.at))
            };
        }
        if let Some(message) = self.full(told.report.data.as_json_text().len()) {
            return Verdict::TurnedAway(Rejection::new(Rejection::CALL_FULL, message));
        }
        self.add(told);
        Verdict::New
    }

    /// Why there is no room for one more event with so many bytes of data; `None` where there is.
    fn full(&self, more: usize) -> Option<String> {
        let (events, bytes) = (self.words.len(), self.bytes);
        let told = if events >= MOST_EVENTS {
            format!("the call has {events} events")
        } else if bytes + more > MOST_BYTES {
            format!("the events of the call have {bytes} bytes of data, and this one has {more} more")
        } else {
            return None;
        };
        Some(format!("{told}; one call may have {MOST_EVENTS} events and {MOST_BYTES} bytes of their data"))
    }

    /// Takes in an event of our own, whose id is new, however many there are.
    pub(super) fn add(&mut self, told: &Told) {
        self.note(&told.report);
        self.insert(told.event.clone());
    }

    /// Whether the call's events were deleted, so that the call does not follow from these.
    pub(super) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    fn insert(&mut self, event: Event) {
        match &mut self.folded {
            Some(folded) => folded.push(event),
            None => self.folded = Some(Folded::of(History::opened_by(event))),
        }
    }

    /// Whether another event is known under the id of this one.
    pub(super) fn contradicts(&self, told: &Told) -> bool {
        self.words.get(&told.report.id).is_some_and(|known| !known.same_as(&Words::of(&told.report)))
    }

    /// The id under which an event of this call is kept that was told of a call of one of these names, if it was one of
    /// those that lost their id when the calls were merged.
    pub(super) fn renamed<'a>(
        &self,
        told: &Told,
        names: impl IntoIterator<Item = &'a CallName>,
    ) -> Option<EventId> {
        let words = Words::of(&told.report);
        let ids = names.into_iter().map(|name| id_in_merged(&told.report.id, name, 0));
        ids.into_iter().find(|id| self.words.get(id).is_some_and(|known| known.same_as(&words)))
    }

    /// Takes in what the call of this name knew, which turned out to be this one. Each source counts the events of each call by
    /// itself, so one of the other's whose id is taken here is another event, and gets another id: nothing that it
    /// told is lost. Only the very same event is kept once. Returns the ids that have changed.
    pub(super) fn absorb(&mut self, other: &Self, name: &CallName) -> Vec<(EventId, EventId)> {
        let mut renamed = Vec::new();
        self.bytes += other.bytes;
        let events = |folded: &Option<Folded>| {
            folded.as_ref().map(|folded| folded.history().events().to_vec()).unwrap_or_default()
        };
        let mut all = events(&self.folded);
        let ours: HashMap<EventId, Event> =
            all.iter().map(|event| (event.id.clone(), event.clone())).collect();
        for mut event in events(&other.folded) {
            let Some(words) = other.words.get(&event.id).copied() else { continue };
            if let Some(known) = self.words.get(&event.id) {
                if *known == words && ours.get(&event.id) == Some(&event) {
                    continue;
                }
                let free = |id: &EventId| !self.words.contains_key(id) && !other.words.contains_key(id);
                let mut ids = (0..=u32::MAX).map(|attempt| id_in_merged(&event.id, name, attempt));
                let Some(id) = ids.find(free) else { continue };
                renamed.push((std::mem::replace(&mut event.id, id.clone()), id));
            }
            self.words.insert(event.id.clone(), words);
            all.push(event);
        }
        self.folded = History::of(all).map(Folded::of);
        renamed
    }

    /// The history; `None` while no event has passed.
    pub(super) fn history(&self) -> Option<&History> {
        self.folded.as_ref().map(Folded::history)
    }

    /// Folds the call, where it is not at hand already.
    pub(super) fn fold(&mut self) {
        if let Some(folded) = &mut self.folded {
            if folded.call().is_none() {
                // Its costs may be in another order now.
                self.tally = None;
            }
            folded.fold();
        }
    }

    /// The call that was folded of the history as it is now.
    pub(super) fn call(&self) -> Option<&Call> {
        self.folded.as_ref()?.call()
    }

    /// What the call costs under the tariff that it is kept with.
    pub(super) fn charge(&mut self, id: TariffId, tariff: &Tariff) -> Option<Charge> {
        let folded = self.folded.as_ref()?;
        let tally = self.tally.filter(|(of, _)| *of == id);
        let mut tally = tally.map(|(_, tally)| tally).unwrap_or_default();
        let charge = tariff.charge(folded.call()?, &mut tally);
        self.tally = Some((id, tally));
        Some(charge)
    }

    /// The keys of metadata that may differ from the call that was last saved; `None`: any.
    pub(super) fn changed_metadata(&self) -> Option<&[String]> {
        self.folded.as_ref()?.changed_metadata()
    }

    /// Notes that the call is saved as it is now, with this basis.
    pub(super) fn mark_saved(&mut self, basis: KeptBasis) {
        self.basis = Some(basis);
        if let Some(folded) = &mut self.folded {
            folded.mark_saved();
        }
    }

    /// Whether the call was in progress when it was saved last.
    pub(super) fn lives(&self) -> bool {
        self.basis.as_ref().is_some_and(|basis| !basis.is_over)
    }

    /// Whether there are so many events, or so many bytes.
    fn reaches(&self, bounds: Bounds) -> bool {
        self.len() >= bounds.events || self.bytes >= bounds.bytes
    }

    /// Drops what is made anew at less cost than its memory.
    fn release(&mut self, keep_folded: Bounds) {
        if !self.reaches(keep_folded)
            && let Some(folded) = &mut self.folded
        {
            folded.release();
        }
    }

    /// Forgets what a call must not keep that opted out or, where `words_only`, whose transcript was deleted; names the events
    /// that held it, with what is left of their data.
    pub(super) fn blank(&mut self, words_only: bool) -> Vec<(EventId, Document)> {
        let Some(folded) = &mut self.folded else { return Vec::new() };
        let mut blanked = Vec::new();
        let events = folded.history().events().to_vec();
        // Who spoke is kept only where nothing else shows that the call was answered.
        let is_answered = events.iter().any(|event| event.fact == Fact::Answered);
        let emptied: Vec<Event> = events
            .into_iter()
            .map(|mut event| {
                let must_go = if words_only { event.fact.is_spoken() } else { event.fact.is_sensitive() };
                let left = match if words_only { event.fact.without_words() } else { event.fact.blanked() } {
                    Fact::Spoke(_) if is_answered => Fact::Seen,
                    left => left,
                };
                let known = self.words.get_mut(&event.id);
                // Of one that was blanked already less may have to be left now.
                if must_go && let Some(words) = known.filter(|words| !words.blanked || event.fact != left) {
                    words.blanked = true;
                    // The leg went with the data.
                    event.leg = None;
                    blanked.push((event.id.clone(), vocabulary::residue(&event, &left)));
                    event.fact = left;
                }
                event
            })
            .collect();
        if !blanked.is_empty()
            && let Some(emptied) = History::of(emptied)
        {
            *folded = Folded::of(emptied);
        }
        blanked
    }

    fn len(&self) -> usize {
        self.words.len()
    }

    /// About how many bytes it keeps of what the events tell: a call that is kept as well tells all of it again.
    pub(super) fn size(&self) -> usize {
        if self.call().is_some() { self.bytes * 2 } else { self.bytes }
    }
}

/// The id that an event told of the call of this name has in a merged call, where its own is that of another event.
pub(super) fn id_in_merged(id: &EventId, call: &CallName, attempt: u32) -> EventId {
    vocabulary::event_id_of(&format!("{id} of the merged {call} {attempt}"))
}

fn reused(id: &EventId, known_at: i64) -> Rejection {
    let message = format!("the event id {id} is known with other content; send a correction under a new id");
    let known_at = Some(Timestamp::from_millis(known_at));
    Rejection { known_at, ..Rejection::new(Rejection::EVENT_ID_REUSED, message) }
}

/// How many events, and how many bytes of their data.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    events: usize,
    bytes: usize,
}

/// The histories that were written last, as many as fit: of calls that live, and of those that are over.
pub(super) struct Cache {
    pub(super) thresholds: Thresholds,
    live: Shelf,
    over: Shelf,
}

impl Cache {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, live: Shelf::with_room(OF_LIVE), over: Shelf::with_room(OF_OVER) }
    }

    pub(super) fn take(&mut self, key: CallKey) -> Option<Kept> {
        self.live.take(key).or_else(|| self.over.take(key))
    }

    /// Keeps the history of a call that was taken, or never kept.
    pub(super) fn put(&mut self, key: CallKey, mut kept: Kept) {
        kept.release(self.thresholds.keep_folded);
        let shelf = if kept.lives() { &mut self.live } else { &mut self.over };
        shelf.put(key, kept);
    }
}

struct Shelf {
    room: Bounds,
    calls: LruCache<CallKey, Kept>,
    events: usize,
    bytes: usize,
}

impl Shelf {
    fn with_room(room: Bounds) -> Self {
        Self { room, calls: LruCache::unbounded(), events: 0, bytes: 0 }
    }

    fn take(&mut self, key: CallKey) -> Option<Kept> {
        let kept = self.calls.pop(&key)?;
        self.discount(&kept);
        Some(kept)
    }

    fn put(&mut self, key: CallKey, kept: Kept) {
        self.events += kept.len();
        self.bytes += kept.size();
        if let Some(before) = self.calls.put(key, kept) {
            self.discount(&before);
        }
        while (self.events > self.room.events || self.bytes > self.room.bytes)
            && let Some((_, oldest)) = self.calls.pop_lru()
        {
            self.discount(&oldest);
        }
    }

    fn discount(&mut self, kept: &Kept) {
        self.events -= kept.len();
        self.bytes -= kept.size();
    }
}

#[cfg(test)]
mod tests {
    use pegcount_store::Basis;

    use super::*;

    fn kept(bytes: usize) -> Kept {
        Kept { bytes, ..Kept::empty() }
    }

    fn saved(bytes: usize, is_over: bool) -> Kept {
        Kept { basis: Some(KeptBasis { basis: Basis::default(), looked_up: None, is_over }), ..kept(bytes) }
    }

    #[test]
    fn a_full_call_says_whether_events_or_bytes_are_too_many() {
        let almost = kept(MOST_BYTES - 10);
        assert_eq!(almost.full(10), None);
        let bytes = almost.full(11).unwrap();
        assert!(bytes.contains("bytes of data") && bytes.contains("16777216"), "{bytes}");
        let mut many = kept(0);
        let report = vocabulary::deleted("recording_deleted", pegcount_calls::Timestamp::from_millis(0));
        let words = Words::of(&report.unwrap().report);
        for number in 0..MOST_EVENTS {
            many.words.insert(EventId::new(number.to_string()).unwrap(), words);
        }
        assert_eq!(
            many.full(0).unwrap(),
            "the call has 20000 events; one call may have 20000 events and 16777216 bytes of their data"
        );
    }

    #[test]
    fn calls_that_are_over_make_room_for_each_other_and_leave_live_ones_alone() {
        let mut cache = Cache::new(Thresholds::default());
        cache.put(CallKey(1), saved(1, false));
        for over in 2..10 {
            cache.put(CallKey(over), saved(OF_OVER.bytes / 4, true));
        }
        assert!(cache.take(CallKey(1)).is_some());
        assert!(cache.take(CallKey(1)).is_none());
        assert!(cache.take(CallKey(5)).is_none());
        assert!(cache.take(CallKey(9)).is_some());
        assert_eq!((cache.live.bytes, cache.over.bytes), (0, OF_OVER.bytes / 4 * 3));
    }
}
