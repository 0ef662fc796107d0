//! Hanging calls up: which source owns a call, and the order to it.
//!
//! An order changes no call. The source's next event does. So an order is sent once, however often it is asked for
//! while the source works on it, and a source that says the call is gone is believed by way of another event
//! ([`crate::access`]).
//!
//! The way to the SIP gateway is here too: who serves clients places calls by it, and knows of it no more than that.

mod switchboard;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use pegcount_calls::{CallName, SourceName, Timestamp};
use pegcount_store::{CallHead, CallKey, OrganizationNumber};
use tokio::sync::OnceCell;

use crate::clock::Clock;

pub use switchboard::{NoPlacement, Placement, SipMessage, Switchboard, UserContact};

/// How long an order that was taken stands before another one is sent: a source normally ends a call within a second.
const ORDER_STANDS: Duration = Duration::from_secs(30);

/// An order to hang one call up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whose call it is.
    pub organization: OrganizationNumber,
    /// The call, as its source names it.
    pub call: CallName,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

/// What a source says to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It will hang up.
    Taken,
    /// The call is gone already.
    Gone,
}

/// Why an order could not be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No source of this call can hang up.
    #[error("no source of this call can hang it up")]
    NotControllable,
    /// The source cannot be reached at the moment.
    #[error("the source of this call cannot be reached: {0}")]
    Unreachable(String),
    /// The source refused, or its address leads nowhere: an order that is repeated fails, too.
    #[error("the source of this call does not hang it up: {0}")]
    Refused(String),
}

/// A source that can hang calls up.
#[async_trait]
pub trait Hangup: Send + Sync {
    /// Whether it can hang up calls of this organization at all.
    async fn controls(&self, organization: OrganizationNumber) -> Result<bool, ControlError>;
    /// Gives the order.
    async fn hang_up(&self, order: &Order) -> Result<Reply, ControlError>;
}

struct Standing {
    since: Timestamp,
    result: Arc<OnceCell<Result<Reply, ControlError>>>,
}

/// Every source that can hang up, and the orders that stand.
pub struct Control {
    sources: HashMap<SourceName, Arc<dyn Hangup>>,
    switchboard: Option<Arc<dyn Switchboard>>,
    standing: Mutex<HashMap<CallKey, Standing>>,
    clock: Clock,
}

impl Control {
    /// Control through these sources.
    pub fn new(sources: HashMap<SourceName, Arc<dyn Hangup>>, clock: Clock) -> Self {
        Self { sources, switchboard: None, standing: Mutex::default(), clock }
    }

    /// The same, with the way to a gateway.
    #[must_use]
    pub fn with_switchboard(mut self, switchboard: Arc<dyn Switchboard>) -> Self {
        self.switchboard = Some(switchboard);
        self
    }

    /// The way to the gateway.
    pub fn switchboard(&self) -> Option<&Arc<dyn Switchboard>> {
        self.switchboard.as_ref()
    }

    /// Gives the order to hang a call up, once, to its owner: of its sources, in the order of their earliest events,
    /// the first that can hang up. A merged call has several `names`, its own first: the source knows it by one of them.
    ///
    /// # Errors
    /// [`ControlError`]; an order that failed does not stand, the next one is sent anew.
    pub async fn hang_up(
        &self,
        call: &CallHead,
        names: &[CallName],
        sources: &[SourceName],
    ) -> Result<Reply, ControlError> {
        let cell = self.standing_order(call.key);
        let result = cell
            .get_or_init(|| async {
                let owner = self.owner(call.organization, sources).await?;
                let asked_at = self.clock.now();
                for name in names {
                    let order = Order { organization: call.organization, call: name.clone(), asked_at };
                    if owner.hang_up(&order).await? == Reply::Taken {
                        return Ok(Reply::Taken);
                    }
                }
                Ok(Reply::Gone)
            })
            .await
            .clone();
        if let Err(ControlError::Unreachable(reason) | ControlError::Refused(reason)) = &result {
            tracing::warn!(call = %call.name, reason, "a call could not be hung up");
        }
        if !matches!(result, Ok(Reply::Taken)) {
            self.forget(call.key, &cell);
        }
        result
    }

    async fn owner(
        &self,
        organization: OrganizationNumber,
        sources: &[SourceName],
    ) -> Result<&Arc<dyn Hangup>, ControlError> {
        for source in sources.iter().filter_map(|name| self.sources.get(name)) {
            if source.controls(organization).await? {
                return Ok(source);
            }
        }
        Err(ControlError::NotControllable)
    }

    fn standing_order(&self, key: CallKey) -> Arc<OnceCell<Result<Reply, ControlError>>> {
        let now = self.clock.now();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.retain(|_, order| now.since(order.since) < ORDER_STANDS);
        let order = standing.entry(key).or_insert_with(|| Standing { since: now, result: Arc::default() });
        Arc::clone(&order.result)
    }

    fn forget(&self, key: CallKey, cell: &Arc<OnceCell<Result<Reply, ControlError>>>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.get(&key).is_some_and(|order| Arc::ptr_eq(&order.result, cell)) {
            standing.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
