//! `/v1/endpoints` and `/v1/phone-numbers`.

use axum::{Json, extract::RawQuery, http::StatusCode};
use pegcount_calls::{Document, EndpointName, PhoneNumberName};
use pegcount_store::{Endpoint, EndpointNumber, NewEndpoint, PhoneNumber};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{handlers::params, query::plain_paging, wire::raw};
use crate::{
    access::{EndpointChange, PhoneNumberChange, Refusal, Thing},
    vocabulary,
    web::{
        caller::Caller,
        failure::Failure,
        json::{JsonBody, optional_integer},
        path::Path,
        schemas::Id,
    },
};

/// Longest name, provider or URI, in characters.
const LONGEST_TEXT: usize = 512;
/// Longest phone number in characters.
const LONGEST_NUMBER: usize = 64;
/// Largest metadata of an endpoint, in bytes of JSON.
const LARGEST_METADATA: usize = 16 * 1024;

/// An endpoint: an agent that takes or places calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointBody {
    /// Its string id.
    #[schema(example = "ep_xyz789")]
    pub id: String,
    /// Its integer id: the `agent_id` of the agent dialect.
    pub number: i64,
    /// What people call it.
    pub name: Option<String>,
    /// The platform it runs on.
    pub provider: Option<String>,
    /// Where it is reached.
    pub sip_uri: Option<String>,
    /// Anything else.
    #[schema(value_type = Object)]
    pub metadata: Box<RawValue>,
}

impl From<&Endpoint> for EndpointBody {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            number: endpoint.number.0,
            name: endpoint.name.clone(),
            provider: endpoint.provider.clone(),
            sip_uri: endpoint.sip_uri.clone(),
            metadata: raw(endpoint.metadata.as_json_text()),
        }
    }
}

/// The endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointList {
    /// By number.
    pub endpoints: Vec<EndpointBody>,
    /// How many there are.
    pub total: u64,
    /// How many were asked for.
    pub limit: u32,
    /// How many were passed over.
    pub offset: u64,
}

/// An endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpointBody {
    /// Its string id; made when absent.
    #[schema(value_type = Option<Id>)]
    pub id: Option<String>,
    /// Its integer id; the next free one when absent.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    #[serde(default, deserialize_with = "optional_integer")]
    pub number: Option<i64>,
    /// What people call it.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub name: Option<String>,
    /// The platform it runs on.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub provider: Option<String>,
    /// Where it is reached.
    #[schema(max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub sip_uri: Option<String>,
    /// Anything else; an object.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Box<RawValue>>,
}

/// What to change of an endpoint; what is absent stays, null empties.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointPatch {
    /// What people call it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub name: Option<Option<String>>,
    /// The platform it runs on.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub provider: Option<Option<String>>,
    /// Where it is reached.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub sip_uri: Option<Option<String>>,
    /// Anything else; an object.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Box<RawValue>>,
}

/// Tells a field that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) fn endpoint_name(parameter: &str, id: &str) -> Result<EndpointName, Refusal> {
    EndpointName::new(id).map_err(|error| Refusal::invalid(parameter, error.to_string()))
}

fn phone_number_name(parameter: &str, id: &str) -> Result<PhoneNumberName, Refusal> {
    PhoneNumberName::new(id).map_err(|error| Refusal::invalid(parameter, error.to_string()))
}

/// Most digits of a number (E.164 has 15; a prefix may stand in front).
const MOST_DIGITS: usize = 24;

