//! The one write transaction that there is at a time.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pegcount_calls::{
    Bill, Call, CallName, Charge, Document, EndpointName, EventId, PhoneNumberName, SourceName, Tariff,
};
use rusqlite::Connection;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;
use zstd::bulk::Compressor;

use super::{
    blocks::Blocks,
    calls,
    checkpoints::Gauge,
    deferred::{self, Endings},
    directory, erasure, erasures, events,
    fault::{Result, unavailable},
    holds, jobs, legs, lineage, rollups,
    room::Room,
    save, tariffs,
    words::Notes,
};
use crate::{
    Basis, CallHead, CallKey, Erasure, Filed, FoldReports, Hold, KeptBasis, LegSpan, NewJob,
    OrganizationNumber, Report, TariffId, Transaction, rollups::Changes,
};

/// What is needed to write.
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// Kept, since making one costs more than a small document.
    pub(super) compressor: Compressor<'static>,
    /// Learns of what matters to the write-ahead log.
    pub(super) gauge: Gauge,
    /// Learns that the disk is full.
    pub(super) room: Room,
    /// What this transaction has changed in the counts beside the calls: written at its end, each bucket once. Nothing
    /// within the transaction reads them.
    pub(super) changes: Changes,
    /// Whether it has made all counts anew.
    pub(super) recounted: bool,
    /// What is remembered of the counts.
    pub(super) blocks: Arc<Blocks>,
    /// Learns of every commit.
    pub(super) commits: lineage::Note,
    /// Learns of calls whose words have changed, and the number under which this transaction noted the last one.
    pub(super) notes: Notes,
    pub(super) noted: Option<i64>,
    /// Reads calls whose document is deferred; `None` where none can be.
    pub(super) fold: Option<FoldReports>,
    /// Learns of deferred calls that have ended, and those that this transaction has saved.
    pub(super) endings: Endings,
    pub(super) ended: BTreeSet<CallKey>,
}

/// A write transaction that has begun.
pub(super) struct Writing {
    writer: OwnedMutexGuard<Writer>,
    failed: bool,
}

impl Writing {
    pub(super) fn begin(mut writer: OwnedMutexGuard<Writer>) -> Result<Self> {
        // What a transaction that was rolled back had changed has not happened.
        writer.changes.clear();
        writer.noted = None;
        writer.ended.clear();
        writer.recounted = false;
        writer.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self { writer, failed: false })
    }

    /// Does one part of the work. After a part has failed nothing more is done: half a transaction is never committed,
    /// and SQLite may have rolled back by itself, so that the next statement would stand alone.
    pub(super) fn work<T>(&mut self, work: impl FnOnce(&mut Writer) -> Result<T>) -> crate::Result<T> {
        if self.failed {
            return Err(unavailable("an earlier part of the transaction failed").into());
        }
        work(&mut self.writer).map_err(|fault| {
            let error = crate::StoreError::from(fault);
            if matches!(error, crate::StoreError::Full) {
                self.writer.gauge.disk_is_full();
                self.writer.room.is_missing();
            }
            // What cannot be read leaves the transaction as it was: a repair may go on and write it anew.
            self.failed |= !matches!(error, crate::StoreError::Unreadable { .. });
            error
        })
    }

    pub(super) fn finish(mut self) -> crate::Result<()> {
        self.work(|writer| {
            let blocks = rollups::flush(&writer.connection, &mut writer.changes)?;
            if writer.noted.is_some() {
                writer.notes.trim(&writer.connection)?;
            }
            let _changing = match writer.recounted {
                true => writer.blocks.changing_all(),
                false => writer.blocks.changing(blocks),
            };
            let commits = lineage::Commits::with_this_one(&writer.connection)?;
            writer.connection.prepare_cached("COMMIT")?.execute([])?;
            writer.commits.write(commits);
            if let Some(number) = writer.noted.take() {
                writer.notes.committed(number);
            }
            if !writer.ended.is_empty() {
                writer.endings.committed(std::mem::take(&mut writer.ended));
            }
            Ok(())
        })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.writer.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.writer.connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}

#[async_trait]
impl Transaction for Writing {
    async fn find_call(
        &mut self,
        organization: OrganizationNumber,
        name: &CallName,
    ) -> crate::Result<Option<CallHead>> {
        self.work(|writer| calls::find(&writer.connection, organization, name))
    }

    async fn find_leg(
        &mut self,
        organization: OrganizationNumber,
        source: &SourceName,
        leg: &LegSpan,
    ) -> crate::Result<Vec<CallHead>> {
        self.work(|writer| legs::find(&writer.connection, organization, source, leg))
    }

    async fn open_call(
        &mut self,
        organization: OrganizationNumber,
        name: &CallName,
        uuid: Uuid,
    ) -> crate::Result<CallHead> {
        self.work(|writer| calls::open(&writer.connection, organization, name, uuid))
    }

    async fn link_leg(&mut self, call: CallKey, source: &SourceName, leg: &LegSpan) -> crate::Result<()> {
        self.work(|writer| legs::link(&writer.connection, call, source, leg))
    }

    async fn reports(&mut self, call: CallKey) -> crate::Result<Vec<Report>> {
        self.work(|writer| events::of_call(&writer.connection, call))
    }

    async fn append(&mut self, call: CallKey, reports: &[Report]) -> crate::Result<()> {
        self.work(|writer| events::append(&writer.connection, call, reports))
    }

