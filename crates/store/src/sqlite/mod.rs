//! The embedded engine: SQLite in one file.
//!
//! One connection writes, behind a lock; a few read, and never wait for it (write-ahead log). What may read many rows
//! runs off the workers of the runtime. Everything that SQLite says becomes a [`StoreError`] here.

mod audit;
mod backup;
mod blocks;
mod calls;
mod check;
mod checkpoints;
pub mod chores;
mod codes;
mod concurrency;
mod conditions;
mod connect;
mod deferred;
mod directory;
mod documents;
mod engine;
mod erasure;
mod erasures;
mod events;
mod fault;
mod holds;
mod jobs;
mod keys;
mod legs;
mod lineage;
mod locate;
mod orders;
mod packed;
pub mod peek;
mod query;
mod ranking;
mod recount;
mod registrations;
mod retention;
mod rollups;
mod room;
mod rows;
#[cfg(test)]
mod samples;
mod save;
mod schema;
mod sealing;
pub mod size;
mod spreads;
mod stats;
mod tariffs;
mod totals;
mod transaction;
mod ways;
mod words;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use pegcount_calls::{
    CallQuery, Disconnection, EndpointName, OrganizationName, PhoneNumberName, Stats, Timestamp,
};
use pegcount_sealed::KeyId;
use uuid::Uuid;

use crate::{
    AccessKey, AuditPage, AuditQuery, AuditVerdict, CallHead, CallKey, Concurrency, ControlUrl, Deed,
    Endpoint, EndpointNumber, Erasure, Filed, Finding, Hold, Job, JobCount, JobFailure, JobId, JobOrder,
    JobPage, JobQuery, Measure, NewEndpoint, Next, OldCalls, OldPage, OpenCall, Organization,
    OrganizationNumber, Page, PhoneNumber, Registration, Report, Resealed, Result, Scrub, SealCount, Spreads,
    StatsQuery, Store, StoreError, Transaction, Unindexed,
};
pub use connect::stand_back;
pub(crate) use engine::Sqlite;
use fault::unavailable;
use transaction::Writing;

