//! The directory: organizations, endpoints, phone numbers, and where hang-up orders go.

use pegcount_calls::{Document, EndpointName, OrganizationName, PhoneNumberName};
use rusqlite::{Connection, Row, params};

use super::{
    fault::{Fault, Result},
    rows::{Columns, count, many, one, run},
};
use crate::{
    ControlUrl, Endpoint, EndpointNumber, NewEndpoint, Organization, OrganizationNumber, PhoneNumber,
};

/// Every organization, by number.
pub(super) fn organizations(connection: &Connection) -> Result<Vec<Organization>> {
    many(connection, "SELECT number, id, name FROM organizations ORDER BY number", [], |row| {
        let columns = &mut Columns::of(row);
        Ok(Organization {
            number: OrganizationNumber(columns.take()?),
            id: columns.name(OrganizationName::new)?,
            name: columns.take()?,
        })
    })
}

/// Makes an organization.
pub(super) fn create_organization(
    connection: &Connection,
    id: &OrganizationName,
    number: Option<OrganizationNumber>,
    name: Option<&str>,
) -> Result<Organization> {
    // Without a number SQLite gives the one after the largest.
    let sql = "INSERT INTO organizations (number, id, name) VALUES (?1, ?2, ?3)";
    let row = params![number.map(|number| number.0), id.as_str(), name];
    let inserted = connection.prepare_cached(sql)?.insert(row);
    let number = match inserted {
        Ok(number) => number,
        Err(error) => {
            let same_id = "SELECT count(*) FROM organizations WHERE id = ?1";
            let is_same_id = count(connection, same_id, [id.as_str()])? > 0;
            let what = match is_same_id {
                true => "an organization with this id",
                false => "an organization with this number",
            };
            return Err(Fault::from(error).or_exists(what));
        }
    };
    Ok(Organization { number: OrganizationNumber(number), id: id.clone(), name: name.map(str::to_owned) })
}

const ENDPOINT: &str = "SELECT number, org, id, name, provider, sip_uri, metadata FROM endpoints";

fn endpoint_of(row: &Row<'_>) -> Result<Endpoint> {
    let columns = &mut Columns::of(row);
    Ok(Endpoint {
        number: EndpointNumber(columns.take()?),
        organization: OrganizationNumber(columns.take()?),
        id: columns.name(EndpointName::new)?,
        name: columns.take()?,
        provider: columns.take()?,
        sip_uri: columns.take()?,
        metadata: Document::from_json_text(columns.take::<String>()?),
    })
}

/// The endpoints of an organization, by number, and how many there are.
pub(super) fn endpoints(
    connection: &Connection,
    organization: OrganizationNumber,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Endpoint>, u64)> {
    let sql = format!("{ENDPOINT} WHERE org = ?1 ORDER BY number LIMIT ?2 OFFSET ?3");
    let part = params![organization.0, limit, place(offset)];
    let endpoints = many(connection, &sql, part, endpoint_of)?;
    let total = count(connection, "SELECT count(*) FROM endpoints WHERE org = ?1", [organization.0])?;
    Ok((endpoints, total))
}

/// The endpoint with this id.
pub(super) fn endpoint(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &EndpointName,
) -> Result<Option<Endpoint>> {
    let sql = format!("{ENDPOINT} WHERE org = ?1 AND id = ?2");
    one(connection, &sql, params![organization.0, id.as_str()], endpoint_of)
}

/// The endpoint with this number.
pub(super) fn endpoint_numbered(connection: &Connection, number: EndpointNumber) -> Result<Option<Endpoint>> {
    one(connection, &format!("{ENDPOINT} WHERE number = ?1"), [number.0], endpoint_of)
}

/// Makes an endpoint.
pub(super) fn create_endpoint(
    connection: &Connection,
    organization: OrganizationNumber,
    new: &NewEndpoint,
) -> Result<Endpoint> {
    let sql = "INSERT INTO endpoints (number, org, id, name, provider, sip_uri, metadata)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row = params![
        new.number.map(|number| number.0),
        organization.0,
        new.id.as_str(),
        new.name,
        new.provider,
        new.sip_uri,
        new.metadata.as_json_text(),
    ];
    let inserted = connection.prepare_cached(sql)?.insert(row);
    let number = inserted.map_err(|error| Fault::from(error).or_exists("the endpoint"))?;
    let NewEndpoint { id, number: _, name, provider, sip_uri, metadata } = new.clone();
    Ok(Endpoint { number: EndpointNumber(number), organization, id, name, provider, sip_uri, metadata })
}

/// Makes an endpoint known by its id alone, unless it is.
pub(super) fn note_endpoint(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &EndpointName,
) -> Result<()> {
    let sql =
        "INSERT INTO endpoints (org, id, metadata) VALUES (?1, ?2, '{}') ON CONFLICT (org, id) DO NOTHING";
    run(connection, sql, params![organization.0, id.as_str()])?;
    Ok(())
}

/// Replaces what is known of an endpoint.
pub(super) fn update_endpoint(connection: &Connection, endpoint: &Endpoint) -> Result<bool> {
    let sql = "UPDATE endpoints SET name = ?3, provider = ?4, sip_uri = ?5, metadata = ?6 WHERE org = ?1 AND id = ?2";
    let row = params![
        endpoint.organization.0,
        endpoint.id.as_str(),
        endpoint.name,
        endpoint.provider,
        endpoint.sip_uri,
        endpoint.metadata.as_json_text(),
    ];
    Ok(run(connection, sql, row)? > 0)
}

