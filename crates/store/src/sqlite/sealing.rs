//! Documents and events that only who has the key can read.
//!
//! Statements seal and open them, by functions that every connection has: `sealed` and `opened` for documents, `sealed_text`
//! and `opened_text` for the data of events, `blinded` for what is looked for. What all the others in this engine see is in
//! the clear. Where there are no keys the functions give what they get. What cannot be opened stays as it is, so that who
//! reads it can say what it is.
//!
//! Words in the index are not sealed but blinded: it finds them without knowing them.

use data_encoding::BASE64;
use pegcount_sealed::{KeyId, Keys};
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    params,
    types::ValueRef,
};

use super::{
    Sqlite, events,
    fault::{Fault, Result, unreadable},
    rows::{counted, many, run},
};
use crate::{CallKey, Resealed, SealCount, Store, StoreError};

/// The first byte of a body that is sealed; others are in documents.rs.
pub(super) const SEALED: u8 = 2;
/// What sealed data of an event begins with: no JSON does.
const MARK: char = '*';

/// How documents, events and words are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealing(Option<Keys>);

impl Sealing {
    pub(super) fn with(keys: Option<&Keys>) -> Self {
        Self(keys.cloned())
    }

    /// Whether words are blinded: then they are found as a whole only.
    pub(super) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this is the key that seals.
    pub(super) fn seals_with(&self, key: KeyId) -> bool {
        self.0.as_ref().is_some_and(|keys| keys.sealing() == key)
    }

    /// Looks whether every key that anything here may be sealed with is at hand, and notes the one that seals.
    ///
    /// # Errors
    /// [`StoreError::MissingKey`].
    pub(super) fn settle(&self, connection: &Connection) -> Result<()> {
        let used = require_keys(connection, self.0.as_ref())?;
        if let Some(keys) = &self.0
            && !used.contains(&keys.sealing())
        {
            run(connection, "INSERT INTO sealing_keys (id) VALUES (?1)", [keys.sealing().0])?;
        }
        Ok(())
    }

    /// Gives a connection the functions.
    pub(super) fn register(&self, connection: &Connection) -> Result<()> {
        let plain = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let same = plain | FunctionFlags::SQLITE_DETERMINISTIC;
        let keys = || self.0.clone();
        let own = keys();
        connection.create_scalar_function("sealed", 2, plain, move |context| {
            sealed(own.as_ref(), blob(context)?, &of_call(context.get(1)?))
        })?;
        let own = keys();
        connection.create_scalar_function("opened", 2, same, move |context| {
            // A call without a document has none that is opened either.
            let body = context.get_raw(0).as_blob_or_null().map_err(misfit)?;
            Ok(match body {
                Some(body) => Some(opened(own.as_ref(), body, &of_call(context.get(1)?))),
                None => None,
            })
        })?;
        let own = keys();
        connection.create_scalar_function("sealed_text", 2, plain, move |context| {
            let (text, id) = (text(context, 0)?, text(context, 1)?);
            Ok(match &own {
                Some(keys) => {
                    let bytes = keys.seal(&of_event(id), text.as_bytes()).map_err(refused)?;
                    format!("{MARK}{}", BASE64.encode(&bytes))
                }
                None => text.to_owned(),
            })
        })?;
        let own = keys();
        connection.create_scalar_function("opened_text", 2, same, move |context| {
            let (text, id) = (text(context, 0)?, text(context, 1)?);
            Ok(opened_text(own.as_ref(), text, id).unwrap_or_else(|| text.to_owned()))
        })?;
        let own = self.clone();
        connection.create_scalar_function("blinded", 1, same, move |context| {
            // In quotes alone: the rest are operators, and names of columns.
            let parts = text(context, 0)?.split('"').enumerate();
            let parts = parts.map(|(at, part)| if at % 2 == 1 { own.blinded(part) } else { part.to_owned() });
            Ok(parts.collect::<Vec<_>>().join("\""))
        })?;
        connection.create_scalar_function("sealed_with", 1, same, |context| {
            Ok(match context.get_raw(0) {
                ValueRef::Blob([SEALED, rest @ ..]) => Keys::id_of(rest).map(|id| id.0),
                ValueRef::Text(text) => std::str::from_utf8(text)
                    .ok()
                    .and_then(sealed_bytes)
                    .and_then(|bytes| Keys::id_of(&bytes).map(|id| id.0)),
                _ => None,
            })
        })?;
        Ok(())
    }

