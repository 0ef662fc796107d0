//! Keeping a call as folded: its row, its document and everything by which it is found.
//!
//! Here alone both the old state of a call and the new one are known, so what is derived from calls is kept right here.

use std::{borrow::Cow, collections::BTreeSet};

use pegcount_calls::{Amount, Bill, Call, Charge, Content, Timestamp};
use rusqlite::{Connection, params, params_from_iter, types::Value};

use super::{
    calls,
    codes::Code,
    deferred, documents,
    fault::{Result, unavailable},
    retention, rollups,
    rows::{one, run},
    transaction::Writer,
    words::{self, Words},
};
use crate::{Basis, CallKey, Keepsake, OrganizationNumber, StoreError, rollups::Counted};

const COLUMNS: usize = 31;

/// How many calls are held in memory while their rows are filled.
const FILLED_AT_ONCE: u32 = 1_000;

/// A call as a row: the name of each column, and what it holds.
type CallRow = [(&'static str, Value); COLUMNS];

/// Keeps the call as folded now.
pub(super) fn save(
    writer: &mut Writer,
    key: CallKey,
    (call, bill): (&Call, &Bill),
    basis: &Basis,
) -> Result<()> {
    let saved = keep_row(writer, key, &row_of(call, bill.into(), basis))?;
    let Writer { connection, compressor, noted, .. } = writer;
    let old_body = calls::body(connection, key)?;
    let new_body = documents::pack(compressor, &call.content, bill)?;
    let rewritten = old_body.as_ref() != Some(&new_body);
    if rewritten {
        keep_document(connection, key, &new_body)?;
    }
    let has_ended = call.ending().is_some();
    if !rewritten && saved.start == Some(call.created_at) && saved.had_ended == has_ended {
        return Ok(());
    }
    let new_pairs = Pairs::of(&call.content, call.created_at);
    // A call that is saved either has a document, or it is deferred.
    if old_body.is_none() && deferred::stamp(connection, key)?.is_some() {
        let old_pairs = Pairs::deferred(connection, key, saved.start)?;
        new_pairs.replace(&old_pairs, connection, saved.organization, key)?;
        deferred::end(connection, key)?;
        // What the index has of it is not known.
        *noted = Some(words::note(connection, key)?);
        return Ok(());
    }
    let old_content = content_or_blindly(connection, noted, key, old_body.as_deref())?;
    let old_pairs = saved.start.map(|start| Pairs::of(&old_content, start)).unwrap_or_default();
    new_pairs.replace(&old_pairs, connection, saved.organization, key)?;
    if Words::of(&call.content, has_ended) != Words::of(&old_content, saved.had_ended) {
        *noted = Some(words::note(connection, key)?);
    }
    Ok(())
}

/// Keeps the call as folded now, but for its document: that is deferred. The work does not grow with the call, but for
/// the first time and where anything of the metadata may have changed.
pub(super) fn save_row(
    writer: &mut Writer,
    key: CallKey,
    (call, charge): (&Call, Charge),
    basis: &Basis,
    changed_metadata: Option<&[String]>,
) -> Result<()> {
    if writer.fold.is_none() {
        return Err(unavailable("no document can be deferred: the store was opened without a fold"));
    }
    let saved = keep_row(writer, key, &row_of(call, charge, basis))?;
    let Writer { connection, noted, ended, .. } = writer;
    let was_deferred = deferred::advance(connection, key)?;
    match changed_metadata.filter(|_| was_deferred && saved.start == Some(call.created_at)) {
        Some(keys) => replace_deferred_pairs(connection, (saved.organization, key), call, keys)?,
        None => {
            let new_pairs = Pairs::of(&call.content, call.created_at);
            let old_content;
            let old_pairs = if was_deferred {
                Pairs::deferred(connection, key, saved.start)?
            } else {
                let old_body = calls::body(connection, key)?;
                old_content = content_or_blindly(connection, noted, key, old_body.as_deref())?;
                deferred::begin(connection, key)?;
                saved.start.map(|start| Pairs::of(&old_content, start)).unwrap_or_default()
            };
            new_pairs.replace(&old_pairs, connection, saved.organization, key)?;
            new_pairs.keep_deferred(connection, key)?;
        }
    }
    if call.ending().is_some() {
        // Its words come into the index with its document.
        ended.insert(key);
    } else if saved.had_ended {
        *noted = Some(words::note(connection, key)?);
    }
    Ok(())
}

/// Keeps the document of a call that was deferred, if the call is still as it was when the document was made.
pub(super) fn write_document(
    Writer { connection, noted, .. }: &mut Writer,
    key: CallKey,
    made_of: deferred::Stamp,
    body: &[u8],
) -> Result<()> {
    if deferred::stamp(connection, key)? == Some(made_of) {
        keep_document(connection, key, body)?;
        deferred::end(connection, key)?;
        *noted = Some(words::note(connection, key)?);
    }
    Ok(())
}

fn keep_document(connection: &Connection, key: CallKey, body: &[u8]) -> Result<()> {
    let sql = "INSERT INTO call_documents (pk, body) VALUES (?1, sealed(?2, ?1))
               ON CONFLICT (pk) DO UPDATE SET body = excluded.body";
    run(connection, sql, params![key.0, body])?;
    Ok(())
}

/// What the row of a call told before it was kept anew.
struct Saved {
    organization: OrganizationNumber,
    /// When it began; `None` of a call that was never saved.
    start: Option<Timestamp>,
    had_ended: bool,
}

/// Keeps the row of a call, and counts the call as it is now.
fn keep_row(
    Writer { connection, changes, .. }: &mut Writer,
    key: CallKey,
    new_row: &CallRow,
) -> Result<Saved> {
    let organization = calls::organization_of(connection, key)?;
    let old_row = update_row(connection, key, new_row)?;
    // At once: should the rest fail because something old cannot be read, the row may still stay as it is now.
    let old_count = counted(new_row, |place| old_row.get(place));
    let new_count = counted(new_row, |place| new_row.get(place).map(|(_, value)| value));
    changes.replace(organization, old_count.as_ref(), new_count.as_ref());
    let start = match old_row.first() {
        Some(Value::Integer(start)) => Some(Timestamp::from_millis(*start)),
        _ => None,
    };
    let had_ended = !matches!(column(new_row, &old_row, "ended_ms"), None | Some(Value::Null));
    Ok(Saved { organization, start, had_ended })
}

/// What a row that is kept holds in this column; the new one tells where it stands.
fn column<'a>(new: &CallRow, old: &'a [Value], wanted: &str) -> Option<&'a Value> {
    new.iter().zip(old).find(|((name, _), _)| *name == wanted).map(|(_, value)| value)
}

