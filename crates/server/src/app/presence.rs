//! Whether there is a store to work on: looked at before anything is made or locked.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::FIRST_KEY_FILE;
use crate::config::Config;

/// Bytes of the smallest file that holds a store: SQLite takes one of a single byte for empty.
const SMALLEST: u64 = 2;

/// What is found where the configuration says that the store is.
#[derive(Debug, PartialEq, Eq)]
pub enum Presence {
    /// A store, or something that only the engine can judge.
    There,
    /// No store: the sentence names the path and says what to do.
    Missing(String),
    /// The place cannot be looked at: the sentence says why and what to do.
    Unreachable(String),
}

/// Looks for the store. Nothing is made or changed.
pub fn presence(config: &Config) -> Presence {
    let Some(store) = store_file(config) else { return Presence::There };
    match fs::metadata(&store) {
        // An empty file is what a first start leaves that was cut off.
        Ok(found) if found.is_file() && found.len() < SMALLEST => Presence::Missing(missing(config, &store)),
        Ok(_) => Presence::There,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Presence::Missing(missing(config, &store)),
        Err(error) => {
            let folder = store.parent().unwrap_or(&store);
            Presence::Unreachable(format!(
                "{} cannot be read: {error}{}",
                absolute(folder),
                hint(folder, &error)
            ))
        }
    }
}

/// Says what the data folder keeps of a store that is missing, there or elsewhere (a disk that is not mounted, say): the sentence
/// names it and says what to do. `None` where there is a store, or never was one, or where a store elsewhere is to take the
/// place of the folder's own.
pub(super) fn lost(config: &Config) -> Option<String> {
    let store = store_file(config)?;
    let has_content = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() >= SMALLEST);
    if has_content(&store) || has_content(&config.store_path()) {
        return None;
    }
    let has_some = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    let left = [FIRST_KEY_FILE, "recordings"].into_iter().find(|name| {
        let path = config.data.join(name);
        path.is_file() || has_some(&path)
    })?;
    Some(format!(
        "the store {} is missing or empty, but there was one: {} is left of it. Put the file back, or restore a backup",
        absolute(&store),
        absolute(&config.data.join(left))
    ))
}

/// Says whose the store is, if it is another user's: files that this process made beside it would be of no use to its
/// server.
pub fn owned_by_another(config: &Config) -> Option<String> {
    let store = store_file(config)?;
    let whose = whose(&store)?;
    Some(format!("the store {} {whose}", absolute(&store)))
}

/// The file that holds the store; `None` for an engine without one.
fn store_file(config: &Config) -> Option<PathBuf> {
    config.store_elsewhere().or_else(|| config.store.is_empty().then(|| config.store_path()))
}

fn missing(config: &Config, store: &Path) -> String {
    let make = "`pegcount serve` makes a new store, and so does this command with --init";
    if config.store_elsewhere().is_some() {
        return format!("there is no store {}: name the server's with --store; {make}", absolute(store));
    }
    let data = absolute(&config.data);
    if config.data.exists() {
        format!(
            "the data folder {data} holds no store (no {}): name the server's folder with --data; {make}",
            store.file_name().unwrap_or_default().display()
        )
    } else {
        format!("there is no data folder {data}: name the server's with --data; {make}")
    }
}

/// What to do about an error of a path, as far as its owner says.
pub(super) fn hint(path: &Path, error: &io::Error) -> String {
    let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
    whose(path).filter(|_| is_denied).map(|whose| format!(": it {whose}")).unwrap_or_default()
}

/// That a path belongs to another user than the one this runs as, and what to do.
fn whose(path: &Path) -> Option<String> {
    let (owner, own) = (fs::metadata(path).ok()?.uid(), rustix::process::geteuid().as_raw());
    (owner != own).then(|| {
        format!("belongs to user {owner}, and this runs as user {own}: run it as that user (sudo -u '#{owner}' ...)")
    })
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(data: &Path) -> Config {
        Config { data: data.to_owned(), ..Config::default() }
    }

    #[test]
    fn a_folder_without_a_store_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for data in [folder.path().to_owned(), folder.path().join("typo")] {
            let Presence::Missing(sentence) = presence(&at(&data)) else { panic!("{}", data.display()) };
            assert!(sentence.contains(&data.display().to_string()), "{sentence}");
            assert!(sentence.contains("--data") && sentence.contains("--init"), "{sentence}");
        }
        assert!(!folder.path().join("typo").exists());
    }

    #[test]
    fn an_empty_file_is_no_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("pegcount.db");
        for nothing in ["", "S"] {
            fs::write(&store, nothing).unwrap();
            assert!(matches!(presence(&at(folder.path())), Presence::Missing(_)));
        }
        fs::write(&store, "something").unwrap();
        assert_eq!(presence(&at(folder.path())), Presence::There);
    }

    #[test]
    fn a_store_elsewhere_is_looked_for_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("calls.db");
        let config = Config { store: format!("sqlite:{}", store.display()), ..at(folder.path()) };
        let Presence::Missing(sentence) = presence(&config) else { panic!("there is none") };
        assert!(sentence.contains("calls.db") && sentence.contains("--store"), "{sentence}");
        let other = Config { store: "postgres://db".to_owned(), ..config };
        assert_eq!(presence(&other), Presence::There);
    }

    #[test]
    fn a_place_that_is_no_folder_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("file");
        fs::write(&data, "a file").unwrap();
        let Presence::Unreachable(sentence) = presence(&at(&data)) else { panic!("it is a file") };
        assert!(sentence.contains("Not a directory"), "{sentence}");
    }
}
