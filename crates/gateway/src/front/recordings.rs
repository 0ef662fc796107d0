//! What becomes of recordings, in the words of calls.

use std::{io, path::PathBuf, sync::Arc, time::SystemTime};

use pegcount_sealed::Keys;
use tokio::sync::mpsc;

use crate::{
    CallId, Recording, Report, What,
    call::Clock,
    recording::{self, Recorded, Recorder},
};

/// A recording that was finished by an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Whose the call was.
    pub account: Arc<str>,
    /// Which.
    pub call: CallId,
    /// The file.
    pub file: PathBuf,
    keys: Option<Keys>,
}

impl Finished {
    /// The recording that this file is; `None` where its name names no call.
    pub(super) fn of(file: PathBuf, keys: Option<&Keys>) -> Option<Self> {
        let name = file.file_stem()?.to_str()?;
        let (account, call) = name.contains('.').then(|| owner_of(name))?;
        Some(Self { account, call, file, keys: keys.cloned() })
    }

    /// What was reported of it when it was finished, as far as the file says; `None` where it is no recording. Reads it
    /// whole: waits for the disk.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn report(&self) -> io::Result<Option<Report>> {
        let finished_at = std::fs::metadata(&self.file)?.modified()?;
        let recorded = Recorder::retell(&self.file, self.keys.as_ref())?;
        Ok(recorded.and_then(|recorded| {
            let (_, what) = told(recording::Report::Recorded(recorded))?;
            let (account, call) = (self.account.clone(), self.call.clone());
            Some(Report { call, account, at: milliseconds(finished_at), what })
        }))
    }
}

/// Whose a recording is, by its name.
pub(super) fn owner_of(name: &str) -> (Arc<str>, CallId) {
    let (account, call) = name.split_once('.').unwrap_or(("", name));
    (account.into(), CallId::new(call))
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn told(report: recording::Report) -> Option<(String, What)> {
    match report {
        recording::Report::Recorded(recorded) => {
            let Recorded { call, path, format, channels, bytes, duration, sha256, begins_at, flaws } =
                recorded;
            let begins_at = milliseconds(begins_at);
            let recording =
                Recording { file: path, format, channels, bytes, duration, sha256, begins_at, flaws };
            Some((call, What::Recorded(recording)))
        }
        recording::Report::Empty { call } => {
            Some((call, What::NotRecorded { reason: "nothing was heard".to_owned(), is_empty: true }))
        }
        recording::Report::Failed { call, reason } => {
            Some((call, What::NotRecorded { reason, is_empty: false }))
        }
        // The call goes on, and most of it will be in its recording.
        recording::Report::DiskError { call, reason } => {
            tracing::error!(call, reason, "the disk refused a part of a recording");
            None
        }
    }
}

/// Tells the owner what the recorder tells, as long as both are there. Waits for room: the recorder waits too then.
pub(super) async fn pass_on(
    mut reports: mpsc::Receiver<recording::Report>,
    owner: mpsc::Sender<Report>,
    clock: Clock,
) {
    while let Some(report) = reports.recv().await {
        let Some((name, what)) = told(report) else { continue };
        let (account, call) = owner_of(&name);
        if owner.send(Report { call, account, at: clock(), what }).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_recording_is_told_with_the_account_that_its_name_holds() {
        let (sender, reports) = mpsc::channel(4);
        let (owner, mut told) = mpsc::channel(4);
        sender
            .send(recording::Report::DiskError { call: "7.a".into(), reason: "full".into() })
            .await
            .unwrap();
        sender.send(recording::Report::Empty { call: "7.call_1".into() }).await.unwrap();
        drop(sender);
        pass_on(reports, owner, Arc::new(|| 5)).await;
        let report = told.recv().await.unwrap();
        assert_eq!((&*report.account, report.call.as_str(), report.at), ("7", "call_1", 5));
        assert!(matches!(report.what, What::NotRecorded { .. }));
        assert!(told.recv().await.is_none());
    }
}
