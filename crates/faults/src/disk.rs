//! What a disk holds, and what is left of that after a crash.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::Dice;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// Files by their names.
pub type Contents = BTreeMap<String, Vec<u8>>;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The machine is down; nothing happens any more.
    Down,
    /// There is no room.
    Full,
    /// The device says no.
    Device,
}

/// What a crash takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the process was killed, and the machine goes on.
    Nothing,
    /// Everything that was not synced.
    Unsynced,
    /// Of each file what was written last; at the edge a write may be torn.
    Latest,
    /// Of each sector what was written last, each by itself.
    Scattered,
}

/// What was done to a file since it was synced.
#[derive(Clone, Debug)]
enum Change {
    Written { at: u64, bytes: Vec<u8> },
    Cut(u64),
    Deleted,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    /// What is certain to be there; `None` where the file need not be.
    synced: Option<Vec<u8>>,
    since: Vec<Change>,
    /// The length that a reader sees, in bytes.
    length: u64,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Kept>,
    operations: u64,
    down_at: Option<u64>,
    is_down: bool,
    /// How many bytes all files may have.
    room: Option<u64>,
    /// How many percent of the syncs fail.
    failing_syncs: u64,
    /// How many percent of the writes fail.
    failing_writes: u64,
    dice: Option<Dice>,
    history: Vec<String>,
}

/// A disk.
#[derive(Default)]
pub struct Disk(Mutex<State>);

static MOUNTED: Mutex<BTreeMap<PathBuf, Weak<Disk>>> = Mutex::new(BTreeMap::new());

fn mounted() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<Disk>>> {
    MOUNTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk that a file lies on.
pub(crate) fn of_file(path: &Path) -> Option<Arc<Disk>> {
    mounted().get(path.parent()?)?.upgrade()
}

impl Disk {
    /// A disk with these files, in a folder that is empty. It is there until it is dropped; files that are open then fail.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn mount(folder: &Path, contents: &Contents) -> io::Result<Arc<Self>> {
        let disk = Arc::new(Self::default());
        for (name, bytes) in contents {
            fs::write(folder.join(name), bytes)?;
            let kept = Kept { synced: Some(bytes.clone()), since: Vec::new(), length: bytes.len() as u64 };
            disk.state().files.insert(name.clone(), kept);
        }
        let mut mounted = mounted();
        mounted.retain(|_, disk| disk.strong_count() > 0);
        mounted.insert(fs::canonicalize(folder)?, Arc::downgrade(&disk));
        Ok(disk)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine loses its power now.
    pub fn cut_power(&self) {
        self.state().is_down = true;
    }

    /// The machine loses its power in the middle of an operation, after this number of further ones; `None`: it keeps its power.
    pub fn cut_power_after(&self, operations: Option<u64>) {
        let mut state = self.state();
        state.down_at = operations.map(|more| state.operations + more);
    }

    /// Whether the machine has lost its power.
    pub fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// How many more bytes there is room for; `None`: as many as there are.
    pub fn set_room(&self, more: Option<u64>) {
        let mut state = self.state();
        let used: u64 = state.files.values().map(|file| file.length).sum();
        state.room = more.map(|more| used + more);
    }

    /// From now on this percentage of the syncs, and of the writes, fails. What a failed sync was to bring to the disk is there by chance, and
    /// no later sync looks at it again, as Linux has it.
    pub fn set_failing(&self, syncs: u64, writes: u64, dice: Dice) {
        let mut state = self.state();
        (state.failing_syncs, state.failing_writes, state.dice) = (syncs, writes, Some(dice));
    }

    /// How many operations there were: writes, cuts, syncs and deletions.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What was done to the disk, in its order.
    pub fn history(&self) -> Vec<String> {
        self.state().history.clone()
    }

    /// The same as a number.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.state().history.hash(&mut hasher);
        hasher.finish()
    }

    /// What is left on the disk after a crash. For each file it is chosen anew how much of what was not synced that is.
    pub fn left(&self, loss: Loss, dice: &mut Dice) -> Contents {
        let state = self.state();
        let left = state.files.iter().filter_map(|(name, kept)| Some((name.clone(), kept.left(loss, dice)?)));
        left.collect()
    }

    pub(crate) fn opened(&self, name: &str, length: u64) {
        let mut state = self.state();
        state.files.entry(name.to_owned()).or_insert_with(|| Kept { length, ..Kept::default() });
    }

    pub(crate) fn read(&self) -> Result<(), Failure> {
        if self.state().is_down { Err(Failure::Down) } else { Ok(()) }
    }

    pub(crate) fn write(&self, name: &str, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        let mut state = self.state();
        let end = at + bytes.len() as u64;
        let goes_down = state.count(|| format!("write {name} {at}..{end}"))?;
        let times = state.failing_writes;
        if state.fails(times) {
            return Err(Failure::Device);
        }
        let used: u64 = state.files.values().map(|file| file.length).sum();
        let room = state.room;
        let kept = state.files.entry(name.to_owned()).or_default();
        let more = end.saturating_sub(kept.length);
        if more > 0 && room.is_some_and(|room| used + more > room) {
            return Err(Failure::Full);
        }
        kept.since.push(Change::Written { at, bytes: bytes.to_vec() });
        kept.length += more;
        if goes_down { Err(Failure::Down) } else { Ok(()) }
    }

    pub(crate) fn cut(&self, name: &str, length: u64) -> Result<(), Failure> {
        let mut state = self.state();
        let goes_down = state.count(|| format!("cut {name} {length}"))?;
        let kept = state.files.entry(name.to_owned()).or_default();
        kept.since.push(Change::Cut(length));
        kept.length = length;
        if goes_down { Err(Failure::Down) } else { Ok(()) }
    }

    /// Deletes a file, for good if its folder is synced too.
    pub(crate) fn delete(&self, name: &str, for_good: bool) -> Result<(), Failure> {
        let mut state = self.state();
        let goes_down = state.count(|| format!("delete {name} {for_good}"))?;
        let kept = state.files.entry(name.to_owned()).or_default();
        kept.since.push(Change::Deleted);
        kept.length = 0;
        if goes_down {
            return Err(Failure::Down);
        }
        if for_good {
            *kept = Kept::default();
        }
        Ok(())
    }

    pub(crate) fn sync(&self, name: &str) -> Result<(), Failure> {
        let mut state = self.state();
        if state.count(|| format!("sync {name}"))? {
            return Err(Failure::Down);
        }
        let times = state.failing_syncs;
        let fails = state.fails(times);
        let State { files, dice, .. } = &mut *state;
        let kept = files.entry(name.to_owned()).or_default();
        let loss = if fails { Loss::Scattered } else { Loss::Nothing };
        kept.synced = kept.left(loss, dice.get_or_insert(Dice::of(0)));
        kept.since.clear();
        if fails { Err(Failure::Device) } else { Ok(()) }
    }
}

