//! The work that takes a recording to the object store, and deletes it here once it is there.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_store::Job;

use super::{
    Desk, Object,
    desk::{Standing, UPLOAD, unreadable},
    on_disk,
};
use crate::jobs::{Setback, Work};

/// How long one may take: the longest call, as WAV, at 1 MB a second.
const LIMIT: Duration = Duration::from_secs(3600);
/// How many go up at once; each holds two parts in memory.
const AT_ONCE: usize = 2;

/// Takes recordings to the object store.
pub struct Upload(Arc<Desk>);

impl Upload {
    /// With what lies on this desk.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self(desk)
    }
}

#[async_trait]
impl Work for Upload {
    fn kind(&self) -> &'static str {
        UPLOAD
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let object = Object::parse(&job.subject).filter(|object| object.organization() == job.organization);
        let Some(object) = object else { return Err(Setback::never("no recording has such a name")) };
        let desk = Arc::clone(&self.0);
        // On its own, so that who stops waiting for it does not stop it somewhere: as long as anything of it can still
        // reach the store, nobody else works on this call.
        let done = tokio::spawn(async move { desk.take_away(object).await }).await;
        done.unwrap_or_else(|_| Err(Setback::later("a mistake in the program: the log has it")))
    }
}

impl Desk {
    pub(super) async fn take_away(&self, object: Object) -> Result<(), Setback> {
        let (organization, call) = (object.organization(), object.call().clone());
        let _alone = self.busy.alone(organization, &call).await;
        match self.standing(organization, &call).await? {
            Standing::Kept => {}
            Standing::Forgotten => {
                self.remove_here(vec![object]).await;
                return Ok(());
            }
            Standing::Stranger => return Err(Setback::never("the ledger has no such call")),
        }
        let Some(file) = self.shelf.file(&object).await.map_err(|error| unreadable(&error))? else {
            // Taken there before, by a run that was cut off before it could say so.
            return match self.bucket.find(&object).await? {
                Some(_) => Ok(()),
                None => Err(Setback::never("there is no such recording, neither here nor in the store")),
            };
        };
        let (shelf, of) = (self.shelf.clone(), object.clone());
        on_disk(move || shelf.reseal(&of)).await.map_err(|error| unreadable(&error))?;
        let sealed = self.shelf.keys().is_some();
        let written = self.bucket.put(&object, &file, sealed).await?;
        // Whoever erased the call meanwhile has asked for its deletion there, which waits for us; but that may have been
        // before the store had anything, by a run of the program that was ended since.
        if self.standing(organization, &call).await? == Standing::Forgotten {
            self.bucket.delete(&object).await?;
            self.remove_here(vec![object]).await;
            return Ok(());
        }
        let stored = self.bucket.find(&object).await?.map(|stored| stored.size);
        if stored != Some(written) {
            let stored = stored.unwrap_or_default();
            return Err(Setback::later(format!("the store has {stored} bytes of {written}")));
        }
        self.remove_here(vec![object]).await;
        Ok(())
    }
}