/// Takes back by what a call is found, and its document; its row stays.
pub(super) fn forget(Writer { connection, changes, noted, .. }: &mut Writer, key: CallKey) -> Result<()> {
    let organization = calls::organization_of(connection, key)?;
    let saved = "SELECT start_ms, ended_ms IS NOT NULL FROM calls WHERE pk = ?1 AND start_ms IS NOT NULL";
    let saved = one(connection, saved, [key.0], |row| {
        Ok((Timestamp::from_millis(row.get(0)?), row.get::<_, bool>(1)?))
    })?;
    let is_deferred = deferred::stamp(connection, key)?.is_some();
    let content = content_or_blindly(connection, noted, key, calls::body(connection, key)?.as_deref())?;
    changes.replace(organization, rollups::counted_call(connection, key)?.as_ref(), None);
    if is_deferred {
        let old_pairs = Pairs::deferred(connection, key, saved.map(|(start, _)| start))?;
        Pairs::default().replace(&old_pairs, connection, organization, key)?;
        deferred::end(connection, key)?;
        // What the index has of it is not known.
        *noted = Some(words::note(connection, key)?);
    } else if let Some((start, has_ended)) = saved {
        Pairs::default().replace(&Pairs::of(&content, start), connection, organization, key)?;
        if !Words::of(&content, has_ended).is_empty() {
            *noted = Some(words::note(connection, key)?);
        }
    }
    run(connection, "DELETE FROM call_documents WHERE pk = ?1", [key.0])?;
    Ok(())
}

