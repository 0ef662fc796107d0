//! Header values, in which quotes and angle brackets hide separators (RFC 3261, 25.1).

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

/// The parts between separators that stand neither in quotes nor in angle brackets; nothing when those do not close.
pub(crate) fn split_outside(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut quoted, mut angled, mut escaped) = (false, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !angled => quoted = !quoted,
            _ if quoted => {}
            '<' if angled => return None,
            '<' => angled = true,
            '>' if !angled => return None,
            '>' => angled = false,
            _ if character == separator && !angled => {
                parts.push(&text[begin..at]);
                begin = at + separator.len_utf8();
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
