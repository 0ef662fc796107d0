//! Having calls go, and keeping them from going.

use pegcount_store::{CallHead, Erasure, ErasureProgress, Hold};
use uuid::Uuid;

use super::{Access, Answer, Refusal, Thing};
use crate::{audit::Action, auth::Scope, intake::Erased, privacy};

/// Fewest and most digits of a number whose calls are erased: a shorter one is an extension of many people.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

impl Access {
    /// Erases a call that is over, with its recording: it is not found or listed any more, and still counted in
    /// statistics.
    ///
    /// # Errors
    /// [`Refusal::NotOver`] for a call in progress, [`Refusal::Held`] for one on hold.
    pub async fn erase(&self, id: &str) -> Answer<()> {
        let head = self.head(id).await?;
        let (room, uuid) = (self.room(Action::CallErased).await?, head.uuid);
        match self.ledger.intake.erase(head).await? {
            Erased::Gone => {
                self.note_done(room, uuid.to_string(), "{}".to_owned()).await;
                Ok(())
            }
            Erased::Unknown => Err(Refusal::NotFound(Thing::Call)),
            Erased::NotOver => Err(Refusal::NotOver),
            Erased::Held(hold) => Err(Refusal::Held(hold.reason)),
        }
    }

    /// The call that this names, for who may do everything to it.
    async fn head(&self, id: &str) -> Answer<CallHead> {
        self.need(Scope::Admin)?;
        let found = self.ledger.store.head(self.organization.number, id).await;
        self.ledger.read(found)?.ok_or(Refusal::NotFound(Thing::Call))
    }

    /// The hold on a call.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn hold(&self, id: &str) -> Answer<Hold> {
        let head = self.head(id).await?;
        self.ledger.read(self.ledger.store.hold(head.key).await)?.ok_or(Refusal::NotFound(Thing::Hold))
    }

    /// Puts a call on hold for this reason. One that is on hold has this reason from now on.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn set_hold(&self, id: &str, reason: String) -> Answer<Hold> {
        let head = self.head(id).await?;
        let room = self.room(Action::CallHeld).await?;
        self.ledger.read(self.ledger.store.set_hold(head.key, &Hold { reason, since: self.now() }).await)?;
        self.note_done(room, head.uuid.to_string(), "{}".to_owned()).await;
        self.hold(id).await
    }

    /// Ends a hold.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where there is none.
    pub async fn release_hold(&self, id: &str) -> Answer<()> {
        let head = self.head(id).await?;
        let room = self.room(Action::CallReleased).await?;
        match self.ledger.read(self.ledger.store.release_hold(head.key).await)? {
            true => {
                self.note_done(room, head.uuid.to_string(), "{}".to_owned()).await;
                Ok(())
            }
            false => Err(Refusal::NotFound(Thing::Hold)),
        }
    }

    /// Orders every call from and to a number erased. When this returns, the order is on disk; it is carried out after that.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for what is no number.
    pub async fn erase_number(&self, number: &str) -> Answer<Erasure> {
        self.need(Scope::Admin)?;
        let digits = number.strip_prefix('+').unwrap_or(number);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && DIGITS.contains(&digits.len());
        if !is_number || digits.starts_with('0') {
            let message = "must be a number in E.164: +, the country code and the rest, 5 to 15 digits";
            return Err(Refusal::invalid("phone_number", message));
        }
        let erasure = Erasure {
            id: Uuid::now_v7(),
            organization: self.organization.number,
            digits: Some(digits.to_owned()),
            created_at: self.now(),
            finished_at: None,
            progress: ErasureProgress::default(),
        };
        let kept = async {
            let mut transaction = self.ledger.store.begin().await?;
            transaction.create_erasure(&erasure).await?;
            transaction.enqueue(&privacy::erasing_of(&erasure, self.now())).await?;
            transaction.commit().await
        };
        let room = self.room(Action::ErasureOrdered).await?;
        self.ledger.read(kept.await)?;
        self.ledger.jobs.nudge();
        self.note_done(room, erasure.id.to_string(), "{}".to_owned()).await;
        Ok(erasure)
    }

    /// The order with this id to erase the calls of a number.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn erasure(&self, id: &str) -> Answer<Erasure> {
        self.need(Scope::Admin)?;
        let missing = || Refusal::NotFound(Thing::Erasure);
        let id = Uuid::parse_str(id).map_err(|_| missing())?;
        self.ledger.read(self.ledger.store.erasure(self.organization.number, id).await)?.ok_or_else(missing)
    }
}
