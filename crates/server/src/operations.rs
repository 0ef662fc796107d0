//! What an operator can order: the same whether the server runs or not.
//!
//! On a stopped server a command opens the store itself; on a running one it goes through the server, over
//! `DIR/control.sock`, because there is one writer. Either way it is an [`Order`] that [`Operator::carry_out`] carries
//! out, so the two cannot differ.

mod audit;
mod backup;
mod doctor;
mod encryption;
mod jobs;
mod keys;

pub use doctor::finding_value;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use pegcount_calls::{CallName, LegId, OrganizationName, SourceName, Timestamp};
use pegcount_store::{CallKey, LegSpan, Organization, OrganizationNumber, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    access::Ledger,
    audit::Audit,
    clock::Clock,
    intake::{CallReference, Incoming, Intake, Outcome, Reason, Refold, Refolded, Renewal, Ties},
    jobs::Jobs,
    organizations::PerOrganization,
    privacy::Retention,
    recordings::{Desk, Patience, Shelf},
    vocabulary::{
        self, Rejection, Telling, Told,
        time::{differ_by_zone, format_rfc3339},
    },
};

/// Something an operator wants done.
#[derive(Debug, Deserialize, Serialize)]
pub enum Order {
    /// Make an organization.
    CreateOrganization {
        /// Its string id.
        id: String,
        /// Its number; the next free one when absent.
        number: Option<i64>,
        /// What people call it.
        name: Option<String>,
    },
    /// List the organizations.
    ListOrganizations,
    /// Make a key.
    CreateKey {
        /// Whose it is, by id or number.
        organization: String,
        /// What it may do.
        scopes: Vec<String>,
        /// What people call it.
        name: Option<String>,
    },
    /// Make a key that takes the place of another one.
    RotateKey {
        /// The id of the other one.
        id: String,
        /// For how many seconds the other one still works.
        grace_seconds: u64,
    },
    /// List the keys.
    ListKeys,
    /// Revoke a key.
    RevokeKey {
        /// Its id.
        id: String,
    },
    /// Take in what was read from files.
    Import {
        /// Whose calls they are, by id or number.
        organization: String,
        /// The records.
        records: Vec<Record>,
    },
    /// Fold calls again from their events.
    Refold {
        /// Only show what would differ.
        check: bool,
        /// Of this organization only.
        organization: Option<String>,
        /// This call only.
        call: Option<String>,
        /// Price calls by the rates that hold now.
        #[serde(default)]
        rates: bool,
        /// Look phone numbers up again.
        #[serde(default)]
        numbers: bool,
    },
    /// Make the counts that are kept beside the calls anew.
    Recount,
    /// Look whether every entry of the audit log fits the one before it.
    VerifyAudit,
    /// Tell what is sealed with which key.
    EncryptionStatus,
    /// Seal whatever is in the clear, or sealed with another key than the one that seals.
    Reseal {
        /// The id of the first key of the configuration that the command reads.
        first_key: Option<String>,
    },
    /// Look for damage.
    Doctor,
    /// Tell where the server listens.
    Addresses,
    /// Keep a copy of the store.
    Backup {
        /// The file to make; absolute, since the server may run in another folder.
        path: PathBuf,
        /// Leave out the folder of recordings.
        #[serde(default)]
        without_recordings: bool,
    },
    /// List jobs, newest first.
    ListJobs {
        /// In this state only.
        state: Option<String>,
        /// Of this kind only.
        kind: Option<String>,
        /// How many at most.
        limit: u32,
    },
    /// Run a job that waits or is dead now.
    RetryJob {
        /// Its number.
        id: i64,
    },
    /// Run every dead job now.
    RetryDeadJobs {
        /// Of this kind only.
        kind: Option<String>,
    },
    /// Forget a job that does not run.
    ForgetJob {
        /// Its number.
        id: i64,
    },
}

