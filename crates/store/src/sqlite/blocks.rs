//! What many days of a series add up to, remembered.
//!
//! The statistics of a year and the total of every list add up days, nearly all of which change no more. So the sum of a
//! block of days is kept in memory once somebody asked for it, until a commit changes one of its days.
//!
//! A read sees the commits that were over when it began, perhaps some later ones, and never a part of one. So it may take
//! what is remembered, and have remembered what it adds up, if no commit has begun to change the block since the last
//! one that it sees for sure.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;

use super::fault::Result;
use crate::rollups::Tally;

/// A series, and the number of one of its blocks.
pub(super) type Block = (i64, i64);

/// How many sums are remembered: a few megabytes.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");
/// Of how many blocks it is known when they changed last, before all are taken to have changed.
const KNOWN: usize = 100_000;

/// The sums of blocks, for all readers.
pub(super) struct Blocks(Mutex<State>);

struct State {
    /// How many commits have begun.
    begun: u64,
    /// How many are over: all of them, or all but the last.
    over: u64,
    /// Which commit changed a block last; any other was changed by `others`, or before.
    changed: HashMap<Block, u64>,
    others: u64,
    /// The sums after the commit that changed the block last.
    sums: LruCache<Block, (u64, Arc<Tally>)>,
}

impl State {
    fn changed(&self, block: Block) -> u64 {
        self.changed.get(&block).copied().unwrap_or(self.others)
    }
}

impl Default for Blocks {
    fn default() -> Self {
        let (changed, sums) = (HashMap::new(), LruCache::new(REMEMBERED));
        Self(Mutex::new(State { begun: 0, over: 0, changed, others: 0, sums }))
    }
}

impl Blocks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commits that a read which has not begun yet will see for sure.
    pub(super) fn seen(&self) -> u64 {
        self.state().over
    }

    /// The sum of a block for a read that has begun, and for sure sees these commits: remembered, or added up.
    pub(super) fn sum(
        &self,
        seen: u64,
        block: Block,
        add_up: impl FnOnce() -> Result<Tally>,
    ) -> Result<Arc<Tally>> {
        let changed = {
            let mut state = self.state();
            let changed = state.changed(block);
            match state.sums.get(&block) {
                Some((after, sum)) if changed <= seen && *after == changed => return Ok(Arc::clone(sum)),
                _ => changed,
            }
        };
        let sum = Arc::new(add_up()?);
        if changed <= seen {
            // If it has changed meanwhile, nobody takes this.
            self.state().sums.put(block, (changed, Arc::clone(&sum)));
        }
        Ok(sum)
    }

    /// A commit begins that changes these blocks; it is over, whatever came of it, when this is dropped.
    pub(super) fn changing(&self, blocks: impl IntoIterator<Item = Block>) -> Changing<'_> {
        let mut state = self.state();
        state.begun += 1;
        let this = state.begun;
        state.changed.extend(blocks.into_iter().map(|block| (block, this)));
        if state.changed.len() > KNOWN {
            state.changed.clear();
            state.others = this;
        }
        Changing(self)
    }

    /// A commit begins that may change any block.
    pub(super) fn changing_all(&self) -> Changing<'_> {
        let changing = self.changing([]);
        let mut state = self.state();
        state.changed.clear();
        state.others = state.begun;
        drop(state);
        changing
    }
}

/// A commit that changes blocks.
pub(super) struct Changing<'a>(&'a Blocks);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.over = state.begun;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use pegcount_calls::{Direction, Status};

    use super::*;
    use crate::rollups::{Kind, Sum};

    const BLOCK: Block = (1, 7);
    const OTHER: Block = (1, 8);

    fn tally(calls: u64) -> Tally {
        let mut tally = Tally::default();
        let kind = Kind {
            erased: false,
            status: Status::Completed,
            direction: Direction::Inbound,
            disconnection: None,
        };
        tally.add(kind, &Sum { calls: calls.into(), ..Sum::default() });
        tally
    }

    fn sum(blocks: &Blocks, seen: u64, block: Block, calls: u64) -> Tally {
        Tally::clone(&blocks.sum(seen, block, || Ok(tally(calls))).unwrap_or_default())
    }

    #[test]
    fn what_was_added_up_is_remembered_until_its_block_changes() {
        let blocks = Blocks::default();
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 1), tally(1));
        drop(blocks.changing([OTHER]));
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 2), tally(1));
        drop(blocks.changing([BLOCK]));
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 2), tally(2));
        drop(blocks.changing_all());
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 3), tally(3));
    }

    #[test]
    fn a_read_that_may_not_see_a_change_neither_takes_nor_leaves_anything() {
        let blocks = Blocks::default();
        let before = blocks.seen();
        let changing = blocks.changing([BLOCK]);
        // It began before the commit, and asks while the commit is on its way: it may see it or not.
        assert_eq!(sum(&blocks, before, BLOCK, 1), tally(1));
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 2), tally(2));
        drop(changing);
        assert_eq!(sum(&blocks, before, BLOCK, 1), tally(1));
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 2), tally(2));
        assert_eq!(sum(&blocks, before, BLOCK, 1), tally(1));
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 3), tally(2));
    }

    #[test]
    fn an_older_read_that_comes_last_does_not_undo_what_is_remembered() {
        let blocks = Blocks::default();
        let before = blocks.seen();
        // It adds up slowly: meanwhile the block changes, and another read adds it up anew.
        let slow = blocks.sum(before, BLOCK, || {
            drop(blocks.changing([BLOCK]));
            assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 2), tally(2));
            Ok(tally(1))
        });
        assert_eq!(slow.ok().as_deref(), Some(&tally(1)));
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 2), tally(2));
    }

    #[test]
    fn what_is_known_of_changes_is_bounded() {
        let blocks = Blocks::default();
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 1), tally(1));
        drop(blocks.changing((0..=KNOWN).map(|series| (i64::try_from(series).unwrap_or_default() + 2, 0))));
        assert!(blocks.state().changed.len() <= KNOWN);
        assert_eq!(sum(&blocks, blocks.seen(), BLOCK, 2), tally(2));
    }

    /// Readers and a writer at once, over a store that is two numbers: what was committed, and what is in it. A read
    /// pins what is committed between asking what it sees and asking for the sum.
    #[test]
    fn readers_beside_a_writer_never_get_another_sum_than_their_own() {
        let (blocks, committed) = (Blocks::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let seen = blocks.seen();
                        let snapshot = committed.load(Ordering::SeqCst);
                        let sum = sum(&blocks, seen, BLOCK, snapshot);
                        assert_eq!(sum, tally(snapshot));
                    }
                });
            }
            scope.spawn(|| {
                for number in 1..20_000 {
                    let _changing = blocks.changing([if number % 3 == 0 { BLOCK } else { OTHER }]);
                    if number % 3 == 0 {
                        committed.store(number, Ordering::SeqCst);
                    }
                }
            });
        });
    }
}
