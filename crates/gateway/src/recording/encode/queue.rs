//! The threads that make recordings, and the journals that wait for them.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use super::{Making, make, output::keep_names_of};
use crate::recording::report::{Report, Reporter, Told};

/// How many journals may wait. More are left for the next start.
const ROOM: usize = 16_384;

/// Where finished journals go. When its last copy is dropped, the threads end after what waits already.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    journals: SyncSender<PathBuf>,
    reporter: Reporter,
}

impl Queue {
    /// Starts so many threads.
    pub fn start(threads: usize, making: &Making, reporter: &Reporter) -> io::Result<Self> {
        let (journals, waiting) = sync_channel(ROOM);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads.max(1) {
            let (waiting, making, reporter) = (waiting.clone(), making.clone(), reporter.clone());
            thread::Builder::new().name("recording".to_owned()).spawn(move || {
                // Calls that go on come first. On Linux this is of the thread alone; where it fails nothing is lost.
                let _ = rustix::process::setpriority_process(None, 19);
                run(&waiting, &making, &reporter);
            })?;
        }
        Ok(Self { journals, reporter: reporter.clone() })
    }

    /// Has a recording made of a journal. Never waits.
    pub fn push(&self, journal: PathBuf) {
        if let Err(TrySendError::Full(journal) | TrySendError::Disconnected(journal)) =
            self.journals.try_send(journal)
        {
            self.reporter.failed(&call_of(&journal), "too many recordings wait to be made");
        }
    }
}

fn run(waiting: &Mutex<Receiver<PathBuf>>, making: &Making, reporter: &Reporter) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(journal) = next else { return };
        let report = one(&journal, making);
        if !matches!(report, Report::Failed { .. })
            && let Err(error) = remove(&journal)
        {
            // The recording is there; it is made anew at the next start, which does no harm.
            reporter.disk_error(&call_of(&journal), &Told::default(), &error);
        }
        reporter.outcome(report);
    }
}

fn one(journal: &Path, making: &Making) -> Report {
    let call = call_of(journal);
    match catch_unwind(AssertUnwindSafe(|| make(journal, making))) {
        Ok(Ok(Some(recorded))) => Report::Recorded(recorded),
        Ok(Ok(None)) => Report::Empty { call },
        Ok(Err(error)) => Report::Failed { call, reason: error.to_string() },
        Err(_) => Report::Failed { call, reason: "the encoder panicked".to_owned() },
    }
}

fn remove(journal: &Path) -> io::Result<()> {
    fs::remove_file(journal)?;
    journal.parent().map_or(Ok(()), keep_names_of)
}

fn call_of(journal: &Path) -> String {
    journal.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