/// Refuses what no call can come from or go to. What begins like a phone number must be one; anything else may be the user
/// of a SIP URI, or the URI.
fn check_number(number: Option<&String>) -> Result<(), Refusal> {
    bounded("number", number, LONGEST_NUMBER)?;
    let is_good = number.is_none_or(|number| {
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        match number.as_bytes().first() {
            None => false,
            Some(b'+' | b'0'..=b'9' | b'(') => {
                let is_written_so = |c: char| c.is_ascii_digit() || " -.()/*#".contains(c);
                let rest = number.strip_prefix('+').unwrap_or(number);
                (1..=MOST_DIGITS).contains(&digits) && rest.chars().all(is_written_so)
            }
            Some(_) => number.chars().all(|c| !c.is_whitespace() && !"\"<>,".contains(c)),
        }
    });
    if is_good {
        return Ok(());
    }
    Err(Refusal::invalid("number", "must be a phone number such as +4930123456, or the user of a SIP URI"))
}

/// A new id: the prefix and 26 characters that nobody has had before.
fn new_id(prefix: &str) -> String {
    let unique = vocabulary::event_id_of(&uuid::Uuid::now_v7().to_string());
    format!("{prefix}{}", unique.as_str().trim_start_matches("evt_"))
}

pub(super) fn bounded(parameter: &str, text: Option<&String>, longest: usize) -> Result<(), Refusal> {
    match text {
        Some(text) if text.chars().count() > longest || text.chars().any(char::is_control) => {
            Err(Refusal::invalid(
                parameter,
                format!("must have at most {longest} characters and no control characters"),
            ))
        }
        _ => Ok(()),
    }
}

pub(super) fn metadata(value: Option<Box<RawValue>>) -> Result<Option<Document>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    let text = vocabulary::json::compact(value.get());
    if !text.starts_with('{') || text.len() > LARGEST_METADATA {
        return Err(Refusal::invalid(
            "metadata",
            format!("must be an object of at most {LARGEST_METADATA} bytes"),
        ));
    }
    Ok(Some(Document::from_json_text(text)))
}

/// List the endpoints.
#[utoipa::path(
    get, path = "/v1/endpoints", tag = "directory",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100, default 50"),
        ("offset" = Option<u64>, Query, description = "Pagination offset"),
        ("page" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647, description = "Another way to say offset, from 1"),
    ),
    responses((status = 200, body = EndpointList))
)]
pub(super) async fn list_endpoints(
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<EndpointList>, Failure> {
    let (limit, offset) = plain_paging(&params(query.as_deref()))?;
    let (endpoints, total) = caller.access.endpoints(limit, offset).await?;
    let endpoints = endpoints.iter().map(EndpointBody::from).collect();
    Ok(Json(EndpointList { endpoints, total, limit, offset }))
}

/// Make an endpoint.
#[utoipa::path(
    post, path = "/v1/endpoints", tag = "directory", request_body = NewEndpointBody,
    responses(
        (status = 201, body = EndpointBody),
        (status = 409, description = "ALREADY_EXISTS"),
    )
)]
pub(super) async fn create_endpoint(
    caller: Caller,
    JsonBody(body): JsonBody<NewEndpointBody>,
) -> Result<(StatusCode, Json<EndpointBody>), Failure> {
    for (parameter, text) in [("name", &body.name), ("provider", &body.provider), ("sip_uri", &body.sip_uri)]
    {
        bounded(parameter, text.as_ref(), LONGEST_TEXT)?;
    }
    // An endpoint's number travels through JSON, where only so many integers are exact.
    if body.number.is_some_and(|number| !(1..=9_007_199_254_740_991).contains(&number)) {
        return Err(Refusal::invalid("number", "must be a positive integer below 2^53").into());
    }
    let new = NewEndpoint {
        id: endpoint_name("id", &body.id.unwrap_or_else(|| new_id("ep_")))?,
        number: body.number.map(EndpointNumber),
        name: body.name,
        provider: body.provider,
        sip_uri: body.sip_uri,
        metadata: metadata(body.metadata)?.unwrap_or_else(|| Document::from_json_text("{}")),
    };
    let endpoint = caller.access.create_endpoint(&new).await?;
    Ok((StatusCode::CREATED, Json(EndpointBody::from(&endpoint))))
}

