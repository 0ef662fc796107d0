//! Which headers of calls can be kept and passed on.

/// Headers that say something between two neighbours: the gateway, which ends each leg, writes or reads them itself. They are those
/// of RFC 3261 (table 2) about the message, its body, its way, the dialog, what each side can and who it is, and of the
/// extensions: 2543, 3262, 3265, 3311, 3323, 3325, 3327, 3329, 3515, 3608, 3891, 3892, 3903, 3911, 4028, 4412, 4488, 4538,
/// 5393, 5626, 5839, 6086, 7614, 8262. What is left passes from one end to the other: Subject, Date, Alert-Info and the like.
const OWN_HEADERS: [&str; 68] = [
    "Accept",
    "Accept-Encoding",
    "Accept-Resource-Priority",
    "Allow",
    "Allow-Events",
    "Authentication-Info",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-ID",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "Event",
    "Expires",
    "Flow-Timer",
    "From",
    "In-Reply-To",
    "Info-Package",
    "Join",
    "MIME-Version",
    "Max-Breadth",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Path",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Reason",
    "Record-Route",
    "Recv-Info",
    "Refer-Events-At",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "Require",
    "Retry-After",
    "Route",
    "SIP-ETag",
    "SIP-If-Match",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Subscription-State",
    "Supported",
    "Suppress-If-Match",
    "Target-Dialog",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "WWW-Authenticate",
    "Warning",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(name: &str) -> bool {
        headers("sip.headers", &[name.to_owned()]).is_ok()
    }

    #[test]
    fn headers_of_the_protocol_cannot_be_named() {
        let names = "Accept Accept-Encoding Allow Authentication-Info Authorization Call-ID Contact Content-Disposition \
                     Content-Encoding Content-Language Content-Length Content-Type CSeq Expires From In-Reply-To \
                     Max-Forwards Min-Expires MIME-Version Proxy-Authenticate Proxy-Authorization Proxy-Require \
                     Record-Route Require Retry-After Route Server Supported Timestamp To Unsupported User-Agent Via \
                     Warning WWW-Authenticate RAck RSeq Session-Expires Min-SE Refer-To Referred-By Replaces Event \
                     Reason Subscription-State Privacy P-Asserted-Identity Target-Dialog";
        for name in names.split_whitespace() {
            assert!(!takes(name) && !takes(&name.to_lowercase()), "{name}");
        }
    }

    #[test]
    fn headers_from_end_to_end_can_be_named() {
        let names = "Accept-Language Alert-Info Call-Info Date Error-Info Organization Priority Reply-To Subject \
                     Diversion History-Info Identity Remote-Party-ID Session-ID User-to-User X-Call-Ref P-Charge-Info";
        for name in names.split_whitespace() {
            assert!(takes(name), "{name}");
        }
        for name in ["x", "X Ref", "X-Ref:", ""] {
            assert!(!takes(name), "{name}");
        }
    }
}
