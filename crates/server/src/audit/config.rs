//! What the audit log can be told.

use serde::{Deserialize, Serialize};

/// What is noted, and for how long.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether reads of calls and recordings are noted; what was erased and changed always is.
    pub reads: bool,
    /// Days until an entry is taken away; 0: never.
    pub keep_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { reads: true, keep_days: 0 }
    }
}
