//! The contract of a store: one suite over every method, run on every engine.
#![expect(clippy::unwrap_used, reason = "what a test is made with may fail loudly too")]

#[path = "contract/audit.rs"]
mod audit;
#[path = "contract/basis.rs"]
mod basis;
#[path = "contract/bench.rs"]
mod bench;
#[path = "contract/calls.rs"]
mod calls;
#[path = "contract/concurrency.rs"]
mod concurrency;
#[path = "contract/damage.rs"]
mod damage;
#[path = "contract/directory.rs"]
mod directory;
#[path = "contract/erasure.rs"]
mod erasure;
#[path = "contract/events.rs"]
mod events;
#[path = "contract/jobs.rs"]
mod jobs;
#[path = "contract/lists.rs"]
mod lists;
#[path = "contract/merges.rs"]
mod merges;
#[path = "contract/privacy.rs"]
mod privacy;
#[path = "contract/registrations.rs"]
mod registrations;
#[path = "contract/rollups.rs"]
mod rollups;
#[path = "contract/sealing.rs"]
mod sealing;
#[path = "contract/search.rs"]
mod search;
#[path = "contract/stats.rs"]
mod stats;
#[path = "contract/upgrade.rs"]
mod upgrade;
#[path = "contract/upkeep.rs"]
mod upkeep;

use pegcount_sealed::Keys;
use pegcount_store::{Result, Store};

/// A place that holds one empty store of some engine.
trait Home {
    /// Opens the store that lies here, once more if it is open.
    fn open(&self) -> Result<Box<dyn Store>>;
    /// Opens the backup that lies there.
    fn open_copy(&self, path: &std::path::Path) -> Result<Box<dyn Store>>;
    /// Whether words are found by how they begin.
    fn finds_beginnings(&self) -> bool;
    /// Makes the store look like a later version's work; gives the schema it then has.
    fn pretend_to_be_newer(&self) -> i64;
}

/// A home of each engine. A new engine is one line here.
fn engines() -> Vec<Box<dyn Home>> {
    vec![Box::new(SqliteHome::new(None)), Box::new(SqliteHome::new(Some(new_key())))]
}

fn new_key() -> Keys {
    Keys::parse(&Keys::generate().unwrap()).unwrap()
}

/// SQLite, in the clear or sealed.
struct SqliteHome {
    folder: tempfile::TempDir,
    keys: Option<Keys>,
}

impl SqliteHome {
    fn new(keys: Option<Keys>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), keys }
    }

    fn path(&self) -> String {
        self.folder.path().join("pegcount.db").to_str().unwrap().to_owned()
    }
}

impl Home for SqliteHome {
    fn open(&self) -> Result<Box<dyn Store>> {
        pegcount_store::open_with(&format!("sqlite:{}", self.path()), self.keys.as_ref())
    }

    fn open_copy(&self, path: &std::path::Path) -> Result<Box<dyn Store>> {
        pegcount_store::open_with(&format!("sqlite:{}", path.display()), self.keys.as_ref())
    }

    fn finds_beginnings(&self) -> bool {
        self.keys.is_none()
    }

    fn pretend_to_be_newer(&self) -> i64 {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.pragma_update(None, "user_version", 9_999).unwrap();
        9_999
    }
}
