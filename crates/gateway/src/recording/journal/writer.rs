//! Writes the journals of all calls, on one thread, and has the disk keep them, on another: so that a disk that takes
//! its time over one call's journal costs no other call a frame.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use pegcount_sealed::Keys;
use tokio::sync::mpsc;

use super::{Beginning, Ending, MAGIC, Record, append, append_sealed};
use crate::{
    Frame, Side, Tap,
    recording::{
        codec::PayloadMap,
        report::{Reporter, Told},
    },
};

/// How often what has come in is written.
const TICK: Duration = Duration::from_millis(100);

/// How often the disk is asked to keep what was written.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// How much is written at once.
pub(super) const AT_ONCE: usize = 64 * 1024;

/// What the handle of a call has to say to the thread that writes. Neither waits for the other.
#[derive(Debug, Default)]
pub(crate) struct Line {
    maps: Mutex<Vec<(Side, PayloadMap)>>,
    ending: OnceLock<Ending>,
    abandoned: AtomicBool,
}

impl Line {
    /// From now on the payload types of a side mean this. Of what was told since the last tick the last word counts.
    pub fn payloads(&self, side: Side, map: PayloadMap) {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        maps.retain(|(told, _)| *told != side);
        maps.push((side, map));
    }

    /// The call is over. The first word counts.
    pub fn end(&self, ending: Ending) {
        let _ = self.ending.set(ending);
    }