/// Forgets an endpoint.
pub(super) fn delete_endpoint(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &EndpointName,
) -> Result<bool> {
    let sql = "DELETE FROM endpoints WHERE org = ?1 AND id = ?2";
    Ok(run(connection, sql, params![organization.0, id.as_str()])? > 0)
}

const PHONE_NUMBER: &str = "SELECT org, id, number, endpoint FROM phone_numbers";

fn phone_number_of(row: &Row<'_>) -> Result<PhoneNumber> {
    let columns = &mut Columns::of(row);
    Ok(PhoneNumber {
        organization: OrganizationNumber(columns.take()?),
        id: columns.name(PhoneNumberName::new)?,
        number: columns.take()?,
        endpoint: columns.name_if_any(EndpointName::new)?,
    })
}

/// The phone numbers of an organization, by id, and how many there are.
pub(super) fn phone_numbers(
    connection: &Connection,
    organization: OrganizationNumber,
    limit: u32,
    offset: u64,
) -> Result<(Vec<PhoneNumber>, u64)> {
    let sql = format!("{PHONE_NUMBER} WHERE org = ?1 ORDER BY id LIMIT ?2 OFFSET ?3");
    let part = params![organization.0, limit, place(offset)];
    let numbers = many(connection, &sql, part, phone_number_of)?;
    let total = count(connection, "SELECT count(*) FROM phone_numbers WHERE org = ?1", [organization.0])?;
    Ok((numbers, total))
}

/// The phone number with this id.
pub(super) fn phone_number(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &PhoneNumberName,
) -> Result<Option<PhoneNumber>> {
    let sql = format!("{PHONE_NUMBER} WHERE org = ?1 AND id = ?2");
    one(connection, &sql, params![organization.0, id.as_str()], phone_number_of)
}

/// The organization's phone number that has this number.
pub(super) fn phone_number_with(
    connection: &Connection,
    organization: OrganizationNumber,
    number: &str,
) -> Result<Option<PhoneNumberName>> {
    let sql = "SELECT id FROM phone_numbers WHERE org = ?1 AND number = ?2";
    one(connection, sql, params![organization.0, number], |row| Columns::of(row).name(PhoneNumberName::new))
}

/// Keeps a phone number.
pub(super) fn create_phone_number(connection: &Connection, number: &PhoneNumber) -> Result<()> {
    let sql = "INSERT INTO phone_numbers (org, id, number, endpoint) VALUES (?1, ?2, ?3, ?4)";
    write_phone_number(connection, sql, number)?;
    Ok(())
}

/// Replaces what is known of a phone number.
pub(super) fn update_phone_number(connection: &Connection, number: &PhoneNumber) -> Result<bool> {
    let sql = "UPDATE phone_numbers SET number = ?3, endpoint = ?4 WHERE org = ?1 AND id = ?2";
    Ok(write_phone_number(connection, sql, number)? > 0)
}

fn write_phone_number(connection: &Connection, sql: &str, number: &PhoneNumber) -> Result<usize> {
    let endpoint = number.endpoint.as_ref().map(EndpointName::as_str);
    let row = params![number.organization.0, number.id.as_str(), number.number, endpoint];
    run(connection, sql, row).map_err(|fault| fault.or_exists("the phone number"))
}

/// Makes a phone number known by its id alone, unless it is.
pub(super) fn note_phone_number(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &PhoneNumberName,
) -> Result<()> {
    let sql = "INSERT INTO phone_numbers (org, id) VALUES (?1, ?2) ON CONFLICT (org, id) DO NOTHING";
    run(connection, sql, params![organization.0, id.as_str()])?;
    Ok(())
}

/// Forgets a phone number.
pub(super) fn delete_phone_number(
    connection: &Connection,
    organization: OrganizationNumber,
    id: &PhoneNumberName,
) -> Result<bool> {
    let sql = "DELETE FROM phone_numbers WHERE org = ?1 AND id = ?2";
    Ok(run(connection, sql, params![organization.0, id.as_str()])? > 0)
}

/// Where an organization wants its hang-up orders.
pub(super) fn control_url(
    connection: &Connection,
    organization: OrganizationNumber,
) -> Result<Option<ControlUrl>> {
    one(connection, "SELECT url, secret FROM control_urls WHERE org = ?1", [organization.0], |row| {
        Ok(ControlUrl { url: row.get(0)?, secret: row.get(1)? })
    })
}

/// Sets or forgets it.
pub(super) fn set_control_url(
    connection: &Connection,
    organization: OrganizationNumber,
    url: Option<&ControlUrl>,
) -> Result<()> {
    run(connection, "DELETE FROM control_urls WHERE org = ?1", [organization.0])?;
    if let Some(ControlUrl { url, secret }) = url {
        let sql = "INSERT INTO control_urls (org, url, secret) VALUES (?1, ?2, ?3)";
        run(connection, sql, params![organization.0, url, secret])?;
    }
    Ok(())
}

fn place(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
