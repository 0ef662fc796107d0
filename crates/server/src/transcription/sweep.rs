//! Sound that nobody is going to hear any more.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use pegcount_store::{JobQuery, JobState, Store, StoreError};

use super::{Desk, desk::KIND};
use crate::recordings::Object;

/// How long sound is kept that could not be transcribed: until then a job that is dead may be tried again.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// How many jobs are read at once.
const AT_ONCE: u32 = 500;

/// Deletes sound that is older than a week and that no job waits for, now and once a day.
pub async fn sweep(desk: Arc<Desk>) {
    loop {
        let before = SystemTime::UNIX_EPOCH
            + Duration::from_millis(u64::try_from(desk.clock.now().millis()).unwrap_or_default());
        match sweep_once(&desk, before.checked_sub(KEPT).unwrap_or(SystemTime::UNIX_EPOCH)).await {
            Ok(0) => {}
            Ok(files) => tracing::warn!(files, "sound that nobody transcribed in a week was deleted"),
            Err(error) => {
                tracing::error!(%error, "sound that is too old is not deleted; tomorrow is another day");
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Why old sound was not deleted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unswept {
    #[error("the ledger cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("the folder of sound cannot be read: {0}")]
    Folder(#[from] io::Error),
}

/// Deletes what was written before a time; says how many files.
pub(super) async fn sweep_once(desk: &Desk, before: SystemTime) -> Result<usize, Unswept> {
    let folder = desk.shelf.speech_folder();
    let old =
        tokio::task::spawn_blocking(move || older(&folder, before)).await.map_err(io::Error::other)??;
    if old.is_empty() {
        return Ok(0);
    }
    let wanted = wanted(desk.store.as_ref()).await?;
    let shelf = desk.shelf.clone();
    let delete = move || {
        let gone = old
            .into_iter()
            .filter(|object| !wanted.contains(&(object.organization().0, object.call().to_string())));
        gone.map(|object| shelf.discard_speech(object.organization(), object.call())).count()
    };
    Ok(tokio::task::spawn_blocking(delete).await.map_err(io::Error::other)?)
}

/// The calls whose sound a job waits for, or hears.
async fn wanted(store: &dyn Store) -> Result<HashSet<(i64, String)>, StoreError> {
    let mut wanted = HashSet::new();
    for state in [JobState::Waiting, JobState::Running] {
        let mut query = JobQuery {
            kind: Some(KIND.to_owned()),
            state: Some(state),
            limit: AT_ONCE,
            ..JobQuery::default()
        };
        loop {
            let page = store.jobs(&query).await?;
            let objects = page.jobs.iter().filter_map(|job| Object::parse(&job.subject));
            wanted.extend(objects.map(|object| (object.organization().0, object.call().to_string())));
            if page.next.is_none() {
                break;
            }
            query.after = page.next;
        }
    }
    Ok(wanted)
}

fn older(folder: &Path, before: SystemTime) -> io::Result<Vec<Object>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    let old = paths.into_iter().filter(|path| {
        let written = fs::metadata(path).and_then(|metadata| metadata.modified());
        written.is_ok_and(|written| written < before)
    });
    Ok(old.filter_map(|path| Object::parse(path.file_name()?.to_str()?)).collect())
}
