//! The variable parts of a path.

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// Ids of a path. What is no text after decoding names nothing, and that is said in the native form.
pub struct Path<T>(pub T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|extract::Path(ids)| Self(ids)).map_err(|_| Failure::no_route())
    }
}
