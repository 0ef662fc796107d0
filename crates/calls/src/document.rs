//! JSON that is carried, not read.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A JSON value as its text: metadata, context, arguments of tools. Nothing in this crate looks inside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Document(Arc<str>);

impl Document {
    /// Takes a text that the caller knows to be one JSON value.
    pub fn from_json_text(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The JSON text.
    pub fn as_json_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Document {
    /// Says how long it is, not what it says: documents hold personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.0.len())
    }
}
