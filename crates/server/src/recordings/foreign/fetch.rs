//! The work that fetches the recording of a call from where its source says that it lies.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_calls::{CallName, Document, EventId, Timestamp};
use pegcount_gateway::recording::Format;
use pegcount_lame::Lame;
use pegcount_store::{CallHead, Filed, Job, NewJob, OrganizationNumber, Store};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Busy, Desk, Object, Shelf,
        desk::{Standing, standing},
        object::FORMATS,
    },
    download::{Scrap, download},
    guard,
    settings::Fetching,
};
use crate::{
    audio::{self, Made, Unheard},
    clock::Clock,
    intake::{Intake, Outcome},
    jobs::{Setback, Work},
    organizations::{Names, PerOrganization},
    vocabulary::{self, Rejection, Telling, kinds, source_name},
};

/// The word for this work. Its subject is the call.
const FETCH: &str = "recording_fetch";
/// When a recording is fetched first after it was reported: sources often report one a moment before it can be had.
const FIRST_AFTER_MILLIS: i64 = 5_000;
/// How long one run may take: the longest download, and an hour to make a recording of it.
const LIMIT: Duration = Duration::from_secs(7_200);
/// How many are fetched at once; each keeps a processor busy for a while.
const AT_ONCE: usize = 2;
/// The folder of what is not a recording yet, in that of recordings.
const FOLDER: &str = "fetched";
/// The source of events of recordings that were fetched.
pub const SOURCE: &str = "recordings";

/// The job of fetching the recording of a call.
pub(in super::super) fn fetch_of(head: &CallHead, clock: &Clock) -> NewJob {
    let now = clock.now();
    NewJob {
        organization: head.organization,
        kind: FETCH.to_owned(),
        subject: head.name.to_string(),
        call: Some(head.key),
        data: Document::from_json_text("{}"),
        created_at: now,
        due: now.plus_millis(FIRST_AFTER_MILLIS),
    }
}

/// Deletes what runs of the program left behind that were ended. Whoever calls this is the only one on this folder, and
/// nothing is being fetched. Waits for the disk.
pub fn clear(shelf: &Shelf) {
    match fs::remove_dir_all(shelf.folder().join(FOLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "what is left of recordings that were being fetched cannot be deleted");
        }
        _ => {}
    }
}

/// What recordings are fetched with.
pub struct FetchParts {
    /// Where they are kept.
    pub shelf: Shelf,
    /// Where calls are kept.
    pub store: Arc<dyn Store>,
    /// Where they are reported.
    pub intake: Intake,
    /// Who works on which recordings: the one that all work on them shares.
    pub busy: Busy,
    /// Whether and how they are fetched.
    pub fetching: Arc<PerOrganization<Fetching>>,
    /// Whose recordings are transcribed: of theirs the sound is kept for that.
    pub heard: PerOrganization<bool>,
    /// What organizations are called.
    pub names: Names,
    /// What makes MP3; without it they are WAV.
    pub lame: Option<Lame>,
    /// The time.
    pub clock: Clock,
}

impl FetchParts {
    /// What those in the object store are worked on with, if there is one.
    pub fn desk(&self) -> Option<Arc<Desk>> {
        let bucket = Arc::clone(self.shelf.bucket()?);
        let (shelf, store) = (self.shelf.clone(), Arc::clone(&self.store));
        Some(Arc::new(Desk::new(shelf, bucket, store, self.clock.clone(), self.busy.clone())))
    }
}

/// Fetches recordings of others.
pub struct Fetch(Arc<FetchParts>);

impl Fetch {
    /// With these.
    pub fn new(parts: FetchParts) -> Self {
        Self(Arc::new(parts))
    }
}

#[async_trait]
impl Work for Fetch {
    fn kind(&self) -> &'static str {
        FETCH
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let Ok(call) = CallName::new(&job.subject) else {
            return Err(Setback::never("no call has such a name"));
        };
        let (parts, organization) = (Arc::clone(&self.0), job.organization);
        let stopped = CancellationToken::new();
        let _stops = stopped.clone().drop_guard();
        // On its own: who stops waiting stops the download and the decoder, but nothing between a recording that comes to
        // stand under its name and the event that reports it.
        let done = tokio::spawn(async move { parts.fetch(organization, &call, stopped).await }).await;
        done.unwrap_or_else(|_| Err(Setback::later("a mistake in the program: the log has it")))
    }
}

