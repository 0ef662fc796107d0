//! The one way out: what a principal may see and do. The organization and the scope are applied here, once.
//!
//! A handler never gets at the store, the live set or control: it gets an [`Access`], which is bound to one
//! organization. So no handler can forget a check, and nothing of another organization can be reached: its ids are
//! unknown here.

mod audit;
mod calling;
mod directory;
mod excess;
mod explaining;
mod jobs;
mod keys;
mod ledger;
mod linking;
mod privacy;
mod refusal;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pegcount_calls::{CallQuery, Disconnection, Explanation, Note, SourceName, Stats, Status, Timestamp};
use pegcount_store::{
    CallKey, Concurrency, Filed, Hold, Measure, Organization, Page, Report, Spreads, StatsQuery,
};

use crate::{
    auth::{Principal, Scope},
    control::{ControlError, Reply},
    intake::{Incoming, Outcome},
    vocabulary::{self, Telling, kinds},
};

pub use crate::{
    audit::Action,
    control::{SipMessage, UserContact},
    links::{Beginning, RequestedHost},
    recordings::{Object, Readable},
};
pub use audit::AuditFilter;
pub use calling::NewCall;
pub use directory::{EndpointChange, PhoneNumberChange};
pub use excess::{Excess, Remedy};
pub use keys::{LONGEST_GRACE, RotatedKey};
pub use ledger::{Ledger, LedgerParts, RateLimit, Watched};
pub use refusal::{Answer, KeyFault, Refusal, Thing};

/// What one principal may see and do, within one organization.
#[derive(Clone)]
pub struct Access {
    ledger: Arc<Ledger>,
    organization: Organization,
    /// `None` where the configuration opened the dialect to everybody, and where a link let somebody in.
    principal: Option<Principal>,
    is_by_link: bool,
    /// The host that links in answers begin with; `None` for the one of the configuration.
    reached_at: Option<RequestedHost>,
}

/// A call with what made it what it is.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The call.
    pub filed: Filed,
    /// Its fields; of a call whose events are gone only those that were deleted since.
    pub explanations: Vec<Explanation>,
    /// What does not fit together in its events.
    pub notes: Vec<Note>,
    /// Its events.
    pub reports: Vec<Report>,
    /// What keeps it from being erased.
    pub hold: Option<Hold>,
    /// Whether a recording should be there and is not.
    pub lacks_recording: bool,
}

impl Access {
    /// The organization that this is bound to.
    pub fn organization(&self) -> &Organization {
        &self.organization
    }

    /// The same for a client that reached this server by `host`.
    #[must_use]
    pub fn reached_at(self, host: Option<RequestedHost>) -> Self {
        Self { reached_at: host, ..self }
    }

    /// Who asks; `None` where the configuration opened the dialect to everybody, and where a link let somebody in.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// Turns away a key that lacks the scope. An opened dialect may read and do nothing else.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`].
    pub fn need(&self, scope: Scope) -> Answer<()> {
        let allowed = match &self.principal {
            // Whoever acts for every organization may do everything in each.
            Some(principal) => principal.scopes.has(scope) || principal.scopes.has(Scope::Server),
            None => scope == Scope::CallsRead,
        };
        if allowed { Ok(()) } else { Err(Refusal::Forbidden(scope)) }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.ledger.clock.now()
    }

    /// The call with this name or UUID.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] also for a call of another organization.
    pub async fn call(&self, id: &str) -> Answer<Filed> {
        self.need(Scope::CallsRead)?;
        let filed = self.find_call(id).await?;
        self.note_call(&filed).await?;
        Ok(filed)
    }

