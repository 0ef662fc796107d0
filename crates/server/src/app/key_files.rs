//! Files of the data folder that hold keys: the first key, and the one that signs links.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use pegcount_calls::OrganizationName;
use pegcount_store::{AccessKey, OrganizationNumber, Store};

use super::cannot_start;
use crate::{
    auth::{self, NewKey, Scopes},
    clock::Clock,
    config::Config,
    operations::chain,
};

/// Where the first key is written.
pub const FIRST_KEY_FILE: &str = "first-key";
/// What signs links.
const LINK_KEY_FILE: &str = "link-key";
/// The organization that the first start makes (contract, cli.md).
const FIRST_ORGANIZATION: &str = "org_default";

/// How files are made that nobody else may read.
pub(super) fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes the first organization and its key, unless there is an organization. The organization comes last: once it is there nothing of this is ever done
/// again, even if every key is revoked; a start that was cut off before is taken up by the next. Comes after everything
/// that a setting can make fail, so that a failed start leaves no key that was never shown.
pub(super) async fn first_key(
    store: &dyn Store,
    config: &Config,
    clock: &Clock,
) -> Result<Option<String>, String> {
    let organizations = store.organizations().await.map_err(|error| cannot_start(&error))?;
    // Those that cannot be read are told of now, at every start.
    let left_over = store.keys().await.map_err(|error| cannot_start(&error))?;
    if !organizations.is_empty() {
        return Ok(None);
    }
    for key in left_over {
        store.revoke_key(&key.id).await.map_err(|error| chain(&error))?;
    }
    let number = OrganizationNumber(1);
    let key = NewKey::generate(number, Scopes::all(), Some("first key".into()), clock.now())
        .map_err(|error| format!("no key can be made: {error}"))?;
    let path = config.data.join(FIRST_KEY_FILE);
    write_private(&path, key.whole().as_bytes())?;
    store.create_key(&key.stored).await.map_err(|error| chain(&error))?;
    let id = OrganizationName::new(FIRST_ORGANIZATION).map_err(|error| error.to_string())?;
    store.create_organization(&id, Some(number), None).await.map_err(|error| chain(&error))?;
    Ok(Some(key.whole()))
}

/// The id of the key in the file of the first key, if that is there and holds one.
pub fn kept_first_key(data: &Path) -> Option<String> {
    let kept = fs::read_to_string(data.join(FIRST_KEY_FILE)).ok()?;
    auth::split_whole(kept.trim()).map(|(id, _)| id.to_owned())
}

/// Removes the file of the first key once that key was revoked, or rotated and has expired: somebody would try it.
pub(super) fn remove_dead_first_key(data: &Path, keys: &[AccessKey]) {
    let Some(id) = kept_first_key(data).filter(|id| !keys.iter().any(|key| key.id == *id)) else { return };
    let path = data.join(FIRST_KEY_FILE);
    match fs::remove_file(&path) {
        Ok(()) => tracing::info!("removed {}: its key {id} works no longer", path.display()),
        Err(error) => tracing::warn!(%error, "{} holds the key {id}, which works no longer", path.display()),
    }
}

fn write_private(path: &Path, content: &[u8]) -> Result<(), String> {
    let written = private()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// The key that signs links, and whether it was made now.
pub(super) fn link_key(data: &Path) -> Result<([u8; 32], bool), String> {
    let path = data.join(LINK_KEY_FILE);
    if let Ok(kept) = fs::read(&path)
        && let Ok(key) = kept.try_into()
    {
        return Ok((key, false));
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| format!("no key can be made: {error}"))?;
    write_private(&path, &key)?;
    Ok((key, true))
}

/// Says that links which were handed out lead nowhere.
pub(super) fn warn_of_new_link_key(data: &Path) {
    tracing::warn!(
        "{} was missing or damaged and has been made anew: links to recordings and logs that were handed out before lead \
         nowhere. Bring the file back from a backup and restart to have them back",
        data.join(LINK_KEY_FILE).display()
    );
}
