//! Files that are no plain text: compressed ones, and text in UTF-16.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::Path,
};

/// How many bytes at the start of a file show how it is encoded.
const START: u64 = 8;

/// Opens a file to be read from its start, which is given too.
pub(super) fn open(file: &Path) -> io::Result<(Vec<u8>, impl Read + Send + use<>)> {
    let mut opened = File::open(file)?;
    let mut start = Vec::new();
    opened.by_ref().take(START).read_to_end(&mut start)?;
    let whole = Cursor::new(start.clone()).chain(opened);
    Ok((start, whole))
}

/// Compressed formats: how their files begin, and the command that decompresses them to standard output.
const COMPRESSED: [(&[u8], &str, &str); 5] = [
    (b"\x1f\x8b", "gzip", "gzip -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"\xfd7zXZ\0", "xz", "xz -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
];

/// Why a file that begins so cannot be imported, and how to make text of it. `None` if it may be text.
pub(super) fn refusal(start: &[u8], file: &Path) -> Option<String> {
    let file = file.display();
    if let Some((_, format, command)) = COMPRESSED.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return Some(format!(
            "the file is compressed ({format}): decompress it, as by `{command} '{file}' > plain`, and import plain"
        ));
    }
    let encoding = match start {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "UTF-32",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
        [1..=255, 0, 1..=255, 0, ..] => "UTF-16LE",
        [0, 1..=255, 0, 1..=255, ..] => "UTF-16BE",
        _ => return None,
    };
    Some(format!(
        "the file is in {encoding}: convert it to UTF-8, as by `iconv -f {encoding} -t UTF-8 '{file}' > plain`, and \
         import plain"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_files_and_other_encodings_are_recognized() {
        let cases: [(&[u8], &str); 12] = [
            (b"\x1f\x8b\x08\x00", "gzip -dc 'a.csv'"),
            (b"BZh9", "bzip2 -dc"),
            (b"\xfd7zXZ\0\0", "xz -dc"),
            (b"\x28\xb5\x2f\xfd", "zstd -dc"),
            (b"PK\x03\x04", "unzip -p"),
            (b"\xff\xfe\"\0", "iconv -f UTF-16 -t UTF-8 'a.csv'"),
            (b"\xfe\xff\0\"", "iconv -f UTF-16 "),
            (b"\xff\xfe\0\0", "iconv -f UTF-32 "),
            (b"\"\0a\0", "iconv -f UTF-16LE "),
            (b"\0\"\0a", "iconv -f UTF-16BE "),
            (b"\x1f\x8b", "gzip"),
            (b"\xff\xfe", "UTF-16"),
        ];
        for (start, expected) in cases {
            let message = refusal(start, Path::new("a.csv")).unwrap_or_default();
            assert!(message.contains(expected), "{start:?}: {message}");
        }
        for start in [&b""[..], b"{", b"\"\"", b"\xef\xbb\xbf\"", b"M\xfcller", b"\0\0\0\0", b"1\0"] {
            assert_eq!(refusal(start, Path::new("a.csv")), None, "{start:?}");
        }
    }
}
