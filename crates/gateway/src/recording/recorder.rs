//! The recorder: the one door of this room.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, SystemTime},
};

use pegcount_lame::Lame;
use pegcount_sealed::{KeyId, Keys};
use tokio::sync::mpsc;

use super::{
    Counts, Ending, Layout, PayloadMap, Report,
    encode::{Making, Queue, SPEECH_FOLDER, remove_pieces, retold},
    journal::{
        self, Beginning, SUFFIX,
        reader::{Survey, survey},
        writer::{Line, Opening, Threads},
    },
    report::{Recorded, Reporter},
};
use crate::{Side, Tap};

/// The longest call identifier, in bytes: it becomes a file's name.
const LONGEST_CALL: usize = 128;

/// The folder of journals, in that of recordings.
const JOURNALS: &str = "journals";

/// How many calls may begin between two ticks of the writer.
const OPENINGS: usize = 4_096;

/// The longest recording whose size a WAV file can tell.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);

/// What a recorder is told.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// Where finished recordings are put. Journals are in its folder `journals`.
    pub folder: PathBuf,
    /// How the sides are put into a file.
    pub layout: Layout,
    /// The LAME library; without it recordings are WAV files.
    pub lame: Option<Lame>,
    /// Whether both sides are written apart as well, for recognisers of speech: `speech/{call}.wav` in the folder, 16 kHz,
    /// 16 bits, the caller on the left. It begins and ends with the recording, and is there before that is told.
    pub speech: bool,
    /// The greatest size of a journal, in bytes. The rest of such a call is not recorded. A side with G.711 fills about
    /// 9,000 bytes a second.
    pub journal_limit: u64,
    /// The longest recording; at most 6 hours. The rest of such a call is not in it.
    pub longest: Duration,
    /// What journals and recordings are sealed with; without they are in the clear. What lies there from before is read
    /// either way.
    pub keys: Option<Keys>,
    /// How many frames of a call may wait to be written; 1,024 are ten seconds of both sides.
    pub frames: usize,
    /// How many recordings are made at once.
    pub threads: usize,
    /// How many reports may wait to be taken. When there are more, no further recordings are made.
    pub reports: usize,
}

impl RecorderConfig {
    /// One with the usual limits: 6 hours, 512 MiB a journal, one recording made at once.
    pub fn new(folder: impl Into<PathBuf>, lame: Option<Lame>) -> Self {
        Self {
            folder: folder.into(),
            layout: Layout::default(),
            lame,
            speech: false,
            journal_limit: 512 * 1024 * 1024,
            longest: LONGEST,
            keys: None,
            frames: 1_024,
            threads: 1,
            reports: 1_024,
        }
    }
}

/// Why there is no recorder.
#[derive(Debug, thiserror::Error)]
#[error("recordings cannot be kept in {folder}: {error}")]
pub struct StartError {
    folder: PathBuf,
    #[source]
    error: io::Error,
}

/// Why a call is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// A call's identifier names its file: letters, digits, `-`, `_` and `.`, but not `.` first; at most 128 bytes.
    #[error("a call of that name cannot be recorded: a name has up to 128 letters, digits, '-', '_' and '.'")]
    Name,
    /// Too many calls began at once, or the recorder is stopping.
    #[error("too many calls began at once to record this one")]
    Busy,
}

/// A journal that a crash left: its call began, and nobody wrote its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOver {
    /// Whose it is.
    pub call: String,
    /// When its media began.
    pub started_at: SystemTime,
    /// The last time at which it is known to have gone on: when its journal was last written to.
    pub last_seen_at: SystemTime,
    path: PathBuf,
    whole: u64,
}

/// Records calls.
#[derive(Debug)]
pub struct Recorder {
    journals: PathBuf,
    keys: Option<Keys>,
    frames: usize,
    running: Mutex<Option<Running>>,
    reporter: Reporter,
    left_over: Mutex<Vec<LeftOver>>,
}

