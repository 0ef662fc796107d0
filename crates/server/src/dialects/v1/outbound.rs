//! `POST /v1/outbound-calls`.

use std::collections::HashMap;

use axum::{Json, http::StatusCode};
use pegcount_calls::Document;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, Type, schema::SchemaType},
};

use super::{
    directory::{bounded, endpoint_name, metadata},
    wire::CallDetail,
};
use crate::{
    access::{NewCall, Refusal},
    vocabulary,
    web::{caller::Caller, failure::Failure, json::JsonBody, schemas::Id},
};

/// Longest number in characters.
const LONGEST_NUMBER: usize = 64;

/// Keys of the metadata of an order. The headers of the call are added to them, and both together are within the bounds of
/// an event.
const MOST_KEYS: usize = 200;

fn new_metadata() -> ObjectBuilder {
    let types: SchemaType = [Type::Object, Type::Null].into_iter().collect();
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(256));
    ObjectBuilder::new().schema_type(types).max_properties(Some(MOST_KEYS)).property_names(Some(key))
}

/// The metadata of an order, which the first event of the call will hold.
fn call_metadata(value: Option<Box<RawValue>>) -> Result<Option<Document>, Refusal> {
    let Some(document) = metadata(value)? else { return Ok(None) };
    let keys: HashMap<String, IgnoredAny> = serde_json::from_str(document.as_json_text()).unwrap_or_default();
    if keys.len() > MOST_KEYS || !keys.keys().all(|key| vocabulary::is_metadata_key(key)) {
        let message = format!("must have at most {MOST_KEYS} keys of 1 to 256 bytes");
        return Err(Refusal::invalid("metadata", message));
    }
    Ok(Some(document))
}

/// A call to be placed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCallBody {
    /// The calling number: one of the organization's phone numbers.
    #[schema(
        example = "+2348012345678",
        max_length = 64,
        pattern = r"^(?![ .()/-]*0[ .()/-]*0)\+?([ .()/-]*[0-9]){3,24}[ .()/-]*$"
    )]
    pub from_number: String,
    /// The called number of 3 to 24 digits, best with + (not 00) and the country code.
    #[schema(
        example = "+14155551234",
        max_length = 64,
        pattern = r"^(?![ .()/-]*0[ .()/-]*0)\+?([ .()/-]*[0-9]){3,24}[ .()/-]*$"
    )]
    pub to_number: String,
    /// The endpoint to connect with it; absent: the one of `from_number`.
    #[schema(example = "ep_xyz789", value_type = Option<Id>)]
    pub endpoint_id: Option<String>,
    /// The call's metadata: an object of at most 200 keys of 1 to 256 bytes.
    #[schema(schema_with = new_metadata, required = false)]
    pub metadata: Option<Box<RawValue>>,
}

/// Place a call.
///
/// Calls `to_number` over the organization's SIP trunk, from a number of the organization, and connects the endpoint
/// when that has answered. Answers as soon as the call can be read; what becomes of it is in its events.
#[utoipa::path(
    post, path = "/v1/outbound-calls", tag = "calls", request_body = NewCallBody,
    responses(
        (status = 201, body = CallDetail),
        (status = 400, description = "INVALID_PARAMETER names the field"),
        (status = 409, description = "NO_TRUNK"),
        (status = 503, description = "SOURCE_UNREACHABLE: the SIP gateway is off"),
    )
)]
pub(super) async fn place_call(
    caller: Caller,
    JsonBody(body): JsonBody<NewCallBody>,
) -> Result<(StatusCode, Json<CallDetail>), Failure> {
    bounded("from_number", Some(&body.from_number), LONGEST_NUMBER)?;
    bounded("to_number", Some(&body.to_number), LONGEST_NUMBER)?;
    let new = NewCall {
        endpoint: body.endpoint_id.map(|id| endpoint_name("endpoint_id", &id)).transpose()?,
        metadata: call_metadata(body.metadata)?,
        from_number: body.from_number,
        to_number: body.to_number,
    };
    let filed = caller.access.place_call(new).await?;
    Ok((StatusCode::CREATED, Json(CallDetail::of(&filed, caller.access.recording_url(&filed)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_of_an_order_fits_an_event() {
        let taken = |text: &str| call_metadata(Some(RawValue::from_string(text.to_owned()).unwrap())).is_ok();
        assert!(taken(r#"{"campaign": "spring"}"#));
        assert!(!taken(r#"{"": 1}"#));
        assert!(!taken(&format!(r#"{{"{}": 1}}"#, "k".repeat(257))));
        let many: Vec<String> = (0..201).map(|key| format!(r#""{key}": 1"#)).collect();
        assert!(!taken(&format!("{{{}}}", many.join(","))));
    }
}
