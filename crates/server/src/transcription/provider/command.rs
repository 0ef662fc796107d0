//! A program here, run once for each piece of sound.

use std::{
    fs,
    io::{self, Read},
    os::unix::{
        fs::DirBuilderExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{LARGEST_ANSWER, Piece, later, never, shortened};
use crate::{
    jobs::Setback,
    transcription::wire::{Form, Heard},
};

/// How often it is looked at whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long what it wrote may take to arrive once it has ended: somebody else may hold its output.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The most that is kept of what it complains of, in bytes: its end.
const COMPLAINTS: usize = 16 * 1024;

/// A program, and how it is called.
#[derive(Clone, Debug)]
pub(in crate::transcription) struct Command {
    /// Itself and its arguments, before anything is replaced; never empty.
    pub words: Vec<String>,
    /// What it writes.
    pub form: Form,
    /// How long one run may take.
    pub timeout: Duration,
}

/// A folder for the files of one run. It goes away with all that is in it.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that runs. Dropped, it is killed with all that it has started.
struct Running(Arc<Mutex<Watched>>);

struct Watched {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

impl Watched {
    /// Kills the program and what it has started. Its number is nobody else's until it was waited for.
    fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        // At once: nobody can refuse that signal. Not waited for it would stay in the system's list.
        self.ended = self.child.wait().ok();
    }

    /// How it ended, if it has. What it has started ends with it.
    fn look(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }
}

/// What came of a run.
struct Ran {
    status: ExitStatus,
    out: Vec<u8>,
    complaints: Vec<u8>,
}

impl Command {
    fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(super) fn told(&self) -> String {
        format!("the command {}", self.program())
    }

    pub(super) async fn hear(
        &self,
        piece: Piece,
        language: Option<&str>,
        scratch: &Path,
    ) -> Result<Heard, Setback> {
        let folder = scratch.join(uuid::Uuid::now_v7().simple().to_string());
        let language = language.unwrap_or_default().to_owned();
        let (command, length) = (self.clone(), piece.length);
        let running = Arc::<Slot>::default();
        // Whoever stops waiting for it ends it.
        let _guard = KillOnDrop(Arc::clone(&running));
        let wrote = tokio::task::spawn_blocking(move || {
            command.run(&piece.wav, &language, Scratch(folder), &running)
        });
        let wrote = wrote.await.unwrap_or_else(|_| Err(later("a mistake in the program: the log has it")))?;
        Ok(self.form.read(&wrote, length)?)
    }

    /// Runs it, and gives what it wrote.
    fn run(&self, wav: &[u8], language: &str, scratch: Scratch, running: &Slot) -> Result<Vec<u8>, Setback> {
        let disk = |error: io::Error| later(format!("the sound cannot be written for the command: {error}"));
        let folder = &scratch.0;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk)?;
        let (file, stem) = (folder.join("speech.wav"), folder.join("transcript"));
        let json = stem.with_extension("json");
        fs::write(&file, wav).map_err(disk)?;
        let fill = |word: &String| {
            word.replace("{wav}", &file.to_string_lossy())
                .replace("{json}", &json.to_string_lossy())
                .replace("{stem}", &stem.to_string_lossy())
                .replace("{language}", language)
        };
        let words: Vec<String> = self.words.iter().map(fill).collect();
        let ran = self.execute(&words, running)?;
        if !ran.status.success() {
            return Err(self.failed(&ran));
        }
        let writes_file = self.words.iter().any(|word| word.contains("{json}") || word.contains("{stem}"));
        if !writes_file {
            return Ok(ran.out);
        }
        let mut wrote = Vec::new();
        let file = fs::File::open(&json)
            .map_err(|_| later(format!("{} ended without writing its JSON file", self.program())))?;
        file.take(LARGEST_ANSWER as u64 + 1).read_to_end(&mut wrote).map_err(disk)?;
        if wrote.len() > LARGEST_ANSWER { Err(self.too_much()) } else { Ok(wrote) }
    }

    fn execute(&self, words: &[String], running: &Slot) -> Result<Ran, Setback> {
        let mut child = std::process::Command::new(words.first().map_or("", String::as_str))
            .args(words.iter().skip(1))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => never(format!(
                    "{} cannot be run ({error}): install it, or correct transcription.command",
                    self.program()
                )),
                _ => later(format!("{} cannot be run: {error}", self.program())),
            })?;
        let (out, complaints) = (child.stdout.take(), child.stderr.take());
        let watched = Arc::new(Mutex::new(Watched { child, ended: None }));
        running.lock().unwrap_or_else(PoisonError::into_inner).put(Running(Arc::clone(&watched)));
        let (out, complaints) = (reading(out, first), reading(complaints, last));
        let until = Instant::now() + self.timeout;
        let mut early = None;
        let status = loop {
            let looked = watched.lock().unwrap_or_else(PoisonError::into_inner).look();
            match looked {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => return Err(later(format!("{} is lost: {error}", self.program()))),
            }
            if early.is_none() {
                early = out.try_recv().ok();
            }
            let too_much = early.as_ref().is_some_and(|out: &Vec<u8>| out.len() > LARGEST_ANSWER);
            if too_much || Instant::now() >= until {
                return Err(if too_much { self.too_much() } else { self.too_slow() });
            }
            thread::sleep(LOOK);
        };
        let out = early.or_else(|| out.recv_timeout(LAST_WORDS).ok());
        let complaints = complaints.recv_timeout(LAST_WORDS).unwrap_or_default();
        let out = out.ok_or_else(|| later(format!("{} ended, and its output did not", self.program())))?;
        if out.len() > LARGEST_ANSWER {
            return Err(self.too_much());
        }
        Ok(Ran { status, out, complaints })
    }

    fn too_much(&self) -> Setback {
        later(format!("{} wrote more than {LARGEST_ANSWER} bytes", self.program()))
    }

    fn too_slow(&self) -> Setback {
        later(format!("{} took longer than {} s and was ended", self.program(), self.timeout.as_secs()))
    }

    fn failed(&self, ran: &Ran) -> Setback {
        let how = match (ran.status.code(), ran.status.signal()) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
        };
        let complaints = String::from_utf8_lossy(&ran.complaints);
        let last = complaints.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let colon = if last.is_empty() { "" } else { ": " };
        later(format!("{} {how}{colon}{}", self.program(), shortened(last)))
    }
}