/// What is to be fetched.
struct Wanted {
    head: CallHead,
    url: String,
    /// The event that reported it.
    announced_by: EventId,
}

impl FetchParts {
    async fn fetch(
        &self,
        organization: OrganizationNumber,
        call: &CallName,
        stopped: CancellationToken,
    ) -> Result<(), Setback> {
        let fetching = self.names.pick(&self.fetching, organization).await?;
        if !fetching.is_enabled {
            // A start with the wrong configuration must not give up what is waiting.
            return Err(Setback::later("recordings.fetch is off: switch it on, or forget the job"));
        }
        let Some(wanted) = self.wanted(organization, call).await? else { return Ok(()) };
        let url = guard::read(&wanted.url, &fetching)?;
        let host = guard::host_of(&url).to_owned();
        let name = format!("{}.{}", organization.0, wanted.head.name);
        let folder = self.shelf.folder().join(FOLDER);
        tokio::fs::create_dir_all(&folder).await.map_err(|error| unwritable(&error))?;
        let scrap = Scrap(folder.join(format!("{name}.download")));
        let given_up = || Setback::later("the server was stopped before the recording was there");
        let fetched = download(url, &fetching, (&scrap.0, self.shelf.keys()));
        stopped.run_until_cancelled(fetched).await.ok_or_else(given_up)??;
        let is_heard = *self.names.pick(&self.heard, organization).await?;
        let spoken = is_heard.then(|| Scrap(folder.join(format!("{name}.speech.wav"))));
        let made = self.make(scrap, spoken.as_ref(), (folder, name), stopped).await?;
        let made = made.map_err(|error| unheard(&host, &error))?;
        if made.is_damaged {
            tracing::warn!(%host, call = %wanted.head.name, "a recording of somebody else's is damaged; what is whole is kept");
        }
        self.keep(&wanted, made, spoken).await
    }

    /// Makes a recording of a download, and the sound that recognisers get if it is wanted. A processor is kept busy.
    async fn make(
        &self,
        scrap: Scrap,
        spoken: Option<&Scrap>,
        (folder, name): (PathBuf, String),
        stopped: CancellationToken,
    ) -> Result<Result<Made, Unheard>, Setback> {
        let (lame, keys) = (self.lame.clone(), self.shelf.keys().cloned());
        let spoken = spoken.map(|spoken| spoken.0.clone());
        let made = tokio::task::spawn_blocking(move || {
            let stopped = || stopped.is_cancelled();
            let keys = keys.as_ref();
            let made = audio::recording(&scrap.0, (&folder, &name), lame.as_ref(), keys, &stopped)?;
            if let Some(spoken) = spoken {
                audio::speech(&scrap.0, &spoken, keys, &stopped)?;
            }
            Ok(made)
        });
        made.await.map_err(|_| Setback::later("a mistake in the program: the log has it"))
    }

    /// What is to be fetched of a call, if it still is. What must not be kept is deleted.
    async fn wanted(
        &self,
        organization: OrganizationNumber,
        call: &CallName,
    ) -> Result<Option<Wanted>, Setback> {
        let found = standing(self.store.as_ref(), organization, call).await?;
        let filed = match found {
            (Standing::Kept, Some(filed)) => filed,
            (Standing::Forgotten, _) => {
                self.discard(organization, call).await;
                return Ok(None);
            }
            (Standing::Kept | Standing::Stranger, _) => return Ok(None),
        };
        let Filed { head, call, .. } = filed;
        let recording = call.content.recording;
        Ok(recording.and_then(|recording| {
            Some(Wanted { head, url: recording.url?, announced_by: recording.announced_by? })
        }))
    }

