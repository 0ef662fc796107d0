//! Which headers of calls can be kept and passed on.

/// Headers in use by SIP itself, or by the gateway: they are not anybody's own to pass on.
const OWN_HEADERS: [&str; 34] = [
    "Accept",
    "Accept-Encoding",
    "Allow",
    "Authentication-Info",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Expires",
    "From",
    "Max-Forwards",
    "Min-SE",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Path",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Record-Route",
    "Replaces",
    "Require",
    "Route",
    "Session-Expires",
    "Supported",
    "To",
    "User-Agent",
    "Via",
];
/// Most headers that a list may name.
const MOST_HEADERS: usize = 32;

/// The names of headers that a key lists, each once.
///
/// # Errors
/// A sentence that names the key and says what it takes.
pub(super) fn headers(key: &str, names: &[String]) -> Result<Vec<String>, String> {
    let mut read: Vec<String> = Vec::new();
    for name in names {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        // A single letter is the short form of another name.
        if !(2..=64).contains(&name.len()) || !name.bytes().all(is_token) {
            return Err(format!("{key}: {name:?} is no name of a header, such as X-Call-Ref"));
        }
        if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(format!("{key}: {name} is a header of SIP itself and cannot be passed on"));
        }
        if !read.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            read.push(name.clone());
        }
    }
    if read.len() > MOST_HEADERS {
        return Err(format!("{key}: takes at most {MOST_HEADERS} names"));
    }
    Ok(read)
}
