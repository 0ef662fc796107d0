//! The operator's socket, `DIR/control.sock`: orders as JSON lines, one answer a line. Who may open the file may order.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    connections::Backoff,
    operations::{Operator, Order},
};

/// The socket's name in the data folder.
const NAME: &str = "control.sock";
/// Longest line in bytes: an import sends its records in batches well below it.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// Commands that are served at one time; one more waits.
const MOST_CONVERSATIONS: usize = 16;
/// How often the server says that it is still carrying out an order.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long nothing may be heard of the other side while a line is on its way: a command gives up, and the server hangs up.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize, Serialize)]
enum Answer {
    /// The order is being carried out; another answer follows.
    Working,
    Done(Value),
    Failed(String),
}

/// The socket of a running server.
pub struct Socket {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Socket {
    /// Opens it. The data folder's lock is held, so a socket that is there is left over from a server that died.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn open(data: &Path, operator: Operator, stop: CancellationToken) -> Result<Self, String> {
        let path = data.join(NAME);
        let cannot = |error: io::Error| format!("the socket {} cannot be made: {error}", path.display());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
        // Bound in a folder that only its owner may enter, and moved here with its mode set: there is no moment in
        // which somebody else could open it.
        let nursery = tempfile_folder(data).map_err(cannot)?;
        let cradle = nursery.join(NAME);
        let short = ShortPath::to(&nursery).map_err(cannot)?;
        let listener = UnixListener::bind(short.join(NAME)).map_err(cannot)?;
        drop(short);
        std::fs::set_permissions(&cradle, std::fs::Permissions::from_mode(0o600)).map_err(cannot)?;
        std::fs::rename(&cradle, &path).map_err(cannot)?;
        let _ = std::fs::remove_dir(&nursery);
        let task = tokio::spawn(listen(listener, Arc::new(operator), stop));
        Ok(Self { path, task })
    }

    /// Closes it; orders under way are finished first.
    pub async fn close(self) {
        let _ = self.task.await;
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A folder by a name that is short enough for the address of a socket, which has some hundred bytes.
struct ShortPath {
    path: PathBuf,
    /// Open as long as the short name is used.
    _folder: Option<File>,
}

/// Longest path that is taken as it is: `sun_path` has 104 bytes on some systems, and the socket's name comes on top.
const LONGEST_PATH: usize = 80;

impl ShortPath {
    fn to(folder: &Path) -> io::Result<Self> {
        if folder.as_os_str().len() <= LONGEST_PATH {
            return Ok(Self { path: folder.to_owned(), _folder: None });
        }
        let opened = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
        Ok(Self { path, _folder: Some(opened) })
    }

    fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn tempfile_folder(data: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let path = data.join(format!(".control-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

async fn listen(listener: UnixListener, operator: Arc<Operator>, stop: CancellationToken) {
    let mut conversations = tokio::task::JoinSet::new();
    let mut backoff = Backoff::new("a connection of the operator's socket");
    loop {
        let has_room = conversations.len() < MOST_CONVERSATIONS;
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = backoff.accept(|| listener.accept()), if has_room => if let Some((stream, _)) = accepted {
                conversations.spawn(converse(stream, Arc::clone(&operator), stop.clone()));
            },
            Some(_) = conversations.join_next() => {}
        }
    }
    while conversations.join_next().await.is_some() {}
}

async fn converse(stream: UnixStream, operator: Arc<Operator>, stop: CancellationToken) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let line = tokio::select! {
            () = stop.cancelled() => return,
            line = read_line(&mut reading) => line,
        };
        let Ok(Some(line)) = line else { return };
        let answer = match serde_json::from_str::<Order>(&line) {
            Ok(order) => carry_out(&operator, order, &mut writing).await,
            Err(error) => Answer::Failed(format!("the server does not know this order: {error}")),
        };
        if write_line(&mut writing, &answer).await.is_err() {
            return;
        }
    }
}

/// Carries out an order to its end, even if nobody waits for it any more.
async fn carry_out(operator: &Operator, order: Order, writing: &mut (impl AsyncWriteExt + Unpin)) -> Answer {
    let mut result = pin!(operator.carry_out(order));
    loop {
        match timeout(SIGN_OF_LIFE, result.as_mut()).await {
            Ok(Ok(value)) => return Answer::Done(value),
            Ok(Err(sentence)) => return Answer::Failed(sentence),
            // Whether anybody hears it shows when the answer is written.
            Err(_) => drop(write_line(writing, &Answer::Working).await),
        }
    }
}

async fn read_line(reading: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = reading.take(LONGEST_LINE).read_line(&mut line).await?;
    Ok((read > 0).then_some(line))
}

async fn write_line(writing: &mut (impl AsyncWriteExt + Unpin), line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let written = async {
        writing.write_all(text.as_bytes()).await?;
        writing.flush().await
    };
    timeout(SILENCE_TIMEOUT, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn silent() -> String {
    format!(
        "the server has not answered for {} s: it hangs, has too many files open, or serves {MOST_CONVERSATIONS} other \
         commands; its log says more",
        SILENCE_TIMEOUT.as_secs()
    )
}

/// A line to a running server.
pub struct Line {
    reading: BufReader<tokio::net::unix::OwnedReadHalf>,
    writing: tokio::net::unix::OwnedWriteHalf,
}

impl Line {
    /// Calls the server of a data folder; `None` when none runs.
    ///
    /// # Errors
    /// A sentence, when one may be running but cannot be called.
    pub async fn call(data: &Path) -> Result<Option<Self>, String> {
        let path = data.join(NAME);
        let short = match ShortPath::to(data) {
            Ok(short) => short,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be opened: {error}", data.display())),
        };
        match UnixStream::connect(short.join(NAME)).await {
            Ok(stream) => {
                let (reading, writing) = stream.into_split();
                Ok(Some(Self { reading: BufReader::new(reading), writing }))
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(format!(
                "{} cannot be opened: {error}: run this as the user that the server runs as",
                path.display()
            )),
            Err(error) => Err(format!("{} cannot be opened: {error}", path.display())),
        }
    }

    /// Gives an order and waits for the answer.
    ///
    /// # Errors
    /// The server's sentence, or that it went away.
    pub async fn order(&mut self, order: &Order) -> Result<Value, String> {
        let gone = |error: io::Error| format!("the server went away: {error}");
        write_line(&mut self.writing, order).await.map_err(gone)?;
        loop {
            let line = timeout(SILENCE_TIMEOUT, read_line(&mut self.reading)).await.map_err(|_| silent())?;
            let line = line.map_err(gone)?.ok_or("the server went away before it answered")?;
            match serde_json::from_str(&line) {
                Ok(Answer::Working) => {}
                Ok(Answer::Done(value)) => return Ok(value),
                Ok(Answer::Failed(sentence)) => return Err(sentence),
                Err(error) => return Err(format!("the server's answer cannot be read: {error}")),
            }
        }
    }
}