    /// Nobody will tell the end of the call.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    fn changed_maps(&self) -> Vec<(Side, PayloadMap)> {
        std::mem::take(&mut *self.maps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A journal that is to be begun.
#[derive(Debug)]
pub(crate) struct Opening {
    pub path: PathBuf,
    pub beginning: Beginning,
    pub frames: mpsc::Receiver<Frame>,
    pub tap: Tap,
    pub line: Arc<Line>,
}

/// The two threads, which end when the sender of openings is dropped, with all that came in written and kept.
#[derive(Debug)]
pub(crate) struct Threads {
    writer: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Threads {
    /// Starts them. `limit` is the greatest size of a journal, `keys` are what they are sealed with, `finished` is told of
    /// each that is over.
    pub fn start(
        openings: Receiver<Opening>,
        limit: u64,
        keys: Option<Keys>,
        reporter: Reporter,
        finished: impl FnMut(PathBuf) + Send + 'static,
    ) -> io::Result<Self> {
        let (keep, kept) = sync_channel(1_024);
        let told = reporter.clone();
        let keeper = thread::Builder::new().name("journal-sync".to_owned()).spawn(move || {
            while let Ok(order) = kept.recv() {
                keep_on_disk(&order, &told);
            }
        })?;
        let writer = Writer { limit, keys, reporter, keep, finished, calls: Vec::new() };
        let writer =
            thread::Builder::new().name("journal-write".to_owned()).spawn(move || writer.run(&openings))?;
        Ok(Self { writer, keeper })
    }

    /// Waits until both have ended.
    pub fn join(self) {
        let _ = self.writer.join();
        let _ = self.keeper.join();
    }
}

/// A file that the disk is asked to keep, and whether that is still to be done.
struct Keep {
    call: String,
    file: Arc<File>,
    /// Where the file was begun, while that is not kept yet.
    folder: Option<PathBuf>,
    asked: Arc<AtomicBool>,
    told: Told,
}

fn keep_on_disk(order: &Keep, reporter: &Reporter) {
    // Before the disk is asked: what is written meanwhile is asked for anew.
    order.asked.store(false, Ordering::Release);
    let folder = order.folder.as_ref().map_or(Ok(()), |folder| File::open(folder)?.sync_all());
    if let Err(error) = order.file.sync_data().and(folder) {
        reporter.disk_error(&order.call, &order.told, &error);
    }
}

struct Writer<F> {
    limit: u64,
    keys: Option<Keys>,
    reporter: Reporter,
    keep: SyncSender<Keep>,
    finished: F,
    calls: Vec<Call>,
}

impl<F: FnMut(PathBuf)> Writer<F> {
    fn run(mut self, openings: &Receiver<Opening>) {
        loop {
            let stopping = match openings.recv_timeout(TICK) {
                Ok(opening) => {
                    self.open(opening);
                    openings.try_iter().for_each(|opening| self.open(opening));
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let mut calls = std::mem::take(&mut self.calls);
            calls.retain_mut(|call| self.goes_on(call, stopping));
            self.calls = calls;
            if stopping {
                return;
            }
        }
    }

    fn open(&mut self, opening: Opening) {
        let file = OpenOptions::new().append(true).create_new(true).open(&opening.path);
        match file {
            Ok(file) => self.calls.push(Call::begin(opening, file, self.keys.clone())),
            // The call goes on; its tap finds nobody and counts.
            Err(error) => self.reporter.disk_error(&opening.beginning.call, &Told::default(), &error),
        }
    }

    /// Writes what has come in for a call. Whether more may come.
    fn goes_on(&mut self, call: &mut Call, stopping: bool) -> bool {
        // Before the frames are taken: whatever was offered before the end is among them.
        let ending = call.ending();
        call.take_in(self.limit, &self.reporter);
        if let Some(ending) = &ending {
            let record =
                Record::Ended { ending: ending.clone(), dropped: call.tap.dropped(), interrupted: false };
            append(&record, &mut call.buffer);
        }
        call.write(&self.reporter);
        if ending.is_some() || stopping || call.kept_at.elapsed() >= KEEP_EVERY {
            call.ask_to_keep(&self.keep, stopping);
        }
        if ending.is_some() {
            (self.finished)(call.path.clone());
        }
        ending.is_none()
    }
}

/// A call whose journal is being written.
struct Call {
    name: String,
    path: PathBuf,
    started_at: SystemTime,
    frames: mpsc::Receiver<Frame>,
    tap: Tap,
    dropped: u64,
    line: Arc<Line>,
    sheet: Sheet<Arc<File>>,
    keys: Option<Keys>,
    /// Records that are to be written.
    buffer: Vec<u8>,
    last_nanos: u64,
    cut: bool,
    unkept: bool,
    folder: Option<PathBuf>,
    asked: Arc<AtomicBool>,
    told: Told,
    kept_at: Instant,
}

impl Call {
    fn begin(opening: Opening, file: File, keys: Option<Keys>) -> Self {
        let mut buffer = Vec::new();
        append(&Record::Beginning(opening.beginning.clone()), &mut buffer);
        Self {
            name: opening.beginning.call,
            folder: opening.path.parent().map(Path::to_path_buf),
            path: opening.path,
            started_at: opening.beginning.started_at,
            frames: opening.frames,
            tap: opening.tap,
            dropped: 0,
            line: opening.line,
            sheet: Sheet { file: Arc::new(file), whole: 0, broken: false },
            keys,
            buffer,
            last_nanos: 0,
            cut: false,
            unkept: false,
            asked: Arc::default(),
            told: Told::default(),
            kept_at: Instant::now(),
        }
    }

    /// How the call ended, if it has. Of one that nobody ends any more the last frame is the end.
    fn ending(&self) -> Option<Ending> {
        // In this order: a handle tells the end before it is dropped.
        let abandoned = self.line.abandoned.load(Ordering::Acquire);
        self.line.ending.get().cloned().or_else(|| {
            abandoned.then(|| Ending {
                reason: "abandoned".to_owned(),
                ended_at: self
                    .started_at
                    .checked_add(Duration::from_nanos(self.last_nanos))
                    .unwrap_or(self.started_at),
            })
        })
    }

    fn take_in(&mut self, limit: u64, reporter: &Reporter) {
        for (side, map) in self.line.changed_maps() {
            append(&Record::Payloads(side, map), &mut self.buffer);
        }
        let dropped = self.tap.dropped();
        reporter.frames_dropped(dropped - self.dropped);
        self.dropped = dropped;
        // No more than there were when it began: one call that floods must not hold up the others.
        for _ in 0..self.frames.len() {
            let Ok(frame) = self.frames.try_recv() else { break };
            self.last_nanos = self.last_nanos.max(frame.arrived_nanos);
            if self.cut {
                continue;
            }
            if self.sheet.whole + (self.buffer.len() + frame.payload.len()) as u64 >= limit {
                self.cut = true;
                append(&Record::Cut, &mut self.buffer);
                reporter.cut();
                continue;
            }
            append(&Record::Frame(frame), &mut self.buffer);
            if self.buffer.len() >= AT_ONCE {
                self.write(reporter);
            }
        }
    }

    fn write(&mut self, reporter: &Reporter) {
        if self.buffer.is_empty() {
            return;
        }
        let before = self.sheet.whole;
        let Self { keys, name, buffer, sheet, .. } = self;
        let written = piece(keys.as_ref(), (name, before), buffer).and_then(|piece| sheet.append(&piece));
        match written {
            Ok(()) => {
                self.unkept = true;
                reporter.journal_bytes((self.sheet.whole - before) as usize);
            }
            Err(error) => reporter.disk_error(&self.name, &self.told, &error),
        }
        self.buffer.clear();
    }

    /// Asks for what is written to be kept. Only `surely` waits for room to ask, which other calls would wait with.
    fn ask_to_keep(&mut self, keep: &SyncSender<Keep>, surely: bool) {
        if !self.unkept || self.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let order = Keep {
            call: self.name.clone(),
            file: self.sheet.file.clone(),
            folder: self.folder.clone(),
            asked: self.asked.clone(),
            told: self.told.clone(),
        };
        let sent = if surely { keep.send(order).is_ok() } else { keep.try_send(order).is_ok() };
        if sent {
            self.unkept = false;
            self.folder = None;
            self.kept_at = Instant::now();
        } else {
            self.asked.store(false, Ordering::Release);
        }
    }
}

/// Some records as they are to stand in the journal of a call that has so many bytes.
fn piece<'a>(
    keys: Option<&Keys>,
    (call, whole): (&str, u64),
    records: &'a [u8],
) -> io::Result<Cow<'a, [u8]>> {
    let mut piece = if whole == 0 { MAGIC.to_vec() } else { Vec::new() };
    match keys {
        Some(keys) => append_sealed(records, keys, (call, whole + piece.len() as u64), &mut piece)?,
        None if piece.is_empty() => return Ok(Cow::Borrowed(records)),
        None => piece.extend(records),
    }
    Ok(Cow::Owned(piece))
}

/// A file that grows by whole pieces, and can be cut.
trait Growing {
    fn grow(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Growing for Arc<File> {
    fn grow(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&**self).write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// What a journal is written on: either all of a piece is on it, or nothing of it.
struct Sheet<F> {
    file: F,
    whole: u64,
    /// Part of a piece is on it and cannot be taken away: nothing that follows could be read.
    broken: bool,
}

impl<F: Growing> Sheet<F> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the journal ends in a piece of a record"));
        }
        match self.file.grow(bytes) {
            Ok(()) => {
                self.whole += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.broken = self.file.cut(self.whole).is_err();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Small {
        room: usize,
        bytes: Vec<u8>,
        cuts: bool,
    }

    impl Growing for Small {
        fn grow(&mut self, bytes: &[u8]) -> io::Result<()> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend(&bytes[..fits]);
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            if self.cuts {
                self.bytes.truncate(length as usize);
            }
            if self.cuts { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
        }
    }

    #[test]
    fn a_full_disk_leaves_no_piece_of_a_record_and_is_written_on_when_it_has_room() {
        let mut sheet =
            Sheet { file: Small { room: 5, bytes: Vec::new(), cuts: true }, whole: 0, broken: false };
        sheet.append(b"one").expect("room");
        sheet.append(b"two").expect_err("no room");
        assert_eq!(sheet.file.bytes, b"one");
        sheet.file.room = 100;
        sheet.append(b"three").expect("room again");
        assert_eq!(sheet.file.bytes, b"onethree");
    }

    #[test]
    fn nothing_is_written_after_a_piece_that_could_not_be_taken_away() {
        let mut sheet =
            Sheet { file: Small { room: 5, bytes: Vec::new(), cuts: false }, whole: 0, broken: false };
        sheet.append(b"one").expect("room");
        sheet.append(b"two").expect_err("no room");
        sheet.file.room = 100;
        sheet.append(b"three").expect_err("it would not be read");
        assert_eq!(sheet.file.bytes, b"onetw");
    }
}