    /// By what an index shows whose key its words are blinded with; nothing where they are in the clear.
    pub(super) fn mark_of_index(&self) -> Vec<u8> {
        self.0.as_ref().map(|keys| keys.sealing().0.to_vec()).unwrap_or_default()
    }

    /// Blinds every word of a text: words are parted as the tokenizer of the index parts them.
    pub(super) fn blinded(&self, text: &str) -> String {
        let Some(keys) = &self.0 else { return text.to_owned() };
        let mut blinded = String::with_capacity(text.len() * 2);
        let mut word = String::new();
        for letter in text.chars() {
            if letter.is_ascii_alphanumeric() || !letter.is_ascii() {
                word.push(letter);
                continue;
            }
            end_word(keys, &mut word, &mut blinded);
            blinded.push(letter);
        }
        end_word(keys, &mut word, &mut blinded);
        blinded
    }

    /// Seals with the key that seals whatever of these calls is in the clear or sealed with another one.
    pub(super) fn reseal(&self, connection: &Connection, after: CallKey, limit: u32) -> Result<Resealed> {
        let Some(keys) = &self.0 else { return Ok(Resealed::default()) };
        if after.0 == 0 {
            // Few and short-lived; not counted.
            let sql = "UPDATE registrations SET contacts = sealed_text(
                           opened_text(contacts, 'registration ' || org || ' ' || user), 'registration ' || org || ' ' || user)
                       WHERE sealed_with(contacts) IS NOT ?1
                       AND sealed_with(opened_text(contacts, 'registration ' || org || ' ' || user)) IS NULL";
            run(connection, sql, [keys.sealing().0])?;
        }
        let sql = "SELECT pk FROM calls WHERE pk > ?1 ORDER BY pk LIMIT ?2";
        let calls = many(connection, sql, params![after.0, limit], |row| Ok(CallKey(row.get(0)?)))?;
        let (Some(first), Some(last)) = (calls.first(), calls.last()) else { return Ok(Resealed::default()) };
        let id = keys.sealing().0;
        let sql = "UPDATE call_documents SET body = sealed(opened(body, pk), pk)
                   WHERE pk BETWEEN ?1 AND ?2 AND sealed_with(body) IS NOT ?3 AND sealed_with(opened(body, pk)) IS NULL";
        let documents = run(connection, sql, params![first.0, last.0, id])?;
        let [from, _] = events::places(*first)?;
        let [_, to] = events::places(*last)?;
        let sql = "UPDATE events SET data = sealed_text(opened_text(data, id), id)
                   WHERE place BETWEEN ?1 AND ?2 AND sealed_with(data) IS NOT ?3
                   AND sealed_with(opened_text(data, id)) IS NULL";
        let events = run(connection, sql, params![from, to, id])?;
        Ok(Resealed { last: Some(*last), documents: documents as u64, events: events as u64 })
    }
}

/// The table of the keys that anything may be sealed with.
pub(super) const KEYS_TABLE: &str = "sealing_keys";

/// Reads the keys that anything may be sealed with.
///
/// # Errors
/// [`StoreError::MissingKey`] when one of them is not among `keys`.
pub(super) fn require_keys(connection: &Connection, keys: Option<&Keys>) -> Result<Vec<KeyId>> {
    let used = many(connection, "SELECT id FROM sealing_keys", [], |row| Ok(KeyId(row.get(0)?)))?;
    let has = |id: &KeyId| keys.is_some_and(|keys| keys.ids().any(|one| one == *id));
    match used.iter().find(|id| !has(id)) {
        Some(missing) => Err(StoreError::MissingKey { key: *missing }.into()),
        None => Ok(used),
    }
}