    async fn blank(&mut self, call: CallKey, events: &[(EventId, Document)]) -> crate::Result<()> {
        self.work(|writer| events::blank(&writer.connection, call, events))
    }

    async fn forget_events(&mut self, call: CallKey) -> crate::Result<()> {
        self.work(|writer| events::remove(&writer.connection, call))
    }

    async fn merge(
        &mut self,
        younger: CallKey,
        older: CallKey,
        renamed: &[(EventId, EventId)],
    ) -> crate::Result<()> {
        if younger == older {
            return Ok(());
        }
        self.work(|writer| {
            calls::organization_of(&writer.connection, older)?;
            save::forget(writer, younger)?;
            let connection = &writer.connection;
            events::merge(connection, younger, older, renamed)?;
            legs::merge(connection, younger, older)?;
            jobs::merge(connection, younger, older)?;
            holds::merge(connection, younger, older)?;
            calls::rename(connection, younger, older)
        })
    }

    async fn erase(&mut self, call: CallKey) -> crate::Result<()> {
        self.work(|writer| erasure::erase(writer, call))
    }

    async fn hold(&mut self, call: CallKey) -> crate::Result<Option<Hold>> {
        self.work(|writer| holds::of_call(&writer.connection, call))
    }

    async fn names(&mut self, call: CallKey) -> crate::Result<Vec<CallName>> {
        self.work(|writer| calls::names(&writer.connection, call))
    }

    async fn create_erasure(&mut self, erasure: &Erasure) -> crate::Result<()> {
        self.work(|writer| erasures::create(&writer.connection, erasure))
    }

    async fn is_erased(&mut self, organization: OrganizationNumber, name: &CallName) -> crate::Result<bool> {
        self.work(|writer| erasure::is_erased(&writer.connection, organization, name))
    }

    async fn is_erased_leg(
        &mut self,
        organization: OrganizationNumber,
        source: &SourceName,
        leg: &LegSpan,
    ) -> crate::Result<bool> {
        self.work(|writer| erasure::is_erased_leg(&writer.connection, organization, source, leg))
    }

    async fn note_endpoint(
        &mut self,
        organization: OrganizationNumber,
        id: &EndpointName,
    ) -> crate::Result<()> {
        self.work(|writer| directory::note_endpoint(&writer.connection, organization, id))
    }

    async fn note_phone_number(
        &mut self,
        organization: OrganizationNumber,
        id: &PhoneNumberName,
    ) -> crate::Result<()> {
        self.work(|writer| directory::note_phone_number(&writer.connection, organization, id))
    }

    async fn phone_number_with(
        &mut self,
        organization: OrganizationNumber,
        number: &str,
    ) -> crate::Result<Option<PhoneNumberName>> {
        self.work(|writer| directory::phone_number_with(&writer.connection, organization, number))
    }

    async fn save(&mut self, key: CallKey, call: &Call, bill: &Bill, basis: &Basis) -> crate::Result<()> {
        self.work(|writer| save::save(writer, key, (call, bill), basis))
    }

    fn defers(&self) -> bool {
        self.writer.fold.is_some()
    }

    async fn save_row(
        &mut self,
        key: CallKey,
        call: &Call,
        charge: Charge,
        basis: &Basis,
        changed_metadata: Option<&[String]>,
    ) -> crate::Result<()> {
        self.work(|writer| save::save_row(writer, key, (call, charge), basis, changed_metadata))
    }

    async fn basis(&mut self, key: CallKey) -> crate::Result<Option<KeptBasis>> {
        self.work(|writer| tariffs::basis(&writer.connection, key))
    }

    async fn file_tariff(&mut self, tariff: &Tariff) -> crate::Result<TariffId> {
        self.work(|writer| tariffs::file(&writer.connection, tariff))
    }

    async fn tariff(&mut self, id: TariffId) -> crate::Result<Option<Tariff>> {
        self.work(|writer| tariffs::of_id(&writer.connection, id))
    }

    async fn saved(&mut self, key: CallKey) -> crate::Result<Option<Filed>> {
        self.work(|writer| calls::filed(&writer.connection, key, writer.fold.unwrap_or(deferred::no_fold)))
    }

    async fn enqueue(&mut self, job: &NewJob) -> crate::Result<()> {
        self.work(|writer| jobs::enqueue(&writer.connection, job))
    }

    async fn commit(self: Box<Self>) -> crate::Result<()> {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, StoreError, sqlite::Sqlite};

    async fn fill(store: &Sqlite) -> crate::Result<()> {
        let mut transaction = store.begin().await?;
        for number in 0..20_000 {
            let id = EndpointName::new(format!("ep_{number}")).unwrap();
            transaction.note_endpoint(OrganizationNumber(1), &id).await?;
        }
        transaction.commit().await
    }

    #[tokio::test]
    async fn a_full_disk_is_told_as_such_loses_nothing_and_is_over_when_there_is_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("calls.db"), None).unwrap();
        let limit = async |pages: i64| {
            let writer = store.writer.lock().await;
            writer.connection.pragma_update(None, "max_page_count", pages).unwrap();
        };
        limit(80).await;
        assert!(matches!(fill(&store).await, Err(StoreError::Full)));
        assert_eq!(store.endpoints(OrganizationNumber(1), 1, 0).await.unwrap().1, 0);

        limit(1 << 30).await;
        fill(&store).await.unwrap();
        assert_eq!(store.endpoints(OrganizationNumber(1), 1, 0).await.unwrap().1, 20_000);
    }
}
