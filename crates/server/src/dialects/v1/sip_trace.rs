//! `GET /v1/calls/{id}/sip-trace`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::SipMessage,
    vocabulary::time::format_rfc3339,
    web::{caller::Caller, failure::Failure, path::Path},
};

/// The SIP messages of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct SipTraceBody {
    /// The last ones, oldest first.
    pub messages: Vec<SipMessageBody>,
}

/// A SIP message.
#[derive(Debug, Serialize, ToSchema)]
pub struct SipMessageBody {
    /// When it was sent or received.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// Which dialog of the call it belongs to, in the order of their beginnings, from 0.
    pub dialog: u32,
    /// `caller`: the side that called, or that an ordered call went to first; `callee`: the other.
    pub side: &'static str,
    /// `sent` or `received`, seen from the gateway.
    pub direction: &'static str,
    /// The address it went to or came from.
    #[schema(example = "203.0.113.5:5060")]
    pub peer: Option<String>,
    /// The message. Secrets (credentials, tokens, keys of media) are removed; numbers and names are masked unless `sip.trace.masked` is false.
    pub message: String,
}

impl From<SipMessage> for SipMessageBody {
    fn from(message: SipMessage) -> Self {
        Self {
            timestamp: format_rfc3339(message.at),
            dialog: message.leg,
            side: if message.is_caller { "caller" } else { "callee" },
            direction: if message.is_sent { "sent" } else { "received" },
            peer: message.peer.map(|peer| peer.to_string()),
            message: message.text,
        }
    }
}

/// Show the SIP messages of a call.
///
/// The gateway remembers the last messages of calls in progress, and for a while those of calls that are over.
#[utoipa::path(
    get, path = "/v1/calls/{id}/sip-trace", tag = "calls", operation_id = "get_sip_trace",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses(
        (status = 200, body = SipTraceBody),
        (status = 404, description = "CALL_NOT_FOUND, or SIP_TRACE_NOT_FOUND: nothing is remembered of it"),
    )
)]
pub(super) async fn sip_trace(caller: Caller, Path(id): Path<String>) -> Result<Json<SipTraceBody>, Failure> {
    let messages = caller.access.sip_messages(&id).await?;
    Ok(Json(SipTraceBody { messages: messages.into_iter().map(SipMessageBody::from).collect() }))
}