impl State {
    /// Counts an operation; whether the machine goes down in the middle of it.
    fn count(&mut self, what: impl FnOnce() -> String) -> Result<bool, Failure> {
        if self.is_down {
            return Err(Failure::Down);
        }
        self.history.push(what());
        self.is_down = self.down_at.is_some_and(|at| at <= self.operations);
        self.operations += 1;
        Ok(self.is_down)
    }

    fn fails(&mut self, times: u64) -> bool {
        times > 0 && self.dice.as_mut().is_some_and(|dice| dice.percent(times))
    }
}

impl Kept {
    /// What is left of it, if anything.
    fn left(&self, loss: Loss, dice: &mut Dice) -> Option<Vec<u8>> {
        // A file system keeps the order in which files grow shorter or vanish, and what came after that comes after.
        let is_edge = |change: &Change| !matches!(change, Change::Written { .. });
        let edges: Vec<usize> = (0..self.since.len()).filter(|place| is_edge(&self.since[*place])).collect();
        let reached = match loss {
            Loss::Nothing => edges.len(),
            Loss::Unsynced => 0,
            Loss::Latest | Loss::Scattered => dice.place(edges.len() + 1),
        };
        let since = &self.since[..edges.get(reached).copied().unwrap_or(self.since.len())];
        let end = since.len();
        let edge = dice.place(end + 1);
        let mut reached_by = BTreeMap::new();
        let mut reaches = |sector: u64| match loss {
            Loss::Nothing => end,
            Loss::Unsynced => 0,
            Loss::Latest => *reached_by.entry(sector).or_insert_with(|| edge + usize::from(dice.percent(50))),
            Loss::Scattered => *reached_by.entry(sector).or_insert_with(|| dice.place(end + 1)),
        };
        let mut left = self.synced.clone();
        for (place, change) in since.iter().enumerate() {
            match change {
                Change::Deleted => left = None,
                Change::Cut(length) => {
                    let bytes = left.get_or_insert_default();
                    bytes.resize(usize::try_from(*length).unwrap_or_default(), 0);
                }
                Change::Written { at, bytes } => {
                    for (at, piece) in sectors(*at, bytes) {
                        if place < reaches(at / SECTOR) {
                            put(left.get_or_insert_default(), at, piece);
                        }
                    }
                }
            }
        }
        left
    }
}

/// The parts of a write that lie in different sectors, and where each begins.
fn sectors(at: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut rest) = (at, bytes);
    std::iter::from_fn(move || {
        let taken = usize::try_from(SECTOR - at % SECTOR).unwrap_or_default().min(rest.len());
        let (piece, left) = rest.split_at_checked(taken).filter(|(piece, _)| !piece.is_empty())?;
        let begins = at;
        (at, rest) = (at + piece.len() as u64, left);
        Some((begins, piece))
    })
}

fn put(file: &mut Vec<u8>, at: u64, piece: &[u8]) {
    let Ok(at) = usize::try_from(at) else { return };
    let end = at + piece.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(piece);
}