/// What there is until the recorder stops.
#[derive(Debug)]
struct Running {
    openings: SyncSender<Opening>,
    threads: Threads,
    queue: Queue,
}

impl Recorder {
    /// Starts a recorder. What becomes of each recording is told to the receiver, which has to be read.
    ///
    /// Reads all journals that an earlier run left. Those of calls that ended are made into recordings; the others are
    /// in [`Self::left_over`]. Waits for the disk: only for a thread that may.
    pub fn start(config: &RecorderConfig) -> Result<(Self, mpsc::Receiver<Report>), StartError> {
        Self::started(config).map_err(|error| StartError { folder: config.folder.clone(), error })
    }

    fn started(config: &RecorderConfig) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        let journals = config.folder.join(JOURNALS);
        fs::create_dir_all(&journals)?;
        remove_pieces(&config.folder)?;
        let speech = config.folder.join(SPEECH_FOLDER);
        if speech.is_dir() {
            remove_pieces(&speech)?;
        }
        let (reporter, reports) = Reporter::with_room(config.reports.max(1));
        let making = Making {
            folder: config.folder.clone(),
            layout: config.layout,
            lame: config.lame.clone(),
            speech: config.speech,
            longest: config.longest.min(LONGEST),
            keys: config.keys.clone(),
        };
        let queue = Queue::start(config.threads, &making, &reporter)?;
        let left_over = take_stock(&journals, config.keys.as_ref(), &queue, &reporter)?;
        let (openings, opened) = sync_channel(OPENINGS);
        let finished = queue.clone();
        let (limit, keys) = (config.journal_limit, config.keys.clone());
        let threads =
            Threads::start(opened, limit, keys, reporter.clone(), move |journal| finished.push(journal))?;
        let left_over = Mutex::new(left_over);
        let frames = config.frames;
        let running = Mutex::new(Some(Running { openings, threads, queue }));
        let keys = config.keys.clone();
        Ok((Self { journals, keys, frames, running, reporter, left_over }, reports))
    }

    /// Begins to record a call; never waits. `started_at` is the time of day at the zero of
    /// [`crate::Frame::arrived_nanos`]. A call whose journal is there already is
    /// not recorded again: that is told as a disk error.
    pub fn begin(&self, call: &str, started_at: SystemTime) -> Result<CallRecording, BeginError> {
        if !is_name(call) {
            return Err(BeginError::Name);
        }
        let (tap, frames) = Tap::with_room(self.frames);
        let line = Arc::new(Line::default());
        let opening = Opening {
            path: self.journals.join(format!("{call}.{SUFFIX}")),
            beginning: Beginning { call: call.to_owned(), started_at },
            frames,
            tap: tap.clone(),
            line: line.clone(),
        };
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let openings = running.as_ref().map(|running| &running.openings).ok_or(BeginError::Busy)?;
        openings.try_send(opening).map_err(|_| BeginError::Busy)?;
        Ok(CallRecording { tap, line })
    }

    /// The journals that a crash left without the end of their calls. Each is to be given to [`Self::end_left_over`];
    /// what is not is there again at the next start.
    pub fn left_over(&self) -> Vec<LeftOver> {
        self.left_over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes the end of a call into the journal that a crash left of it, and has its recording made. Waits for the disk.
    pub fn end_left_over(&self, left_over: &LeftOver, ending: Ending) -> io::Result<()> {
        let mut all = self.left_over.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = all.iter().position(|one| one == left_over) else { return Ok(()) };
        journal::end(&left_over.path, left_over.whole, ending)?;
        all.remove(at);
        // One that stops has it made at the next start.
        if let Some(running) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            running.queue.push(left_over.path.clone());
        }
        Ok(())
    }

    /// The recordings in the folder that were finished before a time, one after the other as the disk gives them. A
    /// recording whose journal is still there is made anew, and is none of them. Waits for the disk, at each too.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn finished_before(
        &self,
        time: SystemTime,
    ) -> io::Result<impl Iterator<Item = PathBuf> + Send + use<>> {
        let journals = self.journals.clone();
        let entries = fs::read_dir(journals.parent().unwrap_or(&journals))?;
        Ok(entries.filter_map(move |entry| {
            let path = entry.ok()?.path();
            let is_one = path.extension().is_some_and(|kind| kind == "mp3" || kind == "wav");
            let journal = journals.join(path.file_stem()?).with_added_extension(SUFFIX);
            // In this order: the file is new when its journal is gone.
            if !is_one || journal.exists() {
                return None;
            }
            let written = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok()?;
            (written < time).then_some(path)
        }))
    }

    /// With which keys the journals in the folder of a recorder are sealed, each journal once; `None` of one in the clear. There
    /// are some of calls that go on, and of recordings that could not be made. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keys_of_journals(folder: &Path) -> io::Result<Vec<Option<KeyId>>> {
        let entries = match fs::read_dir(folder.join(JOURNALS)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != SUFFIX) {
                continue;
            }
            match journal::reader::sealed_with(&path) {
                Ok(key) => keys.push(key),
                // Its recording was made meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }

    /// Tells again of a finished recording what its file says; `None` where it is none. Waits for the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn retell(file: &Path, keys: Option<&Keys>) -> io::Result<Option<Recorded>> {
        retold(file, keys)
    }

    /// What recordings are sealed with.
    pub(crate) const fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// What was done since the start.
    pub fn counts(&self) -> Counts {
        self.reporter.counts()
    }

    /// Stops: returns when all that came in is written. The calls that have not ended are [`Self::left_over`] at the
    /// next start, as are the recordings that are not made when the program ends. Waits for the disk.
    pub fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { openings, threads, .. }) = running {
            drop(openings);
            threads.join();
        }
    }
}