/// One record of a file: the events of one call that it tells.
#[derive(Debug, Deserialize, Serialize)]
pub struct Record {
    /// The source.
    pub source: SourceName,
    /// The name of the call, or of the call that these legs open.
    pub call: CallName,
    /// The legs, for sources that have them: id and span.
    pub legs: Vec<NamedSpan>,
    /// What the call leaves for others to find it by.
    #[serde(default)]
    pub left: Vec<NamedSpan>,
    /// What the call is looked for by.
    #[serde(default)]
    pub sought: Vec<NamedSpan>,
    /// The events.
    pub events: Vec<RecordedEvent>,
}

/// A leg's name and the span in which it means this leg.
type NamedSpan = (LegId, Timestamp, Timestamp);

/// One event of a record.
#[derive(Debug, Deserialize, Serialize)]
pub struct RecordedEvent {
    id: pegcount_calls::EventId,
    at: Timestamp,
    at_given: bool,
    received_at: Timestamp,
    kind: String,
    data: String,
}

impl Record {
    /// A record of what a source told.
    pub fn of(call: CallReference, tellings: Vec<Telling>) -> Option<Self> {
        let source = tellings.first()?.source.clone();
        let (call, legs, ties) = match call {
            CallReference::Named(name) => (name, Vec::new(), Ties::default()),
            CallReference::Legs { legs, ties, name } => (name, legs, ties),
        };
        let named = |legs: Vec<LegSpan>| legs.into_iter().map(|leg| (leg.id, leg.from, leg.to)).collect();
        let events = tellings.into_iter().map(|telling| RecordedEvent {
            id: telling.id,
            at: telling.at,
            at_given: telling.at_given,
            received_at: telling.received_at,
            kind: telling.kind,
            data: telling.data,
        });
        Some(Self {
            source,
            call,
            legs: named(legs),
            left: named(ties.left),
            sought: named(ties.sought),
            events: events.collect(),
        })
    }

    /// Which call it speaks of.
    fn reference(&mut self) -> CallReference {
        let spans = |legs: &mut Vec<NamedSpan>| -> Vec<LegSpan> {
            std::mem::take(legs).into_iter().map(|(id, from, to)| LegSpan { id, from, to }).collect()
        };
        let name = self.call.clone();
        let legs = spans(&mut self.legs);
        let ties = Ties { left: spans(&mut self.left), sought: spans(&mut self.sought) };
        if legs.is_empty() && ties.sought.is_empty() {
            CallReference::Named(name)
        } else {
            CallReference::Legs { legs, ties, name }
        }
    }
}

/// Where the program listens, for the ready file and the commands.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
pub struct Ready {
    /// HTTP.
    pub http: SocketAddr,
    /// The live WebSocket.
    pub live: SocketAddr,
    /// SIP; null without a gateway.
    pub sip: Option<SocketAddr>,
    /// The process.
    pub pid: u32,
}

/// Carries orders out.
pub struct Operator {
    /// Where calls are kept.
    pub store: Arc<dyn Store>,
    /// The way in.
    pub intake: Intake,
    /// The door, which must learn of new keys and organizations.
    pub ledger: Arc<Ledger>,
    /// The runner of jobs, which must learn that some are due.
    pub jobs: Arc<Jobs>,
    /// Where it is noted what was done.
    pub audit: Arc<Audit>,
    /// Where recordings lie.
    pub shelf: Shelf,
    /// With what those in an object store are worked on, if there is one.
    pub desk: Option<Arc<Desk>>,
    /// How long recordings may take to come.
    pub patience: Patience,
    /// How long what is kept of calls.
    pub retention: Arc<PerOrganization<Retention>>,
    /// The time.
    pub clock: Clock,
    /// Where the server listens, if one runs here.
    pub listening: Option<Ready>,
}

/// How many calls are folded again in one transaction, so that new events need not wait long.
const REFOLD_CHUNK: u32 = 200;

/// A sentence that says what went wrong and what to do.
type Done = Result<Value, String>;

fn sentence(error: &StoreError) -> String {
    chain(error)
}

/// An error with what caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

