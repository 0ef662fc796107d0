//! The keys that what is kept is sealed with: where they come from. What is sealed, and how, is elsewhere.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use pegcount_sealed::Keys;
use serde::{Deserialize, Serialize};

use super::Hidden;

/// The largest file of keys, in bytes: some thousand keys.
const LARGEST: u64 = 64 * 1024;

/// Encryption at rest: off unless there are keys.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A file of keys, one a line as `pegcount encryption new-key` prints them. The first seals, all of them open.
    pub key_file: PathBuf,
    /// The same keys as a value, with blanks between them: for the environment, `PEGCOUNT_ENCRYPTION__KEYS`.
    pub keys: Hidden,
}

impl Config {
    /// The keys; `None` where encryption is off.
    ///
    /// # Errors
    /// A sentence that names the key of the configuration and says what it takes. No key is in it.
    pub fn keys(&self) -> Result<Option<Keys>, String> {
        let is_file = !self.key_file.as_os_str().is_empty();
        match (is_file, self.keys.reveal()) {
            (false, "") => Ok(None),
            (true, "") => self.read_file().map(Some),
            (false, keys) => {
                let lines: Vec<&str> = keys.split_whitespace().collect();
                Keys::parse(&lines.join("\n")).map(Some).map_err(|error| format!("encryption.keys: {error}"))
            }
            (true, _) => Err("encryption: set key_file or keys, not both".into()),
        }
    }

    fn read_file(&self) -> Result<Keys, String> {
        let told = |error: &dyn std::fmt::Display| {
            format!("encryption.key_file: {}: {error}", self.key_file.display())
        };
        let size = fs::metadata(&self.key_file).map_err(|error| told(&error))?.len();
        if size > LARGEST {
            return Err(told(&"it is larger than any file of keys"));
        }
        let text = fs::read_to_string(&self.key_file).map_err(|error| told(&error))?;
        Keys::parse(&text).map_err(|error| told(&error))
    }

    /// Whether others than the owner and its group can read the keys.
    pub fn is_exposed(&self) -> bool {
        fs::metadata(&self.key_file).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn keys_come_from_a_file_or_from_a_value_and_without_them_nothing_is_sealed() {
        let lines = [Keys::generate().unwrap(), Keys::generate().unwrap()];
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("# 2026\n{}\n{}\n", lines[0], lines[1])).unwrap();
        let path = file.path().display();
        let read_file = config(&format!("key_file = \"{path}\"")).keys().unwrap();
        let from_value = config(&format!("keys = \"{}  {}\"", lines[0], lines[1])).keys().unwrap();
        assert!(read_file.is_some() && read_file == from_value);
        assert_eq!(config("").keys(), Ok(None));
        assert!(config(&format!("key_file = \"{path}\"\nkeys = \"x\"")).keys().is_err());
    }

    #[test]
    fn what_is_wrong_with_keys_is_told_without_them() {
        let refused = |text: &str| config(text).keys().unwrap_err();
        assert!(refused("key_file = \"/nowhere/keys\"").contains("/nowhere/keys"));
        let sentence = refused("keys = \"c2VjcmV0\"");
        assert!(sentence.contains("line 1") && !sentence.contains("c2VjcmV0"), "{sentence}");
        assert!(!format!("{:?}", config("keys = \"c2VjcmV0\"")).contains("c2VjcmV0"));
    }
}
