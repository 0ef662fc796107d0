//! Tariffs that calls are priced by: each is kept once, as it was, for as long as the store.

use pegcount_calls::{Direction, PhoneNumberName, Tariff};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{
    codes::Code,
    fault::{Result, unavailable, unreadable},
    rows::{Columns, count, many, one},
};
use crate::{Basis, CallKey, Finding, KeptBasis, Severity, TariffId};

/// Bytes of the digest by which a tariff is known again.
const DIGEST: usize = 16;

fn digest(body: &str) -> Vec<u8> {
    Sha256::digest(body)[..DIGEST].to_vec()
}

/// Keeps a tariff, unless the same is kept already.
pub(super) fn file(connection: &Connection, tariff: &Tariff) -> Result<TariffId> {
    let body = serde_json::to_string(tariff).map_err(unavailable)?;
    let digest = digest(&body);
    let known = connection
        .prepare_cached("SELECT id FROM price_lists WHERE digest = ?1")?
        .query_row([&digest], |row| row.get(0))
        .optional()?;
    let id = match known {
        Some(id) => id,
        None => connection
            .prepare_cached("INSERT INTO price_lists (digest, body) VALUES (?1, ?2)")?
            .insert(params![digest, body])?,
    };
    Ok(TariffId(id))
}

/// The tariff with this number.
pub(super) fn of_id(connection: &Connection, id: TariffId) -> Result<Option<Tariff>> {
    let read = one(connection, "SELECT digest, body FROM price_lists WHERE id = ?1", [id.0], |row| {
        read(&row.get::<_, Vec<u8>>(0)?, &row.get::<_, String>(1)?)
    });
    read.map_err(|fault| fault.within(&format!("tariff {}", id.0)))
}

fn read(known: &[u8], body: &str) -> Result<Tariff> {
    if known != digest(body) {
        return Err(unreadable("the tariff", "it is not what was kept"));
    }
    serde_json::from_str(body).map_err(|cause| unreadable("the tariff", cause))
}

/// What a saved call is kept with.
pub(super) fn basis(connection: &Connection, key: CallKey) -> Result<Option<KeptBasis>> {
    let sql = "SELECT price_list, folded_by, phone_number, named_phone_number IS NOT NULL, direction, from_number, to_number,
               ended_ms IS NOT NULL FROM calls WHERE pk = ?1 AND start_ms IS NOT NULL";
    one(connection, sql, [key.0], |row| {
        let columns = &mut Columns::of(row);
        let basis = Basis {
            tariff: columns.take::<Option<i64>>()?.map(TariffId),
            folded_by: columns.take()?,
            phone_number: columns.name_if_any(PhoneNumberName::new)?,
        };
        let is_named: bool = columns.take()?;
        let direction = Direction::read(columns.take()?)?;
        let (from, to): (Option<String>, Option<String>) = (columns.take()?, columns.take()?);
        let own = match direction {
            Direction::Inbound => to,
            Direction::Outbound => from,
        };
        Ok(KeptBasis { basis, looked_up: own.filter(|_| !is_named), is_over: columns.take()? })
    })
}

/// Every tariff: it can be read, and those that calls name are there.
pub(super) fn check(connection: &Connection) -> Result<Finding> {
    let ids = many(connection, "SELECT id FROM price_lists", [], |row| Ok(TariffId(row.get(0)?)))?;
    let bad = ids.iter().filter(|id| of_id(connection, **id).is_err()).count();
    let lost = "SELECT count(*) FROM calls WHERE price_list IS NOT NULL AND price_list NOT IN (SELECT id FROM price_lists)";
    let lost = count(connection, lost, [])?;
    let message =
        format!("{} tariffs looked at, {bad} damaged; {lost} calls name one that is not there", ids.len());
    let severity = if bad == 0 && lost == 0 { Severity::Fine } else { Severity::Damage };
    Ok(Finding { severity, subject: "tariffs".to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, StoreError, sqlite::Sqlite};

    #[tokio::test]
    async fn a_changed_tariff_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path, None).unwrap();
        let mut transaction = store.begin().await.unwrap();
        let id = transaction.file_tariff(&Tariff::default()).await.unwrap();
        transaction.commit().await.unwrap();
        let plain = Connection::open(&path).unwrap();
        assert_eq!(check(&plain).unwrap().severity, Severity::Fine);
        plain.execute_batch("UPDATE price_lists SET body = replace(body, '{', '{ ')").unwrap();
        assert_eq!(check(&plain).unwrap().severity, Severity::Damage);
        let read = store.begin().await.unwrap().tariff(id).await;
        assert!(matches!(read, Err(StoreError::Unreadable { .. })), "{read:?}");
    }
}