    /// The call with this name or UUID, and its events, oldest first.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn timeline(&self, id: &str) -> Answer<(Filed, Vec<Report>)> {
        self.need(Scope::CallsRead)?;
        let filed = self.find_call(id).await?;
        if self.is_by_link && filed.call.opt_out {
            return Err(Refusal::NotFound(Thing::Link));
        }
        let reports = self.reports_of(&filed).await?;
        let action = if self.is_by_link { Action::LogRead } else { Action::EventsRead };
        self.note_read(action, &filed.head).await?;
        Ok((filed, reports))
    }

    pub(super) async fn find_call(&self, id: &str) -> Answer<Filed> {
        let found = self.ledger.store.call(self.organization.number, id).await;
        self.ledger.read(found)?.ok_or(Refusal::NotFound(Thing::Call))
    }

    /// One part of the list of calls.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn calls(&self, query: &CallQuery) -> Answer<Page> {
        self.need(Scope::CallsRead)?;
        let page = self.ledger.store.calls(self.organization.number, query).await;
        let page = self.ledger.read_unless_cut(page, || Excess::of_calls(query))?;
        self.note_list(&page, query.transcript.is_some()).await?;
        Ok(page)
    }

    /// The events of calls that were read through this access, oldest first, as far as it may see them.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn reports(&self, calls: &[CallKey]) -> Answer<Vec<Vec<Report>>> {
        self.need(Scope::CallsRead)?;
        let mut reports = self.ledger.read(self.ledger.store.reports(calls).await)?;
        reports.iter_mut().for_each(|of_call| self.without_recordings(of_call));
        Ok(reports)
    }

    /// The events of one call, oldest first.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn reports_of(&self, filed: &Filed) -> Answer<Vec<Report>> {
        Ok(self.reports(&[filed.head.key]).await?.pop().unwrap_or_default())
    }

    /// The statistics of the calls that a query means, open calls included.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn stats(&self, query: &StatsQuery) -> Answer<Stats> {
        self.need(Scope::CallsRead)?;
        let stats = self.ledger.store.stats(self.organization.number, query).await;
        self.ledger.read_unless_cut(stats, || Excess::of_stats(query))
    }

    /// The same for each stretch between neighbouring bounds.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn stats_between(&self, query: &StatsQuery, bounds: &[Timestamp]) -> Answer<Vec<Stats>> {
        self.need(Scope::CallsRead)?;
        let stats = self.ledger.store.stats_between(self.organization.number, query, bounds).await;
        self.ledger.read_unless_cut(stats, || Excess::of_stats(query))
    }

    /// How measures of the calls of this organization are spread, for each stretch between neighbouring bounds.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn spreads_between(&self, query: &StatsQuery, bounds: &[Timestamp]) -> Answer<Vec<Spreads>> {
        self.need(Scope::CallsRead)?;
        let found = self.ledger.store.spreads_between(self.organization.number, query, bounds, &Measure::ALL);
        self.ledger.read_unless_cut(found.await, || Excess::of_stats(query))
    }

    /// How many calls of this organization were in progress at once, for each stretch between neighbouring bounds.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn concurrency_between(
        &self,
        query: &StatsQuery,
        bounds: &[Timestamp],
    ) -> Answer<Vec<Concurrency>> {
        self.need(Scope::CallsRead)?;
        let now = self.now();
        let found = self.ledger.store.concurrency_between(self.organization.number, query, bounds, now);
        self.ledger.read_unless_cut(found.await, || Excess::of_concurrency(query))
    }

    /// How often each reason ended a call.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn disconnections(&self, query: &StatsQuery) -> Answer<Vec<(Disconnection, u64)>> {
        self.need(Scope::CallsRead)?;
        let reasons = self.ledger.store.disconnections(self.organization.number, query).await;
        self.ledger.read_unless_cut(reasons, || Excess::of_stats(query))
    }

    /// How many calls are live.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn live_count(&self) -> Answer<usize> {
        self.need(Scope::CallsRead)?;
        Ok(self.ledger.live.count(self.organization.number))
    }

    /// How many live calls stand where.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn live_by_status(&self) -> Answer<BTreeMap<Status, usize>> {
        self.need(Scope::CallsRead)?;
        Ok(self.ledger.live.by_status(self.organization.number))
    }

    /// The call, and for each of its fields which event set it and which lost.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn explain(&self, id: &str) -> Answer<Explained> {
        let filed = self.call(id).await?;
        let reports = self.ledger.read(self.ledger.store.reports(&[filed.head.key]).await)?;
        let reports = reports.into_iter().next().unwrap_or_default();
        let (explanations, notes, reports) = explaining::explain_reports(reports).await?;
        let hold = self.ledger.read(self.ledger.store.hold(filed.head.key).await)?;
        let lacks_recording = self.ledger.patience.is_over(&filed.call, self.now());
        Ok(Explained { filed, explanations, notes, reports, hold, lacks_recording })
    }

    /// Takes events in. When this returns, they are on disk and visible to the next read.
    ///
    /// # Errors
    /// [`Refusal`]; an event that is turned away is an [`Outcome`], not an error.
    pub async fn accept(&self, incoming: Vec<Incoming>) -> Answer<Vec<Vec<Outcome>>> {
        self.need(Scope::EventsWrite)?;
        Ok(self.ledger.intake.accept(incoming).await?)
    }

    /// Orders a call hung up. Returns when the source that owns the call has taken the order; the call ends when that
    /// source says so.
    ///
    /// # Errors
    /// [`Refusal::NotLive`] for a call that is over, also when only its source knew.
    pub async fn hang_up(&self, id: &str) -> Answer<()> {
        self.need(Scope::CallsControl)?;
        let filed = self.find_call(id).await?;
        if filed.call.status().is_ended() {
            return Err(Refusal::NotLive);
        }
        let reports = self.ledger.read(self.ledger.store.reports(&[filed.head.key]).await)?;
        let sources = sources_in_order(reports.first().map(Vec::as_slice).unwrap_or_default());
        let ledger = Arc::clone(&self.ledger);
        let (head, names) = (filed.head.clone(), filed.names().cloned().collect::<Vec<_>>());
        // On a task of its own: an order on its way is not called back because the one who asked went away.
        let order = tokio::spawn(async move { ledger.control.hang_up(&head, &names, &sources).await }).await;
        match order.unwrap_or_else(|_| Err(ControlError::Unreachable("the order failed".into()))) {
            Ok(Reply::Taken) => Ok(()),
            Ok(Reply::Gone) => {
                // Its end may have been told meanwhile.
                if !self.find_call(id).await?.call.status().is_ended() {
                    let last = reports.iter().flatten().map(|report| report.at).max();
                    self.end_by_reconciliation(&filed, last).await?;
                }
                Err(Refusal::NotLive)
            }
            Err(ControlError::NotControllable) => Err(Refusal::NotControllable),
            Err(ControlError::Unreachable(reason)) => Err(Refusal::SourceUnreachable(reason)),
            Err(ControlError::Refused(reason)) => Err(Refusal::SourceRefused(reason)),
        }
    }

    /// The source says that the call is gone, though no event told its end: when that was is not known, so it ended when the
    /// `last` event shows it alive.
    async fn end_by_reconciliation(&self, filed: &Filed, last: Option<Timestamp>) -> Answer<()> {
        let now = self.now();
        let at = last.unwrap_or(now);
        let telling = Telling {
            id: vocabulary::event_id_of(&format!("gone {} {}", filed.head.uuid, now.millis())),
            at,
            at_given: true,
            received_at: now,
            source: reconciliation(),
            kind: kinds::CALL_COMPLETED.to_owned(),
            data: r#"{"inferred":true,"hangup_source":"system"}"#.to_owned(),
        };
        match self.ledger.intake.tell(&filed.head, telling).await? {
            Outcome::Accepted | Outcome::Duplicate => Ok(()),
            Outcome::Rejected(rejection) => {
                Err(Refusal::Unavailable { reason: rejection.message, retry_after: Duration::from_secs(1) })
            }
        }
    }
}

/// The source of events that this program concludes by itself.
fn reconciliation() -> SourceName {
    static NAME: std::sync::LazyLock<SourceName> =
        std::sync::LazyLock::new(|| vocabulary::source_name("reconciliation"));
    NAME.clone()
}

/// The sources of a call, each once, in the order of their earliest events.
fn sources_in_order(reports: &[Report]) -> Vec<SourceName> {
    let mut sources: Vec<SourceName> = Vec::new();
    for report in reports {
        if !sources.contains(&report.source) {
            sources.push(report.source.clone());
        }
    }
    sources
}
