//! Orders to the gateway: to hang a call up, to place one.

use std::time::Duration;

use async_trait::async_trait;
use pegcount_calls::{CallName, Timestamp};
use pegcount_gateway::{CallId, HangUp, Refused, Registered, Side};
use pegcount_store::OrganizationNumber;

use super::{
    Sip,
    routing::{NoOrder, Wanted},
};
use crate::{
    control::{
        ControlError, Hangup, NoPlacement, Order, Placement, Reply, SipMessage, Switchboard, UserContact,
    },
    vocabulary::call_name,
};

/// How long both legs may take to end before the order is answered all the same.
const BOTH_LEGS: Duration = Duration::from_secs(1);
/// How long the ledger may take to be told of something that has just happened.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

#[async_trait]
impl Hangup for Sip {
    async fn controls(&self, _organization: OrganizationNumber) -> Result<bool, ControlError> {
        Ok(true)
    }

    async fn hang_up(&self, order: &Order) -> Result<Reply, ControlError> {
        let gateway =
            self.gateway().ok_or_else(|| ControlError::Unreachable("the SIP gateway does not run".into()))?;
        let call = CallId::new(order.call.as_str());
        match gateway.hang_up(&call, None, BOTH_LEGS).await {
            HangUp::Ended | HangUp::Ending => Ok(Reply::Taken),
            HangUp::NoSuchCall => {
                // Its end may be on its way to the ledger.
                self.until(order.organization, &order.call, Told::End).await;
                Ok(Reply::Gone)
            }
        }
    }
}

#[async_trait]
impl Switchboard for Sip {
    async fn place(&self, placement: Placement) -> Result<CallName, NoPlacement> {
        let gateway = self.gateway().ok_or(NoPlacement::Off)?;
        let organization = self.organization(placement.organization).ok_or(NoPlacement::NoTrunk)?;
        let wanted = Wanted {
            from: &placement.from,
            to: &placement.to,
            endpoint: placement.endpoint.as_ref(),
            metadata: placement.metadata.map(|metadata| metadata.as_json_text().to_owned()),
        };
        let dial = self.decisions.order(&organization, &wanted).map_err(|problem| match problem {
            NoOrder::NoTrunk => NoPlacement::NoTrunk,
            NoOrder::From => NoPlacement::From,
            NoOrder::To => NoPlacement::To,
            NoOrder::Endpoint => NoPlacement::Endpoint,
            NoOrder::Unreachable => NoPlacement::Unreachable,
        })?;
        let call = gateway.dial(dial).await.map_err(|refused| match refused {
            Refused::Full => NoPlacement::Full,
            Refused::Stopping => NoPlacement::Off,
        })?;
        let name = call_name(call.as_str());
        self.until(placement.organization, &name, Told::Beginning).await;
        Ok(name)
    }

    fn messages(&self, call: &CallName) -> Option<Vec<SipMessage>> {
        let traced = self.gateway()?.trace(&CallId::new(call.as_str()))?;
        let message = |traced: pegcount_gateway::Traced| SipMessage {
            at: Timestamp::from_millis(i64::try_from(traced.at_ms).unwrap_or(i64::MAX)),
            leg: traced.leg,
            is_caller: traced.side == Side::Caller,
            is_sent: traced.sent,
            peer: traced.peer,
            text: traced.text,
        };
        Some(traced.into_iter().map(message).collect())
    }

    fn registrations(&self, organization: OrganizationNumber) -> Vec<UserContact> {
        let Some(gateway) = self.gateway() else { return Vec::new() };
        let rules = self.decisions.rules();
        let all = gateway.registrations().all().into_iter();
        let own = all.filter(|one| self.organization_of_user(&one.user) == Some(organization));
        let contacts = own.flat_map(|Registered { user, contacts }| {
            let endpoint = rules.users.get(&user).and_then(|user| user.endpoint.clone());
            contacts.into_iter().map(move |contact| UserContact {
                user: user.clone(),
                endpoint: endpoint.clone(),
                uri: contact.uri,
                source: contact.source,
                expires_at: Timestamp::from_millis(i64::try_from(contact.expires_at).unwrap_or(i64::MAX)),
            })
        });
        contacts.collect()
    }

    async fn directory_changed(&self, organization: OrganizationNumber) {
        if let Err(error) = self.read_listing(organization).await {
            tracing::warn!(%error, "phone numbers and endpoints cannot be read; SIP calls go by what was read before");
        }
    }
}

/// What the ledger may have been told of a call.
#[derive(Clone, Copy)]
enum Told {
    Beginning,
    End,
}

impl Sip {
    /// Waits a little until the ledger has been told something of a call.
    async fn until(&self, organization: OrganizationNumber, call: &CallName, wanted: Told) {
        let told = async {
            loop {
                let taken = self.outbox.taken.notified();
                tokio::pin!(taken);
                taken.as_mut().enable();
                let filed = self.store.call(organization, call.as_str()).await.ok().flatten();
                let is_told = match wanted {
                    Told::Beginning => filed.is_some(),
                    Told::End => filed.is_none_or(|filed| filed.call.status().is_ended()),
                };
                if is_told {
                    return;
                }
                taken.await;
            }
        };
        if tokio::time::timeout(TOLD_WITHIN, told).await.is_err() {
            tracing::debug!(%call, "the ledger was not told in time");
        }
    }
}