impl Operator {
    /// Carries an order out; the answer is what `--json` prints.
    ///
    /// # Errors
    /// A sentence that says what went wrong and what to do.
    pub async fn carry_out(&self, order: Order) -> Done {
        match order {
            Order::CreateOrganization { id, number, name } => {
                self.create_organization(&id, number, name).await
            }
            Order::ListOrganizations => self.list_organizations().await,
            Order::CreateKey { organization, scopes, name } => {
                self.create_key(&organization, &scopes, name).await
            }
            Order::RotateKey { id, grace_seconds } => {
                self.rotate_key(&id, Duration::from_secs(grace_seconds)).await
            }
            Order::ListKeys => self.list_keys().await,
            Order::RevokeKey { id } => self.revoke_key(&id).await,
            Order::Import { organization, records } => self.import(&organization, records).await,
            Order::Recount => {
                self.store.rebuild_rollups().await.map_err(|error| sentence(&error))?;
                Ok(json!({ "recounted": true }))
            }
            Order::Refold { check, organization, call, rates, numbers } => {
                let order = Refold { check_only: check, renewal: Renewal { rates, numbers } };
                self.refold(order, organization.as_deref(), call.as_deref()).await
            }
            Order::VerifyAudit => self.verify_audit().await,
            Order::EncryptionStatus => self.encryption_status().await,
            Order::Reseal { first_key } => self.reseal(first_key.as_deref()).await,
            Order::Doctor => self.doctor().await,
            Order::Addresses => Ok(json!(self.listening)),
            Order::Backup { path, without_recordings } => self.backup(&path, without_recordings).await,
            Order::ListJobs { state, kind, limit } => self.list_jobs(state.as_deref(), kind, limit).await,
            Order::RetryJob { id } => self.retry_job(id).await,
            Order::RetryDeadJobs { kind } => self.retry_dead_jobs(kind.as_deref()).await,
            Order::ForgetJob { id } => self.forget_job(id).await,
        }
    }