/// Show an endpoint.
#[utoipa::path(
    get, path = "/v1/endpoints/{id}", tag = "directory",
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = EndpointBody))
)]
pub(super) async fn get_endpoint(
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<EndpointBody>, Failure> {
    let id = EndpointName::new(&id).map_err(|_| Refusal::NotFound(Thing::Endpoint))?;
    Ok(Json(EndpointBody::from(&caller.access.endpoint(&id).await?)))
}

/// Change an endpoint.
#[utoipa::path(
    patch, path = "/v1/endpoints/{id}", tag = "directory", request_body = EndpointPatch,
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = EndpointBody))
)]
pub(super) async fn change_endpoint(
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(patch): JsonBody<EndpointPatch>,
) -> Result<Json<EndpointBody>, Failure> {
    let id = EndpointName::new(&id).map_err(|_| Refusal::NotFound(Thing::Endpoint))?;
    for (parameter, text) in
        [("name", &patch.name), ("provider", &patch.provider), ("sip_uri", &patch.sip_uri)]
    {
        bounded(parameter, text.as_ref().and_then(Option::as_ref), LONGEST_TEXT)?;
    }
    let change = EndpointChange {
        name: patch.name,
        provider: patch.provider,
        sip_uri: patch.sip_uri,
        metadata: metadata(patch.metadata)?,
    };
    Ok(Json(EndpointBody::from(&caller.access.change_endpoint(&id, change).await?)))
}

/// Forget an endpoint. Calls keep its id.
#[utoipa::path(
    delete, path = "/v1/endpoints/{id}", tag = "directory",
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 204))
)]
pub(super) async fn delete_endpoint(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    let id = EndpointName::new(&id).map_err(|_| Refusal::NotFound(Thing::Endpoint))?;
    caller.access.delete_endpoint(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A phone number of the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct PhoneNumberBody {
    /// Its string id.
    #[schema(example = "pn_123")]
    pub id: String,
    /// E.164; null while only the id is known.
    pub number: Option<String>,
    /// The endpoint that answers it.
    pub endpoint_id: Option<String>,
}

impl From<&PhoneNumber> for PhoneNumberBody {
    fn from(number: &PhoneNumber) -> Self {
        Self {
            id: number.id.to_string(),
            number: number.number.clone(),
            endpoint_id: number.endpoint.as_ref().map(ToString::to_string),
        }
    }
}

/// The phone numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct PhoneNumberList {
    /// By id.
    pub phone_numbers: Vec<PhoneNumberBody>,
    /// How many there are.
    pub total: u64,
    /// How many were asked for.
    pub limit: u32,
    /// How many were passed over.
    pub offset: u64,
}

/// A phone number to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPhoneNumberBody {
    /// Its string id; made when absent.
    #[schema(value_type = Option<Id>)]
    pub id: Option<String>,
    /// E.164, or the user of a SIP URI.
    #[schema(
        example = "+2348012345678",
        max_length = 64,
        pattern = r#"^((\+[ .()/*#-]*|\([ .()/*#-]*)?([0-9][ .()/*#-]*){1,24}|[^+(0-9\s"<>,\u0000-\u001f\u007f-\u009f][^\s"<>,\u0000-\u001f\u007f-\u009f]*)$"#
    )]
    pub number: Option<String>,
    /// The endpoint that answers it.
    #[schema(value_type = Option<Id>)]
    pub endpoint_id: Option<String>,
}

/// What to change of a phone number; what is absent stays, null empties.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PhoneNumberPatch {
    /// E.164, or the user of a SIP URI.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 64, pattern = r#"^((\+[ .()/*#-]*|\([ .()/*#-]*)?([0-9][ .()/*#-]*){1,24}|[^+(0-9\s"<>,\u0000-\u001f\u007f-\u009f][^\s"<>,\u0000-\u001f\u007f-\u009f]*)$"#)]
    pub number: Option<Option<String>>,
    /// The endpoint that answers it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Id>)]
    pub endpoint_id: Option<Option<String>>,
}

