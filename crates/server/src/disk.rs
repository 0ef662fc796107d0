//! How much room a disk has.

use std::{io, path::Path};

/// Bytes that this program may still write to the disk of a folder.
///
/// # Errors
/// When the folder is not there, or may not be looked into.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// A number of bytes as people read it: `12.5 MiB`.
pub fn in_words(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut number = bytes as f64 / 1024.0;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{number:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_folder_is_that_of_its_disk() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(folder.path()).unwrap() > 0);
        assert!(free_bytes(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!(in_words(512), "0.5 KiB");
        assert_eq!(in_words(64 * 1024 * 1024), "64.0 MiB");
        assert_eq!(in_words(u64::MAX), "16777216.0 TiB");
    }
}