/// The content that a body holds. Of one that cannot be read, what it was found by is taken back here, however long
/// that takes: nothing is left to tell it by.
fn content_or_blindly(
    connection: &Connection,
    noted: &mut Option<i64>,
    key: CallKey,
    body: Option<&[u8]>,
) -> Result<Content> {
    match calls::content_of(body).map_err(StoreError::from) {
        Ok(content) => Ok(content),
        Err(error @ StoreError::Unreadable { .. }) => {
            tracing::warn!(%error, call = key.0, "a call's document is damaged and is replaced");
            run(connection, "DELETE FROM call_meta WHERE pk = ?1", [key.0])?;
            *noted = Some(words::note(connection, key)?);
            Ok(Content::default())
        }
        Err(error) => Err(error.into()),
    }
}

/// The row of a call.
pub(super) fn row_of(call: &Call, charge: Charge, basis: &Basis) -> CallRow {
    let ending = call.ending();
    let analysis = call.content.analysis.as_ref();
    let sentiment = analysis.and_then(|analysis| analysis.sentiment.as_ref());
    [
        ("start_ms", call.created_at.millis().into()),
        ("ringing_ms", call.ringing_at.map(Timestamp::millis).into()),
        ("answered_ms", call.answered_at().map(Timestamp::millis).into()),
        ("ended_ms", call.ended_at().map(Timestamp::millis).into()),
        ("status", call.status().code().into()),
        ("direction", call.direction.code().into()),
        ("call_type", call.call_type.code().into()),
        ("from_number", call.from_number.clone().into()),
        ("to_number", call.to_number.clone().into()),
        ("asserted_number", call.content.caller.asserted_number.clone().into()),
        ("endpoint", call.endpoint.as_ref().map(|id| id.as_str().to_owned()).into()),
        ("phone_number", basis.phone_number.as_ref().map(|id| id.as_str().to_owned()).into()),
        ("named_phone_number", call.phone_number.as_ref().map(|id| id.as_str().to_owned()).into()),
        ("cause", ending.map(|ending| ending.cause.code()).into()),
        ("ended_by", ending.and_then(|ending| ending.by).map(Code::code).into()),
        ("transfer", ending.map(|ending| ending.transfer).into()),
        ("failed", ending.map(|ending| ending.failed).into()),
        ("inferred", ending.map(|ending| ending.inferred).into()),
        ("opt_out", call.opt_out.into()),
        ("disconnection", call.disconnection().map(Code::code).into()),
        ("talk_ms", call.talk_time().map(|time| whole(time.as_millis())).into()),
        ("total_ms", call.total_time().map(|time| whole(time.as_millis())).into()),
        ("billed_seconds", charge.billed_seconds.map(|seconds| whole(seconds.into())).into()),
        ("cost_nanos", charge.total.map(Amount::nanos).into()),
        ("successful", analysis.and_then(|analysis| analysis.successful).into()),
        ("sentiment", sentiment.map(|sentiment| sentiment.to_lowercase()).into()),
        ("in_voicemail", analysis.and_then(|analysis| analysis.in_voicemail).into()),
        ("latencies", rollups::latencies(call).into()),
        ("keeps", keeps(&call.content).into()),
        ("price_list", basis.tariff.map(|id| id.0).into()),
        ("folded_by", basis.folded_by.into()),
    ]
}

/// What is kept of a call, as the bits of [`retention::bit`].
fn keeps(content: &Content) -> i64 {
    let kept = [
        (content.keeps_recording(), Keepsake::Recording),
        (content.has_words(), Keepsake::Transcript),
        (content.sealed_at.is_none(), Keepsake::Events),
    ];
    let kept = kept.into_iter().filter(|(is_kept, _)| *is_kept).map(|(_, keepsake)| retention::bit(keepsake));
    kept.sum::<i64>() | if content.lacks_recording() { retention::LACKS_RECORDING } else { 0 }
}