#[async_trait]
impl Store for Sqlite {
    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(self.begin_writing().await?))
    }

    async fn call(&self, organization: OrganizationNumber, id: &str) -> Result<Option<Filed>> {
        self.read_call(organization, id).await
    }

    async fn head(&self, organization: OrganizationNumber, id: &str) -> Result<Option<CallHead>> {
        self.quick(|connection| calls::head_of(connection, organization, id)).await
    }

    async fn calls(&self, organization: OrganizationNumber, query: &CallQuery) -> Result<Page> {
        let query = query.clone();
        let searches = query.transcript.is_some();
        if self.sealing.is_on() && query.transcript.as_deref().is_some_and(words::looks_for_beginnings) {
            return Err(StoreError::WholeWords);
        }
        if searches {
            self.indexer.caught_up().await?;
        }
        let fold = self.fold;
        let read = move |connection: &connect::Snapshot<'_>| {
            if searches {
                words::whole(connection)?;
            }
            query::page(connection, organization, &query, fold)
        };
        let page = self.slow(read).await;
        if searches && page.as_ref().is_err_and(StoreError::is_damage) {
            self.indexer.doubt();
        }
        page
    }

    async fn reports(&self, calls: &[CallKey]) -> Result<Vec<Vec<Report>>> {
        let calls = calls.to_vec();
        self.slow(move |connection| calls.into_iter().map(|call| events::of_call(connection, call)).collect())
            .await
    }

    async fn stats(&self, organization: OrganizationNumber, query: &StatsQuery) -> Result<Stats> {
        let query = query.clone();
        self.slow(move |connection| stats::stats(connection, organization, &query)).await
    }

    async fn stats_between(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
        bounds: &[Timestamp],
    ) -> Result<Vec<Stats>> {
        let (query, bounds) = (query.clone(), bounds.to_vec());
        self.slow(move |connection| stats::stats_between(connection, organization, &query, &bounds)).await
    }

    async fn disconnections(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
    ) -> Result<Vec<(Disconnection, u64)>> {
        let query = query.clone();
        self.slow(move |connection| stats::disconnections(connection, organization, &query)).await
    }

    async fn spreads_between(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
        bounds: &[Timestamp],
        measures: &[Measure],
    ) -> Result<Vec<Spreads>> {
        let (query, bounds, measures) = (query.clone(), bounds.to_vec(), measures.to_vec());
        self.slow(move |connection| {
            spreads::spreads_between(connection, organization, &query, &bounds, &measures)
        })
        .await
    }

    async fn concurrency_between(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
        bounds: &[Timestamp],
        now: Timestamp,
    ) -> Result<Vec<Concurrency>> {
        let (query, bounds) = (query.clone(), bounds.to_vec());
        self.slow(move |connection| {
            concurrency::concurrency_between(connection, organization, &query, &bounds, now)
        })
        .await
    }

    async fn open_calls(&self) -> Result<Vec<OpenCall>> {
        self.slow(|snapshot| calls::open_calls(snapshot)).await
    }

    async fn calls_after(
        &self,
        organization: Option<OrganizationNumber>,
        after: CallKey,
        limit: u32,
    ) -> Result<Vec<CallHead>> {
        self.slow(move |connection| calls::after(connection, organization, after, limit)).await
    }

    async fn organizations(&self) -> Result<Vec<Organization>> {
        self.quick(|snapshot| directory::organizations(snapshot)).await
    }

    async fn create_organization(
        &self,
        id: &OrganizationName,
        number: Option<OrganizationNumber>,
        name: Option<&str>,
    ) -> Result<Organization> {
        self.write(|connection| directory::create_organization(connection, id, number, name)).await
    }

    async fn keys(&self) -> Result<Vec<AccessKey>> {
        self.quick(|snapshot| keys::keys(snapshot)).await
    }

    async fn create_key(&self, key: &AccessKey) -> Result<()> {
        self.write(|connection| keys::create(connection, key)).await
    }

    async fn revoke_key(&self, id: &str) -> Result<bool> {
        self.write(|connection| keys::revoke(connection, id)).await
    }

    async fn rotate_key(&self, id: &str, new: &AccessKey, expires_at: Timestamp) -> Result<bool> {
        self.write(|connection| keys::rotate(connection, id, new, expires_at)).await
    }

    async fn keep_key_uses(&self, uses: &[(String, Timestamp)], now: Timestamp) -> Result<()> {
        self.write(|connection| keys::keep_uses(connection, uses, now)).await
    }

    async fn endpoints(
        &self,
        organization: OrganizationNumber,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<Endpoint>, u64)> {
        self.slow(move |connection| directory::endpoints(connection, organization, limit, offset)).await
    }

    async fn endpoint(
        &self,
        organization: OrganizationNumber,
        id: &EndpointName,
    ) -> Result<Option<Endpoint>> {
        self.quick(|connection| directory::endpoint(connection, organization, id)).await
    }

    async fn endpoint_numbered(&self, number: EndpointNumber) -> Result<Option<Endpoint>> {
        self.quick(|connection| directory::endpoint_numbered(connection, number)).await
    }

    async fn create_endpoint(&self, organization: OrganizationNumber, new: &NewEndpoint) -> Result<Endpoint> {
        self.write(|connection| directory::create_endpoint(connection, organization, new)).await
    }

    async fn update_endpoint(&self, endpoint: &Endpoint) -> Result<bool> {
        self.write(|connection| directory::update_endpoint(connection, endpoint)).await
    }

    async fn delete_endpoint(&self, organization: OrganizationNumber, id: &EndpointName) -> Result<bool> {
        self.write(|connection| directory::delete_endpoint(connection, organization, id)).await
    }

    async fn phone_numbers(
        &self,
        organization: OrganizationNumber,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<PhoneNumber>, u64)> {
        self.slow(move |connection| directory::phone_numbers(connection, organization, limit, offset)).await
    }

    async fn phone_number(
        &self,
        organization: OrganizationNumber,
        id: &PhoneNumberName,
    ) -> Result<Option<PhoneNumber>> {
        self.quick(|connection| directory::phone_number(connection, organization, id)).await
    }

    async fn create_phone_number(&self, number: &PhoneNumber) -> Result<()> {
        self.write(|connection| directory::create_phone_number(connection, number)).await
    }

    async fn update_phone_number(&self, number: &PhoneNumber) -> Result<bool> {
        self.write(|connection| directory::update_phone_number(connection, number)).await
    }

    async fn delete_phone_number(
        &self,
        organization: OrganizationNumber,
        id: &PhoneNumberName,
    ) -> Result<bool> {
        self.write(|connection| directory::delete_phone_number(connection, organization, id)).await
    }

    async fn control_url(&self, organization: OrganizationNumber) -> Result<Option<ControlUrl>> {
        self.quick(|connection| directory::control_url(connection, organization)).await
    }

    async fn set_control_url(
        &self,
        organization: OrganizationNumber,
        url: Option<&ControlUrl>,
    ) -> Result<()> {
        self.write(|connection| directory::set_control_url(connection, organization, url)).await
    }

    async fn lease_jobs(
        &self,
        kinds: &[&str],
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>> {
        self.write(|connection| jobs::lease(connection, kinds, now, until, limit)).await
    }

    async fn next_job_due(&self, kinds: &[&str]) -> Result<Option<Timestamp>> {
        self.quick(|connection| jobs::next_due(connection, kinds)).await
    }

    async fn job_done(&self, id: JobId, attempt: u32) -> Result<bool> {
        self.write(|connection| jobs::done(connection, id, attempt)).await
    }

    async fn job_failed(&self, id: JobId, attempt: u32, failure: &JobFailure, next: Next) -> Result<bool> {
        self.write(|connection| jobs::failed(connection, id, attempt, failure, next)).await
    }

    async fn give_job_back(&self, id: JobId, attempt: u32) -> Result<bool> {
        self.write(|connection| jobs::give_back(connection, id, attempt)).await
    }

    async fn end_leases(&self, failure: &JobFailure, most_attempts: u32) -> Result<u64> {
        self.write(|connection| jobs::end_leases(connection, failure, most_attempts)).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<JobPage> {
        let query = query.clone();
        self.slow(move |connection| jobs::page(connection, &query)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.quick(|connection| jobs::job(connection, id)).await
    }

    async fn rerun_job(
        &self,
        organization: Option<OrganizationNumber>,
        id: JobId,
        now: Timestamp,
    ) -> Result<JobOrder> {
        self.write(|connection| jobs::rerun(connection, organization, id, now)).await
    }

    async fn rerun_dead_jobs(&self, kind: Option<&str>, now: Timestamp) -> Result<u64> {
        self.write(|connection| jobs::rerun_dead(connection, kind, now)).await
    }

    async fn forget_job(&self, organization: Option<OrganizationNumber>, id: JobId) -> Result<JobOrder> {
        self.write(|connection| jobs::forget(connection, organization, id)).await
    }

    async fn job_counts(&self) -> Result<Vec<JobCount>> {
        self.slow(|connection| jobs::counts(connection)).await
    }

    async fn append_audit(&self, deeds: &[Deed]) -> Result<()> {
        let deeds = deeds.to_vec();
        self.write_slowly(move |writer| audit::append(&writer.connection, &deeds)).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<AuditPage> {
        let query = query.clone();
        self.slow(move |connection| audit::page(connection, &query)).await
    }

    async fn verify_audit(&self) -> Result<AuditVerdict> {
        self.look(audit::walk_through).await
    }

    async fn cut_audit(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.write(|connection| audit::cut(connection, before, limit)).await
    }

    async fn hold(&self, call: CallKey) -> Result<Option<Hold>> {
        self.quick(|connection| holds::of_call(connection, call)).await
    }

    async fn set_hold(&self, call: CallKey, hold: &Hold) -> Result<()> {
        self.write(|connection| holds::set(connection, call, hold)).await
    }

    async fn release_hold(&self, call: CallKey) -> Result<bool> {
        self.write(|connection| holds::release(connection, call)).await
    }

    async fn erasure(&self, organization: OrganizationNumber, id: Uuid) -> Result<Option<Erasure>> {
        self.quick(|connection| erasures::of_id(connection, organization, id)).await
    }

    async fn update_erasure(&self, erasure: &Erasure) -> Result<()> {
        self.write(|connection| erasures::update(connection, erasure)).await
    }

    async fn calls_of_number(
        &self,
        organization: OrganizationNumber,
        digits: &str,
        after: CallKey,
        limit: u32,
    ) -> Result<Vec<CallHead>> {
        let digits = digits.to_owned();
        self.slow(move |connection| erasures::calls_of(connection, organization, &digits, after, limit)).await
    }

    async fn old_calls(&self, query: &OldCalls) -> Result<OldPage> {
        let query = *query;
        self.slow(move |connection| retention::old_calls(connection, &query)).await
    }

    async fn lacking_recording(&self, ended: [Timestamp; 2], limit: u32) -> Result<(Vec<CallHead>, u64)> {
        self.slow(move |connection| retention::lacking_recording(connection, ended, limit)).await
    }

    async fn recorded_after(&self, after: CallKey, limit: u32) -> Result<(Vec<CallHead>, Option<CallKey>)> {
        self.slow(move |connection| retention::recorded_after(connection, after, limit)).await
    }

    async fn scrub(&self, begin: bool) -> Result<Scrub> {
        self.indexer.scrub(begin).await
    }

    async fn registrations(&self, now: Timestamp) -> Result<Vec<Registration>> {
        self.slow(move |connection| registrations::current(connection, now)).await
    }

    async fn save_registrations(&self, changed: &[Registration], now: Timestamp) -> Result<()> {
        self.write(|connection| registrations::save(connection, changed, now)).await
    }

    async fn empty_log(&self) -> Result<bool> {
        // Both, whatever becomes of the first.
        let (calls, words) = (self.checkpoints.empty().await, self.indexer.empty_log().await);
        Ok(calls && words)
    }

    async fn reseal(&self, after: CallKey, limit: u32) -> Result<Resealed> {
        let sealing = self.sealing.clone();
        self.write_slowly(move |writer| sealing.reseal(&writer.connection, after, limit)).await
    }

    async fn sealed_with(&self) -> Result<Vec<SealCount>> {
        self.look(sealing::counts).await
    }

    async fn forget_sealing_key(&self, key: KeyId) -> Result<()> {
        self.forget_key(key).await
    }

    async fn unindexed(&self) -> Result<Unindexed> {
        let (changes, is_made_anew) = self.indexer.behind();
        Ok(Unindexed { changes: changes + self.documents.behind(), is_made_anew })
    }

    async fn writable(&self) -> Result<()> {
        if self.room.was_missing() {
            let room = self.room.clone();
            self.aside(move || room.look()).await??;
        }
        // Somebody is writing: then it can be written.
        let Ok(writer) = Arc::clone(&self.writer).try_lock_owned() else { return Ok(()) };
        room::probe(Writing::begin(writer)?)
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        // What it lacks is named in the end.
        let _ = self.indexer.caught_up().await;
        let fold = self.fold;
        self.look(move |connection| check::check(connection, fold)).await
    }

    async fn backup(&self, to: &Path) -> Result<Option<PathBuf>> {
        let (from, to) = (self.path.clone(), std::path::absolute(to).map_err(unavailable)?);
        let kept = self.indexer.keep_notes();
        let copy = move || {
            let copied = backup::backup(&from, &to);
            drop(kept);
            copied
        };
        Ok(self.aside(copy).await??)
    }

    async fn rebuild_rollups(&self) -> Result<()> {
        let rebuild = |writer: &mut transaction::Writer| {
            writer.recounted = true;
            rollups::rebuild(&writer.connection)
        };
        self.write_slowly(rebuild).await
    }

    async fn close(&self) -> Result<()> {
        self.shut().await
    }
}