/// List the phone numbers.
#[utoipa::path(
    get, path = "/v1/phone-numbers", tag = "directory",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100, default 50"),
        ("offset" = Option<u64>, Query, description = "Pagination offset"),
        ("page" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647, description = "Another way to say offset, from 1"),
    ),
    responses((status = 200, body = PhoneNumberList))
)]
pub(super) async fn list_phone_numbers(
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<PhoneNumberList>, Failure> {
    let (limit, offset) = plain_paging(&params(query.as_deref()))?;
    let (numbers, total) = caller.access.phone_numbers(limit, offset).await?;
    let phone_numbers = numbers.iter().map(PhoneNumberBody::from).collect();
    Ok(Json(PhoneNumberList { phone_numbers, total, limit, offset }))
}

/// Keep a phone number.
#[utoipa::path(
    post, path = "/v1/phone-numbers", tag = "directory", request_body = NewPhoneNumberBody,
    responses(
        (status = 201, body = PhoneNumberBody),
        (status = 409, description = "ALREADY_EXISTS"),
    )
)]
pub(super) async fn create_phone_number(
    caller: Caller,
    JsonBody(body): JsonBody<NewPhoneNumberBody>,
) -> Result<(StatusCode, Json<PhoneNumberBody>), Failure> {
    check_number(body.number.as_ref())?;
    let id = phone_number_name("id", &body.id.unwrap_or_else(|| new_id("pn_")))?;
    let endpoint = body.endpoint_id.map(|id| endpoint_name("endpoint_id", &id)).transpose()?;
    let number = caller.access.create_phone_number(id, body.number, endpoint).await?;
    Ok((StatusCode::CREATED, Json(PhoneNumberBody::from(&number))))
}

/// Show a phone number.
#[utoipa::path(
    get, path = "/v1/phone-numbers/{id}", tag = "directory",
    params(("id" = String, Path, description = "The phone number's id")),
    responses((status = 200, body = PhoneNumberBody))
)]
pub(super) async fn get_phone_number(
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<PhoneNumberBody>, Failure> {
    let id = PhoneNumberName::new(&id).map_err(|_| Refusal::NotFound(Thing::PhoneNumber))?;
    Ok(Json(PhoneNumberBody::from(&caller.access.phone_number(&id).await?)))
}

/// Change a phone number.
#[utoipa::path(
    patch, path = "/v1/phone-numbers/{id}", tag = "directory", request_body = PhoneNumberPatch,
    params(("id" = String, Path, description = "The phone number's id")),
    responses(
        (status = 200, body = PhoneNumberBody),
        (status = 409, description = "ALREADY_EXISTS: another phone number has this number"),
    )
)]
pub(super) async fn change_phone_number(
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(patch): JsonBody<PhoneNumberPatch>,
) -> Result<Json<PhoneNumberBody>, Failure> {
    let id = PhoneNumberName::new(&id).map_err(|_| Refusal::NotFound(Thing::PhoneNumber))?;
    check_number(patch.number.as_ref().and_then(Option::as_ref))?;
    let endpoint = patch.endpoint_id.map(|id| id.map(|id| endpoint_name("endpoint_id", &id)).transpose());
    let change = PhoneNumberChange { number: patch.number, endpoint: endpoint.transpose()? };
    Ok(Json(PhoneNumberBody::from(&caller.access.change_phone_number(&id, change).await?)))
}

/// Forget a phone number. Calls keep its id.
#[utoipa::path(
    delete, path = "/v1/phone-numbers/{id}", tag = "directory",
    params(("id" = String, Path, description = "The phone number's id")),
    responses((status = 204))
)]
pub(super) async fn delete_phone_number(
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let id = PhoneNumberName::new(&id).map_err(|_| Refusal::NotFound(Thing::PhoneNumber))?;
    caller.access.delete_phone_number(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
