//! Calls that are placed, and what went over the wire.

use std::time::Duration;

use pegcount_calls::{Document, EndpointName};
use pegcount_store::Filed;

use super::{Access, Answer, Refusal, Thing};
use crate::{
    audit::Action,
    auth::Scope,
    control::{NoPlacement, Placement, SipMessage, UserContact},
};

/// A call to be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCall {
    /// The calling number: one of the organization's.
    pub from_number: String,
    /// The called number.
    pub to_number: String,
    /// The endpoint to connect with it; `None`: the one of the calling number.
    pub endpoint: Option<EndpointName>,
    /// What the call is to be found by; an object.
    pub metadata: Option<Document>,
}

impl Access {
    /// Places a call: first the number, then, when that has answered, the endpoint.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names what is wrong with the order, [`Refusal::NoTrunk`] what is missing for it.
    pub async fn place_call(&self, new: NewCall) -> Answer<Filed> {
        self.need(Scope::CallsControl)?;
        let off = || Refusal::SourceUnreachable(NoPlacement::Off.to_string());
        let switchboard = self.ledger.control.switchboard().cloned().ok_or_else(off)?;
        let placement = Placement {
            organization: self.organization.number,
            from: new.from_number,
            to: new.to_number,
            endpoint: new.endpoint,
            metadata: new.metadata,
        };
        // On a task of its own: a call that is placed is not given up because the one who asked went away.
        let placed = tokio::spawn(async move { switchboard.place(placement).await }).await;
        let name = placed.unwrap_or(Err(NoPlacement::Off)).map_err(|problem| {
            let invalid = |parameter: &str| Refusal::invalid(parameter, problem.to_string());
            match problem {
                NoPlacement::Off => off(),
                NoPlacement::NoTrunk => Refusal::NoTrunk,
                NoPlacement::From => invalid("from_number"),
                NoPlacement::To => invalid("to_number"),
                NoPlacement::Endpoint | NoPlacement::Unreachable => invalid("endpoint_id"),
                NoPlacement::Full => {
                    Refusal::Unavailable { reason: problem.to_string(), retry_after: Duration::from_secs(5) }
                }
            }
        })?;
        // It was placed; only that it cannot be read yet may be wrong.
        self.find_call(name.as_str()).await.map_err(|refusal| match refusal {
            Refusal::NotFound(Thing::Call) => Refusal::Unavailable {
                reason: format!("the call {name} is placed, and cannot be read yet"),
                retry_after: Duration::from_secs(1),
            },
            other => other,
        })
    }

    /// The last SIP messages of a call, oldest first.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where the gateway remembers none of it.
    pub async fn sip_messages(&self, id: &str) -> Answer<Vec<SipMessage>> {
        self.need(Scope::CallsRead)?;
        let filed = self.find_call(id).await?;
        let switchboard = self.ledger.control.switchboard();
        let messages =
            switchboard.and_then(|switchboard| filed.names().find_map(|name| switchboard.messages(name)));
        let messages = messages.ok_or(Refusal::NotFound(Thing::SipTrace))?;
        self.note_read(Action::SipTraceRead, &filed.head).await?;
        Ok(messages)
    }

    /// Where the users of the SIP gateway are registered, and how many places there are. Network addresses of persons are
    /// for administrators.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] without the scope `admin`.
    pub fn registrations(&self, limit: u32, offset: u64) -> Answer<(Vec<UserContact>, u64)> {
        self.need(Scope::Admin)?;
        let switchboard = self.ledger.control.switchboard();
        let number = self.organization.number;
        let all = switchboard.map(|switchboard| switchboard.registrations(number)).unwrap_or_default();
        let total = all.len() as u64;
        let (limit, offset) = (limit as usize, usize::try_from(offset).unwrap_or(usize::MAX));
        Ok((all.into_iter().skip(offset).take(limit).collect(), total))
    }

    /// Tells the gateway that numbers or endpoints have changed.
    pub(super) async fn directory_changed(&self) {
        if let Some(switchboard) = self.ledger.control.switchboard() {
            switchboard.directory_changed(self.organization.number).await;
        }
    }
}
