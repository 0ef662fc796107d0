//! A program here, run once for each piece of sound.

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{DirBuilderExt, symlink},
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use super::{LARGEST_ANSWER, Piece, Scratch, shortened};
use crate::{
    jobs::Setback,
    transcription::wire::{Form, Heard},
};

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
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Puts sound under this name without a disk: a link to what is in memory while this is held.
fn in_memory(wav: &[u8], link: &Path) -> io::Result<fs::File> {
    let mut file = fs::File::from(memfd_create("pegcount-speech", MemfdFlags::CLOEXEC)?);
    file.write_all(wav)?;
    // Of this process: the program's own number for it is another, if it has one.
    symlink(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()), link)?;
    Ok(file)
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
        scratch: &Scratch,
    ) -> Result<Heard, Setback> {
        let is_in_memory = scratch.is_in_memory;
        let folder = scratch.folder.join(uuid::Uuid::now_v7().simple().to_string());
        let language = language.unwrap_or_default().to_owned();
        let (command, length) = (self.clone(), piece.length);
        let running = Arc::<Slot>::default();
        // Whoever stops waiting for it ends it.
        let _guard = KillOnDrop(Arc::clone(&running));
        let wrote = tokio::task::spawn_blocking(move || {
            command.run((&piece.wav, is_in_memory), &language, &Folder(folder), &running)
        });
        let wrote = wrote
            .await
            .unwrap_or_else(|_| Err(Setback::later("a mistake in the program: the log has it")))?;
        Ok(self.form.read(&wrote, length)?)
    }

    /// Runs it, and gives what it wrote.
    fn run(
        &self,
        (wav, is_in_memory): (&[u8], bool),
        language: &str,
        folder: &Folder,
        running: &Slot,
    ) -> Result<Vec<u8>, Setback> {
        let disk = |error: io::Error| {
            Setback::later(format!("the sound cannot be written for the command: {error}"))
        };
        let Folder(folder) = folder;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk)?;
        let (file, stem) = (folder.join("speech.wav"), folder.join("transcript"));
        let json = stem.with_extension("json");
        // For as long as it is held.
        let _sound = match is_in_memory {
            true => Some(in_memory(wav, &file).map_err(disk)?),
            false => fs::write(&file, wav).map(|()| None).map_err(disk)?,
        };
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
            .map_err(|_| Setback::later(format!("{} ended without writing its JSON file", self.program())))?;
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
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Setback::never(format!(
                    "{} cannot be run ({error}): install it, or correct transcription.command",
                    self.program()
                )),
                _ => Setback::later(format!("{} cannot be run: {error}", self.program())),
            })?;
        let (sender, told) = mpsc::channel();
        reading(child.stdout.take(), first, Told::Out, sender.clone());
        reading(child.stderr.take(), last, Told::Complaints, sender.clone());
        tell_end(&child, sender);
        let watched = Arc::new(Mutex::new(Watched { child, ended: None }));
        running.lock().unwrap_or_else(PoisonError::into_inner).put(Running(Arc::clone(&watched)));
        let mut until = Instant::now() + self.timeout;
        let (mut status, mut out, mut complaints) = (None, None, None);
        while status.is_none() || out.is_none() || complaints.is_none() {
            match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Told::Out(bytes)) if bytes.len() > LARGEST_ANSWER => return Err(self.too_much()),
                Ok(Told::Out(bytes)) => out = Some(bytes),
                Ok(Told::Complaints(bytes)) => complaints = Some(bytes),
                Ok(Told::Ended) => {
                    let looked = watched.lock().unwrap_or_else(PoisonError::into_inner).look();
                    status = looked
                        .map_err(|error| Setback::later(format!("{} is lost: {error}", self.program())))?;
                    until = Instant::now() + LAST_WORDS;
                }
                Err(_) => break,
            }
        }
        let Some(status) = status else { return Err(self.too_slow()) };
        let out =
            out.ok_or_else(|| Setback::later(format!("{} ended, and its output did not", self.program())))?;
        Ok(Ran { status, out, complaints: complaints.unwrap_or_default() })
    }

    fn too_much(&self) -> Setback {
        Setback::later(format!("{} wrote more than {LARGEST_ANSWER} bytes", self.program()))
    }

    fn too_slow(&self) -> Setback {
        Setback::later(format!(
            "{} took longer than {} s and was ended",
            self.program(),
            self.timeout.as_secs()
        ))
    }

    fn failed(&self, ran: &Ran) -> Setback {
        let how = match (ran.status.code(), ran.status.signal()) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
        };
        let complaints = String::from_utf8_lossy(&ran.complaints);
        let last = complaints.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let colon = if last.is_empty() { "" } else { ": " };
        Setback::later(format!("{} {how}{colon}{}", self.program(), shortened(last)))
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

/// What is heard of a program that runs.
enum Told {
    /// All that it wrote.
    Out(Vec<u8>),
    /// What it complained of.
    Complaints(Vec<u8>),
    /// It has ended, and is still to be waited for.
    Ended,
}

/// Reads on a thread of its own, which ends when nobody can write any more.
fn reading<R: Read + Send + 'static>(
    from: Option<R>,
    read: fn(&mut dyn Read) -> Vec<u8>,
    told: fn(Vec<u8>) -> Told,
    to: mpsc::Sender<Told>,
) {
    thread::spawn(move || {
        let bytes = from.map(|mut from| read(&mut from)).unwrap_or_default();
        let _ = to.send(told(bytes));
    });
}

/// Tells when a program has ended, and leaves it to be waited for: its number stays its own until then.
fn tell_end(child: &Child, to: mpsc::Sender<Told>) {
    let Some(number) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    thread::spawn(move || {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(number), ended), Err(Errno::INTR)) {}
        let _ = to.send(Told::Ended);
    });
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
