//! Header values, in which quotes and angle brackets hide separators (RFC 3261, 25.1).

use memchr::memmem;

/// Whether this is a blank within a line.
pub(crate) fn blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// RFC 3261, 25.1.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// How many bytes the quoted text at the begin has, quotes included; all when it does not end.
pub(crate) fn quoted_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The lines of a head, whose ends are CRLF; a lone CR or LF is a part of its line.
pub(crate) fn lines(head: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let text = rest?;
        let ends = |at: &usize| text.as_bytes().get(at.wrapping_sub(1)) == Some(&b'\r');
        let (line, after) = match memchr::memchr_iter(b'\n', text.as_bytes()).find(ends) {
            Some(end) => (&text[..end - 1], Some(&text[end + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(line)
    })
}

/// Where the empty line begins that ends a head.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n")
}

/// The parts between separators that stand neither in quotes nor in angle brackets; nothing when those do not close.
pub(crate) fn split_outside(text: &str, separator: char) -> Option<Vec<&str>> {
    let Ok(separator) = u8::try_from(separator) else { return Some(vec![text]) };
    // Most values have neither, and few separators.
    if memchr::memchr3(b'"', b'<', b'>', text.as_bytes()).is_none() {
        return Some(text.split(char::from(separator)).collect());
    }
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut quoted, mut angled, mut escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angled => quoted = !quoted,
            _ if quoted => {}
            b'<' if angled => return None,
            b'<' => angled = true,
            b'>' if !angled => return None,
            b'>' => angled = false,
            _ if byte == separator && !angled => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if quoted || angled {
        return None;
    }
    parts.push(&text[begin..]);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_end_where_both_ends_stand(text in "[a\r\n]{0,12}") {
            prop_assert_eq!(lines(&text).collect::<Vec<_>>(), text.split("\r\n").collect::<Vec<_>>());
        }
    }
}
