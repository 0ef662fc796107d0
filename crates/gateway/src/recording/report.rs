//! What the recorder tells: of each call, and in sum.

use std::{
    fmt::Display,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;

use super::encode::Format;

/// A finished recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whose it is.
    pub call: String,
    /// The file; the disk keeps it.
    pub path: PathBuf,
    /// What kind of file it is.
    pub format: Format,
    /// 1, or 2 with the caller on the left and the callee on the right.
    pub channels: u8,
    /// How large it is.
    pub bytes: u64,
    /// How long it is.
    pub duration: Duration,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The time of day at its first sample: when the first packet of media arrived.
    pub begins_at: SystemTime,
    /// What is missing from it, or was mended.
    pub flaws: Flaws,
}

/// What of a call's media is not in its recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// Frames that found no room on their way to the journal.
    pub frames_dropped: u64,
    /// Packets whose sequence numbers never arrived; silence stands in their place.
    pub packets_lost: u64,
    /// Packets for which their time had no room: a side that sends more than it has time for.
    pub packets_surplus: u64,
    /// Packets that their codec could not decode.
    pub packets_damaged: u64,
    /// The journal reached its greatest size, or the recording its greatest length: the rest of the call is not in it.
    pub cut: bool,
    /// The program ended before the call did, or the journal is torn: the last second or more of what was heard is not
    /// in the recording.
    pub interrupted: bool,
}

/// What happened to a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is done. The journal is gone.
    Recorded(Recorded),
    /// There was nothing to hear. The journal is gone.
    Empty {
        /// Whose it would be.
        call: String,
    },
    /// It could not be made. The journal is kept, and tried again when a recorder next starts.
    Failed {
        /// Whose it would be.
        call: String,
        /// What went wrong.
        reason: String,
    },
    /// The disk refused some of the media; the call and the rest of its recording go on. Told once a call.
    DiskError {
        /// Whose media it was.
        call: String,
        /// What the disk said.
        reason: String,
    },
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes written to journals.
    pub journal_bytes: u64,
    /// Frames that found no room on their way to a journal.
    pub frames_dropped: u64,
    /// Times that the disk refused to open, take or keep a part of a journal.
    pub disk_errors: u64,
    /// Journals that reached their greatest size.
    pub journals_cut: u64,
    /// Recordings made.
    pub recorded: u64,
    /// Calls in which there was nothing to hear.
    pub empty: u64,
    /// Recordings that could not be made.
    pub failed: u64,
    /// Reports that nobody was there to take in time.
    pub reports_dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    journal_bytes: AtomicU64,
    frames_dropped: AtomicU64,
    disk_errors: AtomicU64,
    journals_cut: AtomicU64,
    recorded: AtomicU64,
    empty: AtomicU64,
    failed: AtomicU64,
    reports_dropped: AtomicU64,
}

/// Whether a disk error of a call was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<AtomicBool>);

/// Counts and tells.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    reports: mpsc::Sender<Report>,
    counters: Arc<Counters>,
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Reporter {
    /// One with room for so many reports that were not taken yet.
    pub fn with_room(reports: usize) -> (Self, mpsc::Receiver<Report>) {
        let (sender, receiver) = mpsc::channel(reports);
        (Self { reports: sender, counters: Arc::default() }, receiver)
    }

    pub fn counts(&self) -> Counts {
        let all = &*self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            journal_bytes: read(&all.journal_bytes),
            frames_dropped: read(&all.frames_dropped),
            disk_errors: read(&all.disk_errors),
            journals_cut: read(&all.journals_cut),
            recorded: read(&all.recorded),
            empty: read(&all.empty),
            failed: read(&all.failed),
            reports_dropped: read(&all.reports_dropped),
        }
    }

    pub fn journal_bytes(&self, bytes: usize) {
        count(&self.counters.journal_bytes, bytes as u64);
    }

    pub fn frames_dropped(&self, frames: u64) {
        count(&self.counters.frames_dropped, frames);
    }

    pub fn cut(&self) {
        count(&self.counters.journals_cut, 1);
    }

    /// Counts an error of the disk, and tells the first of a call. Never waits.
    pub fn disk_error(&self, call: &str, told: &Told, error: &dyn Display) {
        count(&self.counters.disk_errors, 1);
        if !told.0.swap(true, Ordering::Relaxed) {
            let report = Report::DiskError { call: call.to_owned(), reason: error.to_string() };
            if self.reports.try_send(report).is_err() {
                count(&self.counters.reports_dropped, 1);
            }
        }
    }

    /// Counts and tells what became of a journal. Waits for room: only for a thread that may.
    pub fn outcome(&self, report: Report) {
        let counter = match &report {
            Report::Recorded(_) => &self.counters.recorded,
            Report::Empty { .. } => &self.counters.empty,
            Report::Failed { .. } => &self.counters.failed,
            Report::DiskError { .. } => &self.counters.disk_errors,
        };
        count(counter, 1);
        if self.reports.blocking_send(report).is_err() {
            count(&self.counters.reports_dropped, 1);
        }
    }

    /// Counts a journal that could not be handed on, and tells when there is room. Never waits.
    pub fn failed(&self, call: &str, reason: &str) {
        count(&self.counters.failed, 1);
        let report = Report::Failed { call: call.to_owned(), reason: reason.to_owned() };
        if self.reports.try_send(report).is_err() {
            count(&self.counters.reports_dropped, 1);
        }
    }
}
