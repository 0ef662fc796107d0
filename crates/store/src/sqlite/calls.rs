//! Calls by their key, name or UUID, and what becomes of their names in a merge.

use pegcount_calls::{
    Bill, Call, CallName, CallType, Cause, Content, Direction, Document, Ending, EndpointName, Party,
    PhoneNumberName, State, Status, Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{
    codes::Code,
    documents, events,
    fault::{Fault, Result, unavailable, unreadable},
    rows::{Columns, many, one, run},
    tariffs,
};
use crate::{
    CallHead, CallKey, Endpoint, EndpointNumber, Filed, FoldReports, OpenCall, OrganizationNumber,
    PhoneNumber, TariffId,
};

/// The columns of a head, in the order that [`head`] takes them.
pub(super) const HEAD: &str = "c.pk, c.uuid, c.name, c.org";

/// Reads a head.
pub(super) fn head(columns: &mut Columns<'_, '_>) -> Result<CallHead> {
    Ok(CallHead {
        key: CallKey(columns.take()?),
        uuid: Uuid::from_bytes(columns.take()?),
        name: columns.name(CallName::new)?,
        organization: OrganizationNumber(columns.take()?),
    })
}

/// Opens a call; until it is saved no reader sees it.
pub(super) fn open(
    connection: &Connection,
    organization: OrganizationNumber,
    name: &CallName,
    uuid: Uuid,
) -> Result<CallHead> {
    let sql = "INSERT INTO calls (org, name, uuid) VALUES (?1, ?2, ?3)";
    let inserted = params![organization.0, name.as_str(), uuid.as_bytes()];
    let key = CallKey(connection.prepare_cached(sql)?.insert(inserted)?);
    Ok(CallHead { key, uuid, name: name.clone(), organization })
}

/// The call that has, or once had, this name, saved or not.
pub(super) fn find(
    connection: &Connection,
    organization: OrganizationNumber,
    name: &CallName,
) -> Result<Option<CallHead>> {
    let found = || {
        let Some(key) = key_of_name(connection, organization, name.as_str())? else { return Ok(None) };
        let sql = format!("SELECT {HEAD} FROM calls c WHERE c.pk = ?1");
        one(connection, &sql, [key.0], |row| head(&mut Columns::of(row)))
    };
    found().map_err(|fault: Fault| fault.within(&format!("call {name}")))
}

/// The call with this name, else with this UUID, if its document has at most so many bytes.
pub(super) fn call(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &str,
    most_bytes: u64,
) -> Result<Option<Kept>> {
    let found =
        || key_of(connection, organization, id)?.map_or(Ok(None), |key| kept(connection, key, most_bytes));
    // What a call holds is told with its name already.
    found()
        .map_err(|fault: Fault| if fault.is_of_file() { fault.within(&format!("call {id}")) } else { fault })
}

/// The saved call with this name, else with this UUID, without what is known of it.
pub(super) fn head_of(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &str,
) -> Result<Option<CallHead>> {
    let Some(key) = key_of(connection, organization, id)? else { return Ok(None) };
    let sql = format!("SELECT {HEAD} FROM calls c WHERE c.pk = ?1 AND c.start_ms IS NOT NULL");
    one(connection, &sql, [key.0], |row| head(&mut Columns::of(row)))
}

fn key_of(connection: &Connection, organization: OrganizationNumber, id: &str) -> Result<Option<CallKey>> {
    Ok(match key_of_name(connection, organization, id)? {
        Some(key) => Some(key),
        None => match Uuid::parse_str(id) {
            Ok(uuid) => key_of_uuid(connection, organization, uuid)?,
            Err(_) => None,
        },
    })
}

fn key_of_name(
    connection: &Connection,
    organization: OrganizationNumber,
    name: &str,
) -> Result<Option<CallKey>> {
    let key = |sql| one(connection, sql, params![organization.0, name], |row| Ok(CallKey(row.get(0)?)));
    match key("SELECT pk FROM calls WHERE org = ?1 AND name = ?2")? {
        Some(found) => Ok(Some(found)),
        None => key("SELECT pk FROM call_names WHERE org = ?1 AND name = ?2"),
    }
}

fn key_of_uuid(
    connection: &Connection,
    organization: OrganizationNumber,
    uuid: Uuid,
) -> Result<Option<CallKey>> {
    let key =
        |sql| one(connection, sql, params![organization.0, uuid.as_bytes()], |row| Ok(CallKey(row.get(0)?)));
    match key("SELECT pk FROM calls WHERE org = ?1 AND uuid = ?2")? {
        Some(found) => Ok(Some(found)),
        None => key("SELECT pk FROM call_uuids WHERE org = ?1 AND uuid = ?2"),
    }
}

/// The organization of a call that must be there.
pub(super) fn organization_of(connection: &Connection, key: CallKey) -> Result<OrganizationNumber> {
    let found = connection
        .prepare_cached("SELECT org FROM calls WHERE pk = ?1")?
        .query_row([key.0], |row| Ok(OrganizationNumber(row.get(0)?)))
        .optional()?;
    found.ok_or_else(|| unavailable(format!("there is no call {}", key.0)))
}

/// Every live call.
pub(super) fn open_calls(connection: &Connection) -> Result<Vec<OpenCall>> {
    // The condition is that of the index of live calls, word for word; codes.rs holds the two together.
    let sql = "SELECT pk, org, status FROM calls WHERE status BETWEEN 1 AND 3";
    many(connection, sql, [], |row| {
        Ok(OpenCall {
            key: CallKey(row.get(0)?),
            organization: OrganizationNumber(row.get(1)?),
            status: Status::read(row.get(2)?)?,
        })
    })
}

/// Calls in the order of their arrival.
pub(super) fn after(
    connection: &Connection,
    organization: Option<OrganizationNumber>,
    after: CallKey,
    limit: u32,
) -> Result<Vec<CallHead>> {
    // The plus keeps the index of the organization out: it would sort all its calls for each part of the walk.
    let sql = format!(
        "SELECT {HEAD} FROM calls c
         WHERE c.pk > ?1 AND (?2 IS NULL OR +c.org = ?2) AND +c.start_ms IS NOT NULL ORDER BY c.pk LIMIT ?3"
    );
    let organization = organization.map(|organization| organization.0);
    many(connection, &sql, params![after.0, organization, limit], |row| head(&mut Columns::of(row)))
}

/// The column of [`FILED`] that is looked at before the others are read.
const BODY: usize = 21;

/// The last column of [`FILED`].
const IS_DEFERRED: usize = 34;

const FILED: &str = "SELECT
    c.pk, c.uuid, c.name, c.org,
    c.start_ms, c.ringing_ms, c.status, c.answered_ms, c.ended_ms, c.cause, c.ended_by, c.transfer, c.failed,
    c.inferred, c.direction, c.call_type, c.from_number, c.to_number, c.endpoint, c.named_phone_number, c.opt_out,
    opened(d.body, d.pk),
    c.phone_number,
    e.number, e.name, e.provider, e.sip_uri, e.metadata,
    p.id, p.number, p.endpoint,
    c.price_list, c.folded_by,
    (SELECT group_concat(n.name, ' ') FROM call_names n WHERE n.pk = c.pk),
    f.pk IS NOT NULL
FROM calls c
LEFT JOIN call_documents d ON d.pk = c.pk
LEFT JOIN deferred_documents f ON f.pk = c.pk
LEFT JOIN endpoints e ON e.org = c.org AND e.id = c.endpoint
LEFT JOIN phone_numbers p ON p.org = c.org AND p.id = c.phone_number
WHERE c.pk = ?1 AND c.start_ms IS NOT NULL";

/// A call as it is kept.
pub(super) enum Kept {
    /// With its document.
    Whole(Box<Filed>),
    /// Its document is deferred: content and bill are empty here, and follow from its events.
    Deferred(Box<Filed>),
    /// Not read: its document has more bytes, unpacked, than were allowed.
    Beyond,
}

/// The call with this name, else with this UUID. One whose document is deferred is folded.
pub(super) fn filed_by_id(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &str,
    fold: FoldReports,
) -> Result<Option<Filed>> {
    key_of(connection, organization, id)?.map_or(Ok(None), |key| filed(connection, key, fold))
}

/// The call with this key, if it has been saved. One whose document is deferred is folded.
pub(super) fn filed(connection: &Connection, key: CallKey, fold: FoldReports) -> Result<Option<Filed>> {
    Ok(match kept(connection, key, u64::MAX)? {
        None | Some(Kept::Beyond) => None,
        Some(Kept::Whole(filed)) => Some(*filed),
        Some(Kept::Deferred(mut filed)) => {
            let within = |fault: Fault| fault.within(&format!("call {}", filed.head.name));
            (filed.call.content, filed.bill) = folded(connection, &filed, fold).map_err(within)?;
            Some(*filed)
        }
    })
}

/// The content and the bill of a call whose document is deferred.
fn folded(connection: &Connection, filed: &Filed, fold: FoldReports) -> Result<(Content, Bill)> {
    let reports = events::of_call(connection, filed.head.key)?;
    let call = fold(&reports).map_err(|cause| unreadable("what its events make", cause))?;
    let tariff = filed.tariff.map_or(Ok(None), |id| tariffs::of_id(connection, id))?;
    let tariff = tariff.ok_or_else(|| unreadable("the tariff", "it is missing"))?;
    let bill = tariff.bill(&call);
    Ok((call.content, bill))
}

/// The call with this key, if it has been saved.
fn kept(connection: &Connection, key: CallKey, most_bytes: u64) -> Result<Option<Kept>> {
    one(connection, FILED, [key.0], |row| {
        let bytes = row.get_ref(BODY)?.as_blob_or_null().ok().flatten().map_or(0, documents::unpacked_bytes);
        if bytes > most_bytes {
            return Ok(Kept::Beyond);
        }
        read_kept(row).map_err(|fault| match row.get::<_, String>("name") {
            Ok(name) => fault.within(&format!("call {name}")),
            Err(_) => fault.within(&format!("call {}", key.0)),
        })
    })
}

fn read_kept(row: &Row<'_>) -> Result<Kept> {
    let is_deferred: bool = row.get(IS_DEFERRED)?;
    let columns = &mut Columns::of(row);
    let head = head(columns)?;
    let (call, bill) = read_call(columns, is_deferred)?;
    let phone_number_id = columns.name_if_any(PhoneNumberName::new)?;
    let endpoint = read_endpoint(columns, head.organization, call.endpoint.as_ref())?;
    let phone_number = read_phone_number(columns, head.organization)?;
    let (tariff, folded_by) = (columns.take::<Option<i64>>()?.map(TariffId), columns.take()?);
    let former_names = read_former_names(columns)?;
    let filed =
        Filed { head, former_names, call, bill, endpoint, phone_number_id, phone_number, tariff, folded_by };
    let filed = Box::new(filed);
    Ok(if is_deferred { Kept::Deferred(filed) } else { Kept::Whole(filed) })
}

/// The names of the calls that became part of a call: no name has a space.
fn read_former_names(columns: &mut Columns<'_, '_>) -> Result<Vec<CallName>> {
    let joined: Option<String> = columns.take()?;
    let names = joined.iter().flat_map(|joined| joined.split(' ')).map(CallName::new);
    names.collect::<std::result::Result<_, _>>().map_err(|cause| unreadable("a former name", cause))
}

/// The phone number that a call belongs to, if the directory knows it; takes its columns either way.
fn read_phone_number(
    columns: &mut Columns<'_, '_>,
    organization: OrganizationNumber,
) -> Result<Option<PhoneNumber>> {
    let id = columns.name_if_any(PhoneNumberName::new)?;
    let (number, endpoint) = (columns.take()?, columns.name_if_any(EndpointName::new)?);
    Ok(id.map(|id| PhoneNumber { organization, id, number, endpoint }))
}

fn read_call(columns: &mut Columns<'_, '_>, is_deferred: bool) -> Result<(Call, Bill)> {
    let created_at = Timestamp::from_millis(columns.take()?);
    let ringing_at = time(columns)?;
    let state = read_state(columns)?;
    let direction = Direction::read(columns.take()?)?;
    let call_type = CallType::read(columns.take()?)?;
    let from_number = columns.take()?;
    let to_number = columns.take()?;
    let endpoint = columns.name_if_any(EndpointName::new)?;
    let phone_number = columns.name_if_any(PhoneNumberName::new)?;
    let opt_out = columns.take()?;
    let body: Option<Vec<u8>> = columns.take()?;
    let documents::Body { content, bill } = match body {
        Some(body) => documents::unpack(&body)?,
        None if is_deferred => documents::Body::default(),
        None => return Err(unreadable("the document", "it is missing")),
    };
    let call = Call {
        created_at,
        ringing_at,
        state,
        direction,
        call_type,
        from_number,
        to_number,
        endpoint,
        phone_number,
        opt_out,
        content,
    };
    Ok((call, bill))
}

fn read_state(columns: &mut Columns<'_, '_>) -> Result<State> {
    let status = Status::read(columns.take()?)?;
    let answered_at = time(columns)?;
    let ended_at = time(columns)?;
    let cause: Option<i64> = columns.take()?;
    let by: Option<i64> = columns.take()?;
    let [transfer, failed, inferred]: [Option<bool>; 3] = [columns.take()?, columns.take()?, columns.take()?];
    let missing = || unreadable("the state", "a part of it is missing");
    Ok(match status {
        Status::Queued => State::Queued,
        Status::Initiated => State::Initiated,
        Status::Ringing => State::Ringing,
        Status::InProgress => State::Answered { answered_at: answered_at.ok_or_else(missing)? },
        Status::Completed | Status::NoAnswer | Status::Canceled | Status::Busy | Status::Failed => {
            State::Ended(Ending {
                answered_at,
                ended_at: ended_at.ok_or_else(missing)?,
                cause: Cause::read(cause.ok_or_else(missing)?)?,
                by: by.map(Party::read).transpose()?,
                transfer: transfer.ok_or_else(missing)?,
                failed: failed.ok_or_else(missing)?,
                inferred: inferred.ok_or_else(missing)?,
            })
        }
    })
}

fn time(columns: &mut Columns<'_, '_>) -> Result<Option<Timestamp>> {
    Ok(columns.take::<Option<i64>>()?.map(Timestamp::from_millis))
}

/// The endpoint that a call joined, if the directory knows it; takes its columns either way.
fn read_endpoint(
    columns: &mut Columns<'_, '_>,
    organization: OrganizationNumber,
    id: Option<&EndpointName>,
) -> Result<Option<Endpoint>> {
    let number: Option<i64> = columns.take()?;
    let (name, provider, sip_uri) = (columns.take()?, columns.take()?, columns.take()?);
    let metadata: Option<String> = columns.take()?;
    let known = number.zip(id).zip(metadata);
    Ok(known.map(|((number, id), metadata)| Endpoint {
        number: EndpointNumber(number),
        organization,
        id: id.clone(),
        name,
        provider,
        sip_uri,
        metadata: Document::from_json_text(metadata),
    }))
}

/// The body that a call's document is kept in; none of a call never saved.
pub(super) fn body(connection: &Connection, key: CallKey) -> Result<Option<Vec<u8>>> {
    one(connection, "SELECT opened(body, pk) FROM call_documents WHERE pk = ?1", [key.0], |row| {
        Ok(row.get(0)?)
    })
}

/// The content that a body holds; without one, none.
pub(super) fn content_of(body: Option<&[u8]>) -> Result<Content> {
    Ok(body.map(documents::unpack).transpose()?.unwrap_or_default().content)
}

/// What a call is called, and was called before others became part of it.
pub(super) fn names(connection: &Connection, key: CallKey) -> Result<Vec<CallName>> {
    let sql = "SELECT name FROM calls WHERE pk = ?1 UNION ALL SELECT name FROM call_names WHERE pk = ?1";
    many(connection, sql, [key.0], |row| Columns::of(row).name(CallName::new))
}

/// Makes the names of the younger call names of the older one, and removes the younger's row.
pub(super) fn rename(connection: &Connection, younger: CallKey, older: CallKey) -> Result<()> {
    let pair = params![older.0, younger.0];
    run(connection, "UPDATE call_names SET pk = ?1 WHERE pk = ?2", pair)?;
    run(connection, "UPDATE call_uuids SET pk = ?1 WHERE pk = ?2", pair)?;
    run(
        connection,
        "INSERT INTO call_names (org, name, pk) SELECT org, name, ?1 FROM calls WHERE pk = ?2",
        pair,
    )?;
    run(
        connection,
        "INSERT INTO call_uuids (org, uuid, pk) SELECT org, uuid, ?1 FROM calls WHERE pk = ?2",
        pair,
    )?;
    run(connection, "DELETE FROM calls WHERE pk = ?1", [younger.0])?;
    Ok(())
}
