//! What transcription is done with.

use std::sync::Arc;

use pegcount_calls::{CallName, Document, OrganizationName};
use pegcount_store::{CallHead, NewJob, Store};

use super::{Settings, provider::Scratch};
use crate::{
    clock::Clock,
    intake::{Intake, Outside},
    organizations::{Names, PerOrganization},
    recordings::{Object, Shelf},
};

/// The word for the work that makes a transcript of a recording, which is its subject.
pub(super) const KIND: &str = "transcription";
/// What a job holds that deletes the sound unheard: transcription was off for the organization when the recording was told.
pub(super) const UNWANTED: &str = r#"{"wanted":false}"#;
/// How long it waits once the recording is told of: a source may tell its own turns at the end of a call.
const WAIT_MILLIS: i64 = 10_000;
/// The folder of files of commands that run, in that of the sound.
const SCRATCH: &str = "commands";

/// What transcription is done with.
pub struct Desk {
    pub(super) shelf: Shelf,
    pub(super) store: Arc<dyn Store>,
    pub(super) names: Names,
    pub(super) settings: PerOrganization<Option<Settings>>,
    pub(super) clock: Clock,
    pub(super) intake: Intake,
}

impl Desk {
    /// With the sound on this shelf, heard by whom each organization has set, and told to this intake.
    pub fn new(
        shelf: Shelf,
        store: Arc<dyn Store>,
        intake: Intake,
        settings: PerOrganization<Option<Settings>>,
        names: Names,
        clock: Clock,
    ) -> Self {
        Self { shelf, store, names, settings, clock, intake }
    }

    /// What is sealed is not in the clear for commands either.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            folder: self.shelf.speech_folder().join(SCRATCH),
            is_in_memory: self.shelf.keys().is_some(),
        }
    }

    /// Removes what commands left that a kill ended. Nothing is heard yet.
    pub fn tidy(&self) {
        let scratch = self.scratch().folder;
        if scratch.is_dir()
            && let Err(error) = std::fs::remove_dir_all(&scratch)
        {
            tracing::error!(%error, folder = %scratch.display(), "files of commands cannot be removed: delete the folder");
        }
    }
}

/// Asks for a transcript of every recording whose sound is kept, or for the deletion of that sound.
pub struct Asking {
    shelf: Shelf,
    wants: PerOrganization<bool>,
    clock: Clock,
}

impl Asking {
    /// Of the recordings on this shelf; `wants` says which organizations want transcripts.
    pub fn new(shelf: Shelf, wants: PerOrganization<bool>, clock: Clock) -> Self {
        Self { shelf, wants, clock }
    }
}

impl Outside for Asking {
    fn recorded(
        &self,
        head: &CallHead,
        names: &[CallName],
        organization: Option<&OrganizationName>,
        object: &str,
    ) -> Option<NewJob> {
        let object = Object::of_call(head.organization, names, object)?;
        // The gateway keeps the sound of all calls as soon as one organization wants transcripts: of the others it goes.
        let data = if **self.wants.of(organization) { "{}" } else { UNWANTED };
        self.shelf.speech(&object).is_file().then(|| {
            let now = self.clock.now();
            NewJob {
                organization: head.organization,
                kind: KIND.to_owned(),
                subject: object.to_string(),
                call: Some(head.key),
                data: Document::from_json_text(data),
                created_at: now,
                due: now.plus_millis(WAIT_MILLIS),
            }
        })
    }
}