    async fn create_organization(&self, id: &str, number: Option<i64>, name: Option<String>) -> Done {
        let id = OrganizationName::new(id).map_err(|error| format!("the id {id:?} {error}"))?;
        if id.as_str().bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("the id must hold more than digits, or it could be taken for a number".into());
        }
        if number.is_some_and(|number| !(1..=9_007_199_254_740_991).contains(&number)) {
            return Err("the number must be a positive integer below 2^53".into());
        }
        let number = number.map(OrganizationNumber);
        let made = self.store.create_organization(&id, number, name.as_deref()).await;
        let made = made.map_err(|error| sentence(&error))?;
        self.ledger.reload().await.map_err(|error| sentence(&error))?;
        Ok(organization_value(&made))
    }

    async fn list_organizations(&self) -> Done {
        let all = self.store.organizations().await.map_err(|error| sentence(&error))?;
        Ok(all.iter().map(organization_value).collect())
    }

    async fn organization(&self, name: &str) -> Result<Organization, String> {
        let all = self.store.organizations().await.map_err(|error| sentence(&error))?;
        let by_id = all.iter().find(|one| one.id.as_str() == name);
        let by_number = || all.iter().find(|one| one.number.0.to_string() == name);
        by_id.or_else(by_number).cloned().ok_or_else(|| {
            format!(
                "there is no organization {name:?}: make it with `pegcount organizations create --id {name}`"
            )
        })
    }

    async fn import(&self, organization: &str, records: Vec<Record>) -> Done {
        let organization = self.organization(organization).await?.number;
        let mut rejected: Vec<Value> = Vec::new();
        let mut places = Vec::new();
        let mut incoming = Vec::with_capacity(records.len());
        for (place, mut record) in records.into_iter().enumerate() {
            let call = record.reference();
            let mut told = Vec::with_capacity(record.events.len());
            for event in record.events {
                let telling = Telling {
                    id: event.id,
                    at: event.at,
                    at_given: event.at_given,
                    received_at: event.received_at,
                    source: record.source.clone(),
                    kind: event.kind,
                    data: event.data,
                };
                match vocabulary::tell(telling) {
                    Ok(event) => told.push(event),
                    Err(error) => rejected
                        .push(json!({ "record": place, "code": error.code, "message": error.message })),
                }
            }
            if !told.is_empty() {
                // Events that are made of records have ids made of them: the same one in other words is one that an
                // earlier program read. It stays as it is.
                let is_made = matches!(call, CallReference::Legs { .. });
                let times: Vec<Timestamp> = told.iter().map(|told: &Told| told.report.at).collect();
                places.push((place, is_made, times));
                incoming.push(Incoming { organization, source: record.source, call, told });
            }
        }
        let outcomes = self.intake.accept(incoming).await.map_err(|error| error.to_string())?;
        let (mut accepted, mut duplicates) = (0_u64, 0_u64);
        let mut moved: Vec<Value> = Vec::new();
        for ((place, is_made, times), outcomes) in places.into_iter().zip(outcomes) {
            for (at, outcome) in times.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Accepted => accepted += 1,
                    Outcome::Duplicate => duplicates += 1,
                    Outcome::Rejected(error) if is_made && error.code == Rejection::EVENT_ID_REUSED => {
                        duplicates += 1;
                        if let Some(known_at) =
                            error.known_at.filter(|known_at| differ_by_zone(*known_at, at))
                        {
                            let (known_at, at) = (format_rfc3339(known_at), format_rfc3339(at));
                            moved.push(json!({ "record": place, "known_at": known_at, "at": at }));
                        }
                    }
                    Outcome::Rejected(error) => {
                        rejected
                            .push(json!({ "record": place, "code": error.code, "message": error.message }));
                    }
                }
            }
        }
        Ok(json!({ "accepted": accepted, "duplicates": duplicates, "moved": moved, "rejected": rejected }))
    }

    async fn refold(&self, order: Refold, organization: Option<&str>, call: Option<&str>) -> Done {
        let organization = match organization {
            Some(name) => Some(self.organization(name).await?.number),
            None => None,
        };
        let refolded = match call {
            Some(call) => self.refold_one(order, organization, call).await?,
            None => self.refold_all(order, organization).await?,
        };
        let differing = refolded.differing.iter().map(|one| {
            let because: Vec<&str> = one.because.iter().copied().map(reason).collect();
            json!({ "call": one.call, "fields": one.fields, "because": because })
        });
        let unreadable = refolded.unreadable.iter().map(|(call, why)| json!({ "call": call, "error": why }));
        Ok(json!({
            "examined": refolded.examined,
            "differing": differing.collect::<Vec<_>>(),
            "repaired": if order.check_only { 0 } else { refolded.differing.len() },
            "unreadable": unreadable.collect::<Vec<_>>(),
        }))
    }

    async fn refold_one(
        &self,
        order: Refold,
        organization: Option<OrganizationNumber>,
        call: &str,
    ) -> Result<Refolded, String> {
        let organizations = match organization {
            Some(number) => vec![number],
            None => {
                let all = self.store.organizations().await.map_err(|error| sentence(&error))?;
                all.into_iter().map(|one| one.number).collect()
            }
        };
        let mut heads = Vec::new();
        for number in organizations {
            let found = self.store.call(number, call).await.map_err(|error| sentence(&error))?;
            heads.extend(found.map(|filed| filed.head));
        }
        if heads.is_empty() {
            return Err(format!("there is no call {call:?}"));
        }
        self.intake.refold(heads, order).await.map_err(|error| error.to_string())
    }

    async fn refold_all(
        &self,
        order: Refold,
        organization: Option<OrganizationNumber>,
    ) -> Result<Refolded, String> {
        let mut refolded = Refolded::default();
        let mut after = CallKey(0);
        loop {
            let heads = self.store.calls_after(organization, after, REFOLD_CHUNK).await;
            let heads = heads.map_err(|error| sentence(&error))?;
            let Some(last) = heads.last() else { return Ok(refolded) };
            after = last.key;
            refolded.add(self.intake.refold(heads, order).await.map_err(|error| error.to_string())?);
        }
    }
}

/// Why a call came out other than it was kept, in words.
const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Damage => "damage",
        Reason::OtherVersion => "folded by another version",
        Reason::Rates => "other rates",
        Reason::Numbers => "other phone numbers",
    }
}

fn organization_value(one: &Organization) -> Value {
    json!({ "number": one.number.0, "id": one.id.as_str(), "name": one.name })
}