/// Where the program stands that runs, once it does.
type Slot = Mutex<Place>;

#[derive(Default)]
struct Place {
    running: Option<Running>,
    given_up: bool,
}

impl Place {
    fn put(&mut self, running: Running) {
        // Nobody waits for it any more: then it ends here.
        if !self.given_up {
            self.running = Some(running);
        }
    }
}

struct KillOnDrop(Arc<Slot>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.given_up = true;
        place.running = None;
    }
}

/// Reads on a thread of its own, which ends when nobody can write any more.
fn reading<R: Read + Send + 'static>(
    from: Option<R>,
    read: fn(&mut dyn Read) -> Vec<u8>,
) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let bytes = from.map(|mut from| read(&mut from)).unwrap_or_default();
        let _ = sender.send(bytes);
    });
    receiver
}

/// What is read first, and at most a byte more than is wanted; then nobody reads, and who writes on is told so.
fn first(from: &mut dyn Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = from.take(LARGEST_ANSWER as u64 + 1).read_to_end(&mut bytes);
    bytes
}

/// What is read last.
fn last(from: &mut dyn Read) -> Vec<u8> {
    let (mut kept, mut part) = (Vec::new(), vec![0; COMPLAINTS]);
    while let Ok(count) = from.read(&mut part)
        && count > 0
    {
        kept.extend_from_slice(&part[..count]);
        let surplus = kept.len().saturating_sub(COMPLAINTS);
        kept.drain(..surplus);
    }
    kept
}
