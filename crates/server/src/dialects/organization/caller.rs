//! Who asks: a key's id and its secret, in a header each.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use super::failure::Failure;
use crate::{
    access::{Access, Ledger},
    auth::Credentials,
    web::{
        body,
        credentials::{header_text, named_organization},
        host,
    },
};

/// Somebody who was let in.
pub(super) struct Caller {
    pub(super) access: Access,
}

impl FromRequestParts<Arc<Ledger>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, ledger: &Arc<Ledger>) -> Result<Self, Failure> {
        let credentials = pair(&parts.headers)?;
        let access = ledger.admit(Some(&credentials), named_organization(&parts.headers))?;
        parts.extensions.insert(body::Sender::of(access.principal()));
        Ok(Self { access: access.reached_at(host::requested(&parts.uri, &parts.headers)) })
    }
}

/// Both headers, or the name of the one that is missing.
pub(super) fn pair(headers: &HeaderMap) -> Result<Credentials, Failure> {
    let header = |name: &str| header_text(headers, name).ok_or_else(|| Failure::missing_header(name));
    Ok(Credentials::Pair { id: header("X-API-KEY")?.to_owned(), secret: header("X-API-SECRET")?.to_owned() })
}
