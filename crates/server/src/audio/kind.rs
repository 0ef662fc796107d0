//! What a file is that is no sound, told by how it begins.

/// As much of a file as says what it is.
pub(super) const HEAD: usize = 512;

/// What a file is that begins so; `None` where it may be sound.
pub(super) fn of_other(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    if begins(b"<!doctype html") || begins(b"<html") || begins(b"<head") || begins(b"<body") {
        return Some("it is an HTML page");
    }
    match text.first() {
        Some(b'<') => return Some("it is XML"),
        Some(b'{' | b'[') => return Some("it is JSON"),
        _ => {}
    }
    for (begin, kind) in [
        (&b"PK\x03\x04"[..], "it is a ZIP archive"),
        (b"\x1f\x8b", "it is compressed (gzip)"),
        (b"%PDF", "it is a PDF"),
        (b"\x89PNG", "it is a picture"),
        (b"\xff\xd8\xff", "it is a picture"),
        (b"#!AMR", "it is AMR"),
        (b"\x1a\x45\xdf\xa3", "it is WebM or Matroska"),
    ] {
        if head.starts_with(begin) {
            return Some(kind);
        }
    }
    None
}

/// What to call a file that begins so, and that nothing can be made of.
pub(super) fn of_unknown(head: &[u8]) -> &'static str {
    let is_text = head.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e));
    if is_text { "it is a text" } else { "it is nothing that is known, or damaged from its beginning" }
}
