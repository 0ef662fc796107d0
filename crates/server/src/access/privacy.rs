//! Having calls go, and keeping them from going.

use pegcount_store::{CallHead, Erasure, ErasureProgress, Hold};
use uuid::Uuid;

use super::{Access, Answer, Refusal, Thing};
use crate::{audit::Action, auth::Scope, intake::Erased, privacy};

/// Fewest and most digits of a number whose calls are erased: a shorter one is an extension of many people.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// Phone numbers that are read at a time.
const PAGE: u32 = 500;

/// The digits of a number as people and addresses write it, from the country code on: the directory takes any writing.
fn international_digits(text: &str) -> String {
    let user = text.split(['@', ';']).next().unwrap_or_default();
    let number = user.rsplit_once(':').map_or(user, |(_, number)| number);
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.strip_prefix("00").map_or_else(|| digits.clone(), str::to_owned)
}

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
    /// A number of the organization itself is erased only with `own_number`: all its calls would go.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for what is no number, [`Refusal::OwnNumber`].
    pub async fn erase_number(&self, number: &str, own_number: bool) -> Answer<Erasure> {
        self.need(Scope::Admin)?;
        let digits = number.strip_prefix('+').unwrap_or(number);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && DIGITS.contains(&digits.len());
        if !is_number || digits.starts_with('0') {
            let message = "must be a number in E.164: +, the country code and the rest, 5 to 15 digits";
            return Err(Refusal::invalid("phone_number", message));
        }
        if !own_number && self.is_own_number(digits).await? {
            return Err(Refusal::OwnNumber);
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

    /// Whether one of the organization's phone numbers is this one, by its number or by its id.
    async fn is_own_number(&self, digits: &str) -> Answer<bool> {
        let mut offset = 0;
        loop {
            let page = self.ledger.store.phone_numbers(self.organization.number, PAGE, offset).await;
            let (numbers, _) = self.ledger.read(page)?;
            let is_it = |text: &str| international_digits(text) == digits;
            if numbers.iter().any(|own| is_it(own.id.as_str()) || own.number.as_deref().is_some_and(is_it)) {
                return Ok(true);
            }
            if numbers.len() < PAGE as usize {
                return Ok(false);
            }
            offset += u64::from(PAGE);
        }
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

#[cfg(test)]
mod tests {
    use super::international_digits;

    #[test]
    fn a_number_is_the_same_in_every_writing() {
        for text in [
            "+14155551234",
            "14155551234",
            "0014155551234",
            "+1 (415) 555-1234",
            "tel:+1-415-555-1234;phone-context=x",
            "sip:+14155551234@pbx.example",
            "sips:14155551234@pbx.example:5061",
        ] {
            assert_eq!(international_digits(text), "14155551234", "{text}");
        }
        for text in ["", "pn_1", "sip:agent@10.0.0.1", "4155551234"] {
            assert_ne!(international_digits(text), "14155551234", "{text}");
        }
    }
}