/// How much is sealed with which key.
pub(super) fn counts(connection: &Connection) -> Result<Vec<SealCount>> {
    let sql = "SELECT key, sum(documents), sum(events) FROM (
                   SELECT sealed_with(body) AS key, count(*) AS documents, 0 AS events FROM call_documents GROUP BY 1
                   UNION ALL SELECT sealed_with(data), 0, count(*) FROM events GROUP BY 1)
               GROUP BY key ORDER BY key";
    let mut counts = many(connection, sql, [], |row| {
        Ok(SealCount {
            key: row.get::<_, Option<[u8; 4]>>(0)?.map(KeyId),
            documents: counted(row.get(1)?)?,
            events: counted(row.get(2)?)?,
        })
    })?;
    // Nothing is sealed with it in here, but elsewhere something may be.
    let noted =
        many(connection, "SELECT id FROM sealing_keys ORDER BY id", [], |row| Ok(KeyId(row.get(0)?)))?;
    for id in noted {
        if counts.iter().all(|count| count.key != Some(id)) {
            counts.push(SealCount { key: Some(id), documents: 0, events: 0 });
        }
    }
    Ok(counts)
}

impl Sqlite {
    /// Notes that nothing is sealed with this key any more, unless something is or will be.
    pub(super) async fn forget_key(&self, key: KeyId) -> crate::Result<()> {
        // Before the transaction, which would keep everybody waiting for a look at everything. Nothing is sealed with a key
        // that does not seal, so what is true now stays so.
        let uses = |count: &SealCount| count.key == Some(key) && count.documents + count.events > 0;
        if self.sealing.seals_with(key) || self.sealed_with().await?.iter().any(uses) {
            let cause = format!("something in the store is, or will be, sealed with the key {key}");
            return Err(StoreError::Unavailable(cause.into()));
        }
        self.write(|connection| forget(connection, key)).await
    }
}

/// Notes that nothing is sealed with this key any more, neither here nor elsewhere.
fn forget(connection: &Connection, key: KeyId) -> Result<()> {
    run(connection, "DELETE FROM sealing_keys WHERE id = ?1", [key.0])?;
    Ok(())
}

/// Why a sealed body that was not opened cannot be read.
pub(super) fn locked(rest: &[u8]) -> Fault {
    let key = Keys::id_of(rest).map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    unreadable(
        "the document",
        format!("it is sealed with the key {key}; either that is not at hand, or it was changed since"),
    )
}

/// Whether this is the data of an event that was not opened.
pub(super) fn is_locked(data: &str) -> bool {
    data.starts_with(MARK)
}

fn sealed(keys: Option<&Keys>, body: &[u8], context: &[u8]) -> rusqlite::Result<Vec<u8>> {
    let Some(keys) = keys else { return Ok(body.to_vec()) };
    let mut sealed = vec![SEALED];
    sealed.extend(keys.seal(context, body).map_err(refused)?);
    Ok(sealed)
}

fn opened(keys: Option<&Keys>, body: &[u8], context: &[u8]) -> Vec<u8> {
    let opened = match (keys, body) {
        (Some(keys), [SEALED, rest @ ..]) => keys.open(context, rest).ok(),
        _ => None,
    };
    opened.unwrap_or_else(|| body.to_vec())
}

fn opened_text(keys: Option<&Keys>, text: &str, id: &str) -> Option<String> {
    let bytes = keys?.open(&of_event(id), &sealed_bytes(text)?).ok()?;
    String::from_utf8(bytes).ok()
}

fn sealed_bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.strip_prefix(MARK)?.as_bytes()).ok()
}

fn of_call(key: i64) -> Vec<u8> {
    [b"call ".as_slice(), &key.to_le_bytes()].concat()
}

/// Not bound to the call: the events of one may move to another.
fn of_event(id: &str) -> Vec<u8> {
    [b"event ", id.as_bytes()].concat()
}

fn end_word(keys: &Keys, word: &mut String, blinded: &mut String) {
    if !word.is_empty() {
        blinded.push_str(&keys.blind(word));
        word.clear();
    }
}

fn blob<'a>(context: &'a Context<'_>) -> rusqlite::Result<&'a [u8]> {
    context.get_raw(0).as_blob().map_err(misfit)
}

fn text<'a>(context: &'a Context<'_>, at: usize) -> rusqlite::Result<&'a str> {
    context.get_raw(at).as_str().map_err(misfit)
}

fn misfit(error: rusqlite::types::FromSqlError) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(error.into())
}

fn refused(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(error.into())
}