/// The recording of a call that goes on. When it is dropped without [`Self::end`], the call ends with its last frame.
#[derive(Debug)]
pub struct CallRecording {
    tap: Tap,
    line: Arc<Line>,
}

impl CallRecording {
    /// Where the relay offers its frames. Copies are cheap.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// From now on the payload types that a side sends mean this. To be told before the first frame of a type that
    /// RFC 3551 gives no meaning. Never waits.
    pub fn payloads(&self, side: Side, map: PayloadMap) {
        self.line.payloads(side, map);
    }

    /// The call is over: what was offered so far is recorded, and the recording made. Never waits.
    pub fn end(self, ending: Ending) {
        self.line.end(ending);
    }
}

impl Drop for CallRecording {
    fn drop(&mut self) {
        self.line.abandon();
    }
}

/// Whether a call's identifier can name a file.
fn is_name(call: &str) -> bool {
    !call.is_empty()
        && call.len() <= LONGEST_CALL
        && !call.starts_with('.')
        && call.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Has recordings made of journals that are complete, and gives the others.
fn take_stock(
    journals: &Path,
    keys: Option<&Keys>,
    queue: &Queue,
    reporter: &Reporter,
) -> io::Result<Vec<LeftOver>> {
    let mut left_over = Vec::new();
    let mut entries = fs::read_dir(journals)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != SUFFIX) {
            continue;
        }
        match (survey(&path, keys), path.file_stem().and_then(|name| name.to_str())) {
            (Ok(Some(survey)), Some(name)) if survey.beginning.call == name => {
                if survey.ending.is_some() {
                    queue.push(path);
                } else {
                    left_over.push(left_over_of(path, survey));
                }
            }
            (surveyed, name) => {
                let name = name.unwrap_or_default();
                let reason = surveyed.err().map(|error| error.to_string());
                reporter.failed(name, reason.as_deref().unwrap_or("the journal does not say whose it is"));
            }
        }
    }
    Ok(left_over)
}

fn left_over_of(path: PathBuf, survey: Survey) -> LeftOver {
    let written_at = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
    LeftOver {
        call: survey.beginning.call,
        started_at: survey.beginning.started_at,
        last_seen_at: written_at.map_or(survey.last_frame_at, |written| written.max(survey.last_frame_at)),
        path,
        whole: survey.whole,
    }
}
