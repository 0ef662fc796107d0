//! The work that makes a transcript of a recording.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_calls::{Call, SourceName};
use pegcount_store::{Job, Report};

use super::{
    Desk, NAME, Settings,
    desk::{KIND, UNWANTED},
    events::{Placed, of_text, of_turns},
    provider::Piece,
    sound::{STEP_MILLIS, Sound, pieces},
    turns::{Said, text_of, turns},
    wire::Heard,
};
use crate::{
    intake::{CallReference, Incoming, Outcome},
    jobs::{Setback, Work},
    recordings::{Object, on_disk},
    vocabulary::{Rejection, Told, kinds, source_name},
};

/// How long one may take: the longest call, in pieces, each side by itself.
const LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How many are heard at once; each holds a piece of ten minutes in memory.
const AT_ONCE: usize = 2;

/// Makes transcripts of recordings.
pub struct Transcription(Arc<Desk>);

impl Transcription {
    /// With what lies on this desk.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self(desk)
    }
}

#[async_trait]
impl Work for Transcription {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let Self(desk) = self;
        let object = Object::parse(&job.subject).filter(|object| object.organization() == job.organization);
        let Some(object) = object else { return Err(Setback::never("no recording has such a name")) };
        let is_wanted = job.data.as_json_text() != UNWANTED;
        if is_wanted && let Some(known) = desk.look(&object).await? {
            let settings = desk.names.pick(&desk.settings, job.organization).await?;
            // A start with the wrong configuration must not give up what is waiting, nor its sound.
            let off = || Setback::later("transcription is off: switch it on, or forget the job");
            let settings = settings.as_ref().as_ref().ok_or_else(off)?;
            desk.transcribe(&object, settings, &known).await?;
        }
        // Whatever kept it from being heard, now nobody needs it any more.
        desk.forget(&object).await;
        Ok(())
    }
}

/// A call, and what was reported of it.
struct Known {
    call: Call,
    reports: Vec<Report>,
}

impl Desk {
    /// The call of a recording, if its transcript is wanted: it is kept, and nobody has told what was said.
    async fn look(&self, object: &Object) -> Result<Option<Known>, Setback> {
        let (organization, name) = (object.organization(), object.call());
        let filed = self.store.call(organization, name.as_str()).await?;
        let is_kept = |call: &Call| !call.opt_out && call.content.transcript_deleted_at.is_none();
        let Some(filed) = filed.filter(|filed| is_kept(&filed.call)) else { return Ok(None) };
        let reports = self.store.reports(&[filed.head.key]).await?;
        let reports = reports.into_iter().next().unwrap_or_default();
        let is_told = reports
            .iter()
            .any(|report| report.kind == kinds::TRANSCRIPT_TURN || report.source.as_str() == NAME);
        Ok((!is_told).then_some(Known { call: filed.call, reports }))
    }

    async fn transcribe(&self, object: &Object, settings: &Settings, known: &Known) -> Result<(), Setback> {
        let (path, keys) = (self.shelf.speech(object), self.shelf.keys().cloned());
        let opened = on_disk(move || {
            let Some(sound) = Sound::open(&path, keys.as_ref())? else { return Ok(None) };
            let loudness = sound.loudness()?;
            Ok(Some((Arc::new(sound), loudness)))
        });
        let (sound, loudness) = match opened.await {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                self.forget(object).await;
                return Err(Setback::never(
                    "what was kept of the recording is no sound of two sides at 16 kHz",
                ));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Setback::never("the sound of the recording is not here any more"));
            }
            Err(error) => {
                return Err(Setback::later(format!("the sound of the recording cannot be read: {error}")));
            }
        };
        let mut legs = Vec::new();
        let mut language = None;
        for (channel, loudness) in loudness.iter().enumerate() {
            let heard = self.hear(object, settings, &sound, channel, loudness).await?;
            let Some(heard) = heard else { return Ok(()) };
            language = language.or(heard.language);
            legs.push(heard.said);
        }
        let language = language.as_deref().or(settings.language.as_deref());
        let placed = Placed::of(object, &known.call, &known.reports);
        let now = self.clock.now();
        let told = match <[Vec<Said>; 2]>::try_from(legs) {
            Ok(legs) => of_turns(&turns(legs), object, &placed, language, now),
            // One channel: nobody knows who spoke, and a text that somebody told is as good.
            Err(legs) => {
                let text = text_of(legs.into_iter().flatten().collect());
                let wanted = !text.is_empty() && known.call.content.transcript_text.is_none();
                wanted.then(|| of_text(&text, object, &placed, now)).flatten().into_iter().collect()
            }
        };
        self.tell(object, told).await
    }

    /// What is heard on a channel; `None` when the call must not be heard any more.
    async fn hear(
        &self,
        object: &Object,
        settings: &Settings,
        sound: &Arc<Sound>,
        channel: usize,
        loudness: &[u32],
    ) -> Result<Option<Heard>, Setback> {
        let mut all = Heard::default();
        for steps in pieces(loudness) {
            // It may have been erased meanwhile, or have opted out.
            if self.look(object).await?.is_none() {
                return Ok(None);
            }
            let millis = |steps: usize| i64::try_from(steps).unwrap_or_default() * STEP_MILLIS;
            let (shift, length) = (millis(steps.start), millis(steps.len()));
            let sound = Arc::clone(sound);
            let read = on_disk(move || sound.piece(channel, &steps)).await;
            let wav = read.map_err(|error| {
                Setback::later(format!("the sound of the recording cannot be read: {error}"))
            })?;
            let (piece, scratch) = (Piece { wav, length }, self.scratch());
            let heard = settings.provider.hear(piece, settings.language.as_deref(), &scratch).await?;
            all.language = all.language.or(heard.language);
            let shifted = |said: Said| Said { start: said.start + shift, end: said.end + shift, ..said };
            all.said.extend(heard.said.into_iter().map(shifted));
        }
        Ok(Some(all))
    }

    /// Tells what was heard, all of it at once.
    async fn tell(&self, object: &Object, told: Vec<Told>) -> Result<(), Setback> {
        if told.is_empty() {
            return Ok(());
        }
        let source: SourceName = source_name(NAME);
        let incoming = Incoming {
            organization: object.organization(),
            source,
            call: CallReference::Named(object.call().clone()),
            told,
        };
        let outcomes =
            self.intake.accept(vec![incoming]).await.map_err(|error| Setback::later(error.to_string()))?;
        let mut rejected = outcomes.into_iter().flatten().filter_map(|outcome| match outcome {
            Outcome::Rejected(rejection) if rejection.code != Rejection::CALL_ERASED => Some(rejection),
            _ => None,
        });
        match rejected.next_back() {
            None => Ok(()),
            Some(rejection) => {
                Err(Setback::never(format!("the ledger does not take all of the transcript: {rejection}")))
            }
        }
    }

    /// Deletes the sound of a recording. The disk is waited for elsewhere.
    async fn forget(&self, object: &Object) {
        let (shelf, object) = (self.shelf.clone(), object.clone());
        let forget = move || shelf.discard_speech(object.organization(), object.call());
        let _ = tokio::task::spawn_blocking(forget).await;
    }
}
