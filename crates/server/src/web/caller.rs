//! Who asks, for the routes that take one whole key and fail in the native form.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};

use super::{body, credentials, failure::Failure, host};
use crate::access::{Access, Ledger};

/// Somebody who was let in, and what he may see and do.
pub struct Caller {
    /// The way out, and for sources the way in.
    pub access: Access,
}

impl<S> FromRequestParts<S> for Caller
where
    Arc<Ledger>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let ledger = Arc::<Ledger>::from_ref(state);
        let shown = credentials::whole_key(&parts.headers);
        let access = ledger.admit(shown.as_ref(), credentials::named_organization(&parts.headers))?;
        parts.extensions.insert(body::Sender::of(access.principal()));
        Ok(Self { access: access.reached_at(host::requested(&parts.uri, &parts.headers)) })
    }
}

/// The same for sources, whose clients may know HTTP Basic only.
pub struct Reporter {
    /// The way in.
    pub access: Access,
}

impl<S> FromRequestParts<S> for Reporter
where
    Arc<Ledger>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let ledger = Arc::<Ledger>::from_ref(state);
        let shown = credentials::whole_key(&parts.headers).or_else(|| credentials::basic(&parts.headers));
        let access = ledger.admit(shown.as_ref(), credentials::named_organization(&parts.headers))?;
        parts.extensions.insert(body::Sender::of(access.principal()));
        Ok(Self { access })
    }
}