fn whole(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Takes the latencies of every call that is over from its document to its row.
pub(super) fn fill_latencies(connection: &Connection) -> Result<()> {
    let mut last = CallKey(i64::MIN);
    loop {
        let heads = calls::after(connection, None, last, FILLED_AT_ONCE)?;
        let Some(end) = heads.last() else { return Ok(()) };
        last = end.key;
        for head in heads {
            let call = match calls::filed(connection, head.key, deferred::no_fold).map_err(StoreError::from) {
                Ok(filed) => filed.map(|filed| filed.call),
                // It stays as damaged as it is, and is told by every read of it.
                Err(StoreError::Unreadable { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(latencies) = call.as_ref().and_then(rollups::latencies) {
                let sql = "UPDATE calls SET latencies = ?2 WHERE pk = ?1";
                run(connection, sql, params![head.key.0, latencies])?;
            }
        }
    }
}

/// The row as it is kept, in the order of [`row_of`].
pub(super) fn kept_row(connection: &Connection, key: CallKey, like: &CallRow) -> Result<Option<Vec<Value>>> {
    let names: Vec<&str> = like.iter().map(|(name, _)| *name).collect();
    let sql = format!("SELECT {} FROM calls WHERE pk = ?1", names.join(", "));
    one(connection, &sql, [key.0], |row| {
        (0..COLUMNS).map(|column| row.get(column).map_err(Into::into)).collect()
    })
}

/// Writes the columns that have changed, since each one named costs its indexes; gives the row as it was.
fn update_row(connection: &Connection, key: CallKey, new: &CallRow) -> Result<Vec<Value>> {
    let old = kept_row(connection, key, new)?.unwrap_or_default();
    let changed: Vec<_> =
        new.iter().zip(&old).filter(|((_, new), old)| new != *old).map(|(new, _)| new).collect();
    if !changed.is_empty() {
        let names: Vec<String> = changed.iter().map(|(name, _)| format!("{name} = ?")).collect();
        let sql = format!("UPDATE calls SET {} WHERE pk = ?", names.join(", "));
        let key = Value::from(key.0);
        let values = changed.iter().map(|(_, value)| value).chain([&key]);
        run(connection, &sql, params_from_iter(values))?;
    }
    Ok(old)
}

/// How a call is counted whose row is like this one, but holds these values in its places.
fn counted<'a>(like: &CallRow, value: impl Fn(usize) -> Option<&'a Value>) -> Option<Counted> {
    static NOTHING: Value = Value::Null;
    let place_of = |wanted: &str| like.iter().position(|(name, _)| *name == wanted);
    rollups::counted(rollups::COUNTED.map(|name| place_of(name).and_then(&value).unwrap_or(&NOTHING)))
}

/// Replaces what a deferred call is found by under these keys of its metadata.
fn replace_deferred_pairs(
    connection: &Connection,
    (organization, key): (OrganizationNumber, CallKey),
    call: &Call,
    changed: &[String],
) -> Result<()> {
    for name in changed {
        let new = call.content.metadata.get(name).and_then(|value| documents::pair(name, value));
        let old = deferred::metadata_value(connection, key, name)?;
        if old.as_deref() != new.as_deref() {
            let start = call.created_at.millis();
            let pairs = |value: Option<&String>| Pairs {
                start,
                pairs: value.map(|value| (Cow::Borrowed(name.as_str()), value.clone())).into_iter().collect(),
            };
            pairs(new.as_ref()).replace(&pairs(old.as_ref()), connection, organization, key)?;
            deferred::keep_metadata(connection, key, name, new.as_deref())?;
        }
    }
    Ok(())
}

/// The metadata by which a call is found, and when the call began.
#[derive(Default)]
struct Pairs<'a> {
    start: i64,
    pairs: BTreeSet<(Cow<'a, str>, String)>,
}

impl<'a> Pairs<'a> {
    fn of(content: &'a Content, start: Timestamp) -> Self {
        Self { start: start.millis(), pairs: documents::pairs(&content.metadata) }
    }

    /// Those of a call whose document is deferred.
    fn deferred(connection: &Connection, key: CallKey, start: Option<Timestamp>) -> Result<Self> {
        let pairs = deferred::metadata(connection, key)?.into_iter();
        let pairs = pairs.map(|(key, value)| (Cow::Owned(key), value)).collect();
        Ok(Self { start: start.map_or(0, Timestamp::millis), pairs })
    }

    /// Keeps them as those of a call whose document is deferred.
    fn keep_deferred(&self, connection: &Connection, key: CallKey) -> Result<()> {
        deferred::forget_metadata(connection, key)?;
        let mut pairs = self.pairs.iter();
        pairs.try_for_each(|(name, value)| deferred::keep_metadata(connection, key, name, Some(value)))
    }

    fn has(&self, start: i64, pair: &(Cow<'_, str>, String)) -> bool {
        self.start == start && self.pairs.contains(pair)
    }

    fn replace(
        &self,
        old: &Pairs<'_>,
        connection: &Connection,
        organization: OrganizationNumber,
        key: CallKey,
    ) -> Result<()> {
        let gone =
            "DELETE FROM call_meta WHERE org = ?1 AND key = ?2 AND value = ?3 AND start_ms = ?4 AND pk = ?5";
        for pair in old.pairs.iter().filter(|pair| !self.has(old.start, pair)) {
            run(connection, gone, params![organization.0, pair.0, pair.1, old.start, key.0])?;
        }
        let added = "INSERT INTO call_meta (org, key, value, start_ms, pk) VALUES (?1, ?2, ?3, ?4, ?5)";
        for pair in self.pairs.iter().filter(|pair| !old.has(self.start, pair)) {
            run(connection, added, params![organization.0, pair.0, pair.1, self.start, key.0])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{CallName, CallQuery, Document, MetadataFilter, State, Status};
    use uuid::Uuid;

    use super::*;
    use crate::{
        Store,
        sqlite::{Sqlite, samples::ended_call},
    };

    fn call(tag: &str) -> Call {
        let metadata = [("tag".to_owned(), Document::from_json_text(format!("\"{tag}\"")))].into();
        let content = Content { metadata, ..Content::default() };
        Call { state: State::Initiated, ..ended_call(content) }
    }

    #[tokio::test]
    async fn a_call_whose_document_is_damaged_is_kept_anew_and_found_as_it_is_now_only() {
        let ours = OrganizationNumber(1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path, None).unwrap();
        let mut transaction = store.begin().await.unwrap();
        let name = CallName::new("c").unwrap();
        let head = transaction.open_call(ours, &name, Uuid::now_v7()).await.unwrap();
        transaction.save(head.key, &call("old"), &Bill::default(), &Basis::default()).await.unwrap();
        transaction.commit().await.unwrap();
        Connection::open(&path).unwrap().execute_batch("UPDATE call_documents SET body = X'07'").unwrap();
        assert!(matches!(store.call(ours, "c").await, Err(StoreError::Unreadable { .. })));

        let mut transaction = store.begin().await.unwrap();
        transaction.save(head.key, &call("new"), &Bill::default(), &Basis::default()).await.unwrap();
        transaction.commit().await.unwrap();

        assert_eq!(store.call(ours, "c").await.unwrap().unwrap().call.status(), Status::Initiated);
        for (tag, count) in [("old", 0), ("new", 1)] {
            let filter = MetadataFilter { key: "tag".to_owned(), values: vec![tag.to_owned()] };
            let query = CallQuery { metadata: vec![filter], ..CallQuery::default() };
            assert_eq!(store.calls(ours, &query).await.unwrap().calls.len(), count, "{tag}");
        }
    }
}