    /// Puts a recording under its name and reports it, unless another one was reported meanwhile, or none may be kept.
    async fn keep(&self, wanted: &Wanted, made: Made, spoken: Option<Scrap>) -> Result<(), Setback> {
        let CallHead { organization, name, key, .. } = &wanted.head;
        let _alone = self.busy.alone(*organization, name).await;
        let now_wanted = self.wanted(*organization, name).await?;
        if now_wanted.is_none_or(|now| now.announced_by != wanted.announced_by) {
            // Whoever reported another one has asked for it.
            return Ok(());
        }
        let reports = self.store.reports(&[*key]).await?;
        let announced = reports.iter().flatten().find(|report| report.id == wanted.announced_by);
        let Some(announced_at) = announced.map(|report| report.at) else {
            return Err(Setback::later("the event that reported the recording is not there"));
        };
        let object = Object::new(*organization, name.clone(), made.format);
        let (format, channels, duration) = (made.format, made.channels, made.duration);
        let path = self.shelf.folder().join(object.to_string());
        let (shelf, of) = (self.shelf.clone(), object.clone());
        let kept = tokio::task::spawn_blocking(move || {
            // First, so that whoever is told of the recording finds its sound.
            if let Some(spoken) = spoken {
                shelf.keep_speech(&spoken.0, &of)?;
            }
            made.keep_as(&path)
        });
        let kept = kept.await;
        let (size, sha256) = match kept {
            Ok(kept) => kept.map_err(|error| unwritable(&error))?,
            Err(_) => return Err(Setback::later("a mistake in the program: the log has it")),
        };
        let data = json!({
            "object": object.to_string(),
            "duration_seconds": duration.as_secs_f64(),
            "format": format.suffix(),
            "size_bytes": size,
            "channels": channels,
            "sample_rate_hz": audio::RECORDING_RATE,
            "sha256": data_encoding::HEXLOWER.encode(&sha256),
        });
        match self.report(wanted, announced_at, data.to_string()).await? {
            Outcome::Accepted | Outcome::Duplicate => {
                self.remove_other(&wanted.head, format).await;
                Ok(())
            }
            // Erased meanwhile: the intake has deleted what is here.
            Outcome::Rejected(rejection) if rejection.code == Rejection::CALL_ERASED => Ok(()),
            Outcome::Rejected(rejection) => {
                self.discard(*organization, name).await;
                Err(Setback::never(format!("the recording cannot be reported: {}", rejection.message)))
            }
        }
    }

    /// Reports a recording right after the event that reported where it lay: so it comes before all that was or will be
    /// reported later than that, and a call that is over stays so.
    async fn report(
        &self,
        wanted: &Wanted,
        announced_at: Timestamp,
        data: String,
    ) -> Result<Outcome, Setback> {
        let telling = Telling {
            id: vocabulary::event_id_of(&format!("fetched {} {}", wanted.head.uuid, wanted.announced_by)),
            at: announced_at.plus_millis(1),
            at_given: true,
            received_at: self.clock.now(),
            source: source_name(SOURCE),
            kind: kinds::RECORDING_READY.to_owned(),
            data,
        };
        let outcome = self.intake.tell(&wanted.head, telling).await;
        outcome.map_err(|error| Setback::later(format!("the recording is not reported: {error}")))
    }

    /// Deletes here whatever recordings the call has.
    async fn discard(&self, organization: OrganizationNumber, call: &CallName) {
        let (shelf, call) = (self.shelf.clone(), call.clone());
        let _ = tokio::task::spawn_blocking(move || shelf.discard(organization, &call)).await;
    }

    /// Deletes here what an earlier one left that has another format.
    async fn remove_other(&self, head: &CallHead, format: Format) {
        let others = FORMATS.into_iter().filter(move |other| *other != format);
        let others: Vec<_> =
            others.map(|other| Object::new(head.organization, head.name.clone(), other)).collect();
        let shelf = self.shelf.clone();
        let _ = tokio::task::spawn_blocking(move || shelf.remove(others)).await;
    }
}

fn unwritable(error: &io::Error) -> Setback {
    Setback::later(format!("the folder of recordings cannot be written: {error}"))
}

/// What is to be done about a file that nothing was made of.
fn unheard(host: &str, error: &Unheard) -> Setback {
    let reason = format!("what {host} sent {error}");
    match error {
        // The source may not have written it yet, or the disk will be better.
        Unheard::Empty | Unheard::Disk(_) | Unheard::Encode(_) | Unheard::Stopped => Setback::later(reason),
        Unheard::Foreign(_)
        | Unheard::Soundless
        | Unheard::Unsupported(_)
        | Unheard::TooLong
        | Unheard::Failed => Setback::never(reason),
    }
}
