//! Looking for damage: whether the index has the words of the calls as they are.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction};

use super::{
    Words, due,
    index::{self, Taken},
};
use crate::{
    CallKey, Filed, Finding, Severity, StoreError,
    sqlite::{
        deferred,
        fault::{Fault, Result, unavailable},
        rows::{count, many},
    },
};

/// How often the store and the index are asked for what they are at one moment.
const TRIES: usize = 100;
/// What mends it.
const REMEDY: &str =
    "stop the server, remove the file that ends in -words.db, start the server: it is made anew";

/// The store and its index at one moment.
pub(in crate::sqlite) struct Snapshot<'a> {
    pub(in crate::sqlite) connection: Transaction<'a>,
    /// How far the index is, or why it cannot be read.
    taken: std::result::Result<Taken, String>,
    /// The calls whose words it need not have as they are.
    due: BTreeSet<CallKey>,
}

/// Why the index cannot be read.
fn told(fault: Fault) -> String {
    match StoreError::from(fault) {
        StoreError::Unreadable { cause, .. } => format!("it cannot be read: {cause}"),
        error => error.to_string(),
    }
}

impl<'a> Snapshot<'a> {
    pub(in crate::sqlite) fn of(connection: &'a Connection) -> Result<Self> {
        for _ in 0..TRIES {
            let snapshot = connection.unchecked_transaction()?;
            // The index first: whatever it lacks is then noted beside the calls, unless that has come into the index since
            // and is noted no longer.
            let taken = Taken::of(&snapshot).map_err(told);
            let number = taken.as_ref().map_or(i64::MAX, |taken| taken.number);
            if taken.is_ok() && !due::follows(&snapshot, number)? {
                continue;
            }
            let due = due::after(&snapshot, number, usize::MAX)?.into_iter().map(|(_, key)| key).collect();
            return Ok(Self { connection: snapshot, taken, due });
        }
        Err(unavailable("words come into their index faster than they can be looked at"))
    }

    /// What the index itself is like, and whether it has words of calls that there are not. One that is damaged is not asked
    /// of single calls.
    pub(in crate::sqlite) fn finding(&mut self, most: usize) -> Finding {
        let looked = match &self.taken {
            Ok(taken) => self.look(*taken, most).map_err(told),
            Err(error) => Err(error.clone()),
        };
        let damage = match looked.and_then(|damage| damage.map_or(Ok(()), Err)) {
            Ok(()) => None,
            Err(damage) => {
                self.taken = Err(damage.clone());
                Some(damage)
            }
        };
        let filling = self.taken.as_ref().is_ok_and(|taken| taken.filling.is_some());
        let (severity, message) = match damage {
            Some(damage) => (Severity::Damage, format!("{damage}: {REMEDY}")),
            None if filling => (
                Severity::Warning,
                "it is being made anew: nothing that was said can be searched for meanwhile".to_owned(),
            ),
            None => {
                (Severity::Fine, format!("no words are lost, {} calls are still to come", self.due.len()))
            }
        };
        Finding { severity, subject: "index of words".to_owned(), message }
    }

    /// What is damaged, if anything is.
    fn look(&self, taken: Taken, most: usize) -> Result<Option<String>> {
        let sql = format!("PRAGMA {}.integrity_check({most})", index::SCHEMA);
        let said: Vec<String> = many(&self.connection, &sql, [], |row| Ok(row.get(0)?))?;
        if said != ["ok"] {
            return Ok(Some(said.join("; ")));
        }
        let sql = "SELECT count(*) FROM transcripts
                   WHERE rowid NOT IN (SELECT pk FROM calls WHERE ended_ms IS NOT NULL)
                       AND rowid NOT IN (SELECT pk FROM words_due WHERE number > ?1)";
        let lost = count(&self.connection, sql, [taken.number])?;
        Ok((lost > 0).then(|| format!("the words of {lost} calls are of none that has ended")))
    }

    /// What is wrong with what the index has of this call.
    pub(in crate::sqlite) fn damage_of(&self, filed: &Filed) -> Result<Option<&'static str>> {
        let key = filed.head.key;
        let Ok(taken) = &self.taken else { return Ok(None) };
        // What is said in it comes into the index with its document.
        let is_deferred = deferred::stamp(&self.connection, key)?.is_some();
        if is_deferred || self.due.contains(&key) || taken.filling.is_some_and(|last| key > last) {
            return Ok(None);
        }
        let words = Words::of(&filed.call.content, filed.call.ending().is_some());
        Ok(match (words.is_empty(), index::has_entry(&self.connection, key)?) {
            (true, true) => Some("is in the index of words, it has none"),
            (false, false) => Some("is missing in the index of words"),
            (true, false) | (false, true) => None,
        })
    }
}
