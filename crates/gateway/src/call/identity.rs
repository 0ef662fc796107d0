//! Who calls: read from an INVITE, and shown to who is called.

use std::net::SocketAddr;

use crate::{
    Attestation, AttestationLevel, CallerIdentity, Disclosure, Diversion, Who,
    quoting::split_outside,
    sip::{Header, Message, Uri, display_name, escaped_user, parameter_of, uri_of},
};

/// Most forwardings that are reported of one call.
const MOST_DIVERSIONS: usize = 10;
/// Bytes of the headers that a plan names; one that does not fit any more is left out.
const HEADER_BYTES: usize = 8 * 1024;
/// Headers that name people. Those of a private call stay within the trust domain, even where the plan names them.
const NAMING: [&str; 13] = [
    "Call-Info",
    "Geolocation",
    "Identity",
    "P-Associated-URI",
    "P-Called-Party-ID",
    "P-Charge-Info",
    "Reply-To",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "History-Info",
    "Referred-By",
];
/// Headers in which a network says who is in a call. A user has no say in them.
const OF_NETWORKS: [&str; 12] = [
    "Attestation-Info",
    "Diversion",
    "History-Info",
    "Identity",
    "Origination-Id",
    "P-Asserted-Identity",
    "P-Associated-URI",
    "P-Attestation-Indicator",
    "P-Called-Party-ID",
    "P-Charge-Info",
    "P-Origination-ID",
    "Remote-Party-ID",
];
/// Headers that tell who forwarded a call.
const FORWARDING: [&str; 2] = ["Diversion", "History-Info"];
/// From of who is not to be known (RFC 3323, 4.1.1.3).
const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// What an INVITE says of who calls. `called` is the number it asks for.
pub(super) fn identity(invite: &Message, who: &Who, called: &str) -> CallerIdentity {
    let from = invite.header("From").unwrap_or_default();
    let mut identity = CallerIdentity {
        name: display_name(from),
        is_private: is_private(invite, from),
        hides_forwarding: hides_forwarding(invite),
        ..CallerIdentity::default()
    };
    if matches!(who, Who::Trunk(_)) {
        identity.asserted_number = asserted_number(invite);
        identity.diversions = diversions(invite, called);
        identity.attestation = attestation(invite, from);
    }
    identity
}

/// The headers of an INVITE that a plan names; of a user's not those in which a network speaks.
pub(super) fn named_headers(invite: &Message, who: &Who, names: &[String]) -> Vec<(String, String)> {
    let may_say = |name: &&String| matches!(who, Who::Trunk(_)) || !is_among(&OF_NETWORKS, name);
    let mut room = HEADER_BYTES;
    let value = |name: &String| {
        let value = invite.headers(name).collect::<Vec<_>>().join(", ");
        let bytes = name.len() + value.len();
        if value.is_empty() || bytes > room {
            return None;
        }
        room -= bytes;
        Some((name.clone(), value))
    };
    names.iter().filter(may_say).filter_map(value).collect()
}

fn is_among(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The values of a header that is a list.
fn values<'a>(invite: &'a Message, name: &'a str) -> impl Iterator<Item = &'a str> {
    invite.headers(name).flat_map(|value| split_outside(value, ',').unwrap_or_default()).map(str::trim)
}

/// Whether a Privacy asks for one of these.
fn wants(privacy: &str, wishes: &[&str]) -> bool {
    privacy.split([';', ',']).any(|named| is_among(wishes, named.trim()))
}

/// Whether the `privacy` of a Diversion (RFC 5806) or a Remote-Party-ID hides whom it names, wholly or in part.
fn hides(value: &str) -> bool {
    parameter_of(value, "privacy").is_some_and(|wish| wants(wish.trim_matches('"'), &["full", "uri", "name"]))
}

/// Whether who forwarded the call is to be hidden: by Privacy, also in an entry (RFC 7044, 10.1), or by the Diversion itself.
fn hides_forwarding(invite: &Message) -> bool {
    let wishes = ["history", "header", "session"];
    let in_entry = |entry: &str| {
        let uri = Uri::read(uri_of(entry));
        uri.and_then(|uri| uri.header("Privacy")).is_some_and(|privacy| wants(&privacy, &wishes))
    };
    invite.headers("Privacy").any(|privacy| wants(privacy, &wishes))
        || values(invite, "Diversion").any(hides)
        || values(invite, "History-Info").any(in_entry)
}

fn is_private(invite: &Message, from: &str) -> bool {
    if invite.headers("Privacy").any(|privacy| wants(privacy, &["none"])) {
        return false;
    }
    let is_anonymous = Uri::read(uri_of(from)).is_some_and(|uri| {
        uri.user_part().name.eq_ignore_ascii_case("anonymous")
            || uri.host.eq_ignore_ascii_case("anonymous.invalid")
    });
    // What came before RFC 3325 names the caller, where it does not say otherwise.
    let is_caller =
        |value: &&str| parameter_of(value, "party").is_none_or(|party| party.eq_ignore_ascii_case("calling"));
    is_anonymous
        || invite.headers("Privacy").any(|privacy| wants(privacy, &["id", "user", "header"]))
        || values(invite, "Remote-Party-ID").filter(is_caller).any(hides)
}

fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix('+').unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number in P-Asserted-Identity, which may hold a name beside it (RFC 3325, 9.1).
fn asserted_number(invite: &Message) -> Option<String> {
    let uris = values(invite, "P-Asserted-Identity").filter_map(|value| Uri::read(uri_of(value)));
    let names: Vec<_> = uris.map(|uri| uri.user_part().name).filter(|name| !name.is_empty()).collect();
    let chosen = names.iter().find(|name| is_number(name)).or(names.first());
    chosen.map(ToString::to_string)
}

/// Who forwarded the call: those that Diversion names, then those that History-Info names besides.
fn diversions(invite: &Message, called: &str) -> Vec<Diversion> {
    let named = values(invite, "Diversion").filter_map(|value| {
        let reason = parameter_of(value, "reason").map(str::to_owned);
        Some(Diversion { number: number_of(value)?, reason })
    });
    let mut all: Vec<Diversion> = named.collect();
    for diversion in history(invite, called) {
        if !all.iter().any(|known| known.number == diversion.number) {
            all.push(diversion);
        }
    }
    all.truncate(MOST_DIVERSIONS);
    all
}

fn number_of(value: &str) -> Option<String> {
    let name = Uri::read(uri_of(value))?.user_part().name.into_owned();
    (!name.is_empty()).then_some(name)
}

/// The targets of History-Info (RFC 7044) that the call was forwarded from, the latest first. The reason stands in the
/// entry itself (Reason) or in the one after it (`cause`, RFC 4458). An entry without a reason counts when it names another
/// number than the one that is called.
fn history(invite: &Message, called: &str) -> Vec<Diversion> {
    let entries: Vec<&str> = values(invite, "History-Info").collect();
    let forwarded = entries.iter().enumerate().filter_map(|(place, entry)| {
        let uri = Uri::read(uri_of(entry))?;
        let number = number_of(entry)?;
        let own = uri.header("Reason").and_then(|reason| reason_of_response(&reason));
        let next = || entries.get(place + 1).and_then(|next| Uri::read(uri_of(next)));
        let reason = own.or_else(|| reason_of_cause(next()?.parameter("cause")?));
        (reason.is_some() || (is_number(&number) && number != called))
            .then(|| Diversion { number, reason: reason.map(str::to_owned) })
    });
    let mut diversions: Vec<Diversion> = forwarded.collect();
    diversions.reverse();
    diversions
}

/// A `cause` of RFC 4458 in the words of RFC 5806 (RFC 7544, 3.2).
fn reason_of_cause(cause: &str) -> Option<&'static str> {
    Some(match cause {
        "302" => "unconditional",
        "404" => "unknown",
        "408" => "no-answer",
        "480" | "487" => "deflection",
        "486" => "user-busy",
        "503" => "unavailable",
        _ => return None,
    })
}

/// The response that a Reason names (RFC 3326), in the words of RFC 5806.
fn reason_of_response(reason: &str) -> Option<&'static str> {
    let mut parts = reason.split(';').map(str::trim);
    let is_sip = parts.next()?.eq_ignore_ascii_case("SIP");
    let cause = parts.find_map(|part| part.strip_prefix("cause="))?;
    Some(match cause.trim() {
        _ if !is_sip => return None,
        "302" => "unconditional",
        "408" | "480" => "no-answer",
        "486" | "600" => "user-busy",
        "503" => "unavailable",
        _ => "unknown",
    })
}

/// What the network found: `verstat` of the asserted number or of From, and the level that a header names.
fn attestation(invite: &Message, from: &str) -> Option<Attestation> {
    let asserted = values(invite, "P-Asserted-Identity");
    let found = asserted.chain([from]).find_map(|value| {
        let uri = Uri::read(uri_of(value))?;
        uri.user_part().parameter("verstat").or_else(|| uri.parameter("verstat")).map(str::to_owned)
    });
    let level = |text: &str| match text.trim().trim_matches('"') {
        "A" | "a" => Some(AttestationLevel::A),
        "B" | "b" => Some(AttestationLevel::B),
        "C" | "c" => Some(AttestationLevel::C),
        _ => None,
    };
    // 3GPP TS 24.229, 7.2.18, and the name before it.
    let named = ["Attestation-Info", "P-Attestation-Indicator"];
    let named = named.into_iter().find_map(|name| level(invite.header(name)?));
    let said = found.as_deref().unwrap_or_default().to_ascii_lowercase();
    let suffix = || found.as_deref().and_then(|found| level(found.rsplit_once('-')?.1));
    let passed = match &said {
        said if said.starts_with("tn-validation-passed") => Some(true),
        said if said.starts_with("tn-validation-failed") => Some(false),
        _ => None,
    };
    let level = named.or_else(suffix);
    (level.is_some() || found.is_some()).then_some(Attestation { level, passed, reason: found })
}

/// How a number of ours, as a URI, is shown to a carrier: From without a tag, and further headers.
pub(super) fn shown_to_carrier(
    caller: &str,
    hides_caller: bool,
    disclosure: Disclosure,
) -> (String, Vec<Header>) {
    let address = format!("<{caller}>");
    let mut headers = Vec::new();
    if disclosure == Disclosure::Everything {
        headers.push(Header::new("P-Asserted-Identity", address.clone()));
    }
    if hides_caller {
        headers.push(Header::new("Privacy", "id"));
    }
    (if hides_caller { ANONYMOUS.to_owned() } else { address }, headers)
}

/// How who calls is shown to a target: From without a tag, and further headers. `from` is the number or name in the From
/// that came, `at` the address that the target knows us by.
pub(super) fn shown(
    identity: &CallerIdentity,
    from: &str,
    disclosure: Disclosure,
    at: SocketAddr,
) -> (String, Vec<Header>) {
    let hides = identity.is_private && disclosure != Disclosure::Everything;
    let address = match &identity.name {
        _ if hides => ANONYMOUS.to_owned(),
        // Without a user there is nothing before the host (RFC 3261, 25.1).
        _ if from.is_empty() => format!("<sip:{at}>"),
        Some(name) => format!("\"{}\" <sip:{}@{at}>", quoted(name), escaped_user(from)),
        None => format!("<sip:{}@{at}>", escaped_user(from)),
    };
    let mut headers = Vec::new();
    if disclosure == Disclosure::Nothing {
        return (address, headers);
    }
    if let Some(number) = identity.asserted_number.as_ref().filter(|_| !hides) {
        let phone = if is_number(number) { ";user=phone" } else { "" };
        let value = format!("<sip:{}@{at}{phone}>", escaped_user(number));
        headers.push(Header::new("P-Asserted-Identity", value));
    }
    let wishes = [("id", identity.is_private && !hides), ("history", identity.hides_forwarding)];
    let wishes = wishes.map(|(wish, is_wanted)| is_wanted.then_some(wish));
    let wishes: Vec<&str> = wishes.into_iter().flatten().collect();
    if disclosure == Disclosure::Everything && !wishes.is_empty() {
        headers.push(Header::new("Privacy", wishes.join(";")));
    }
    let hides_forwarding = identity.hides_forwarding && disclosure != Disclosure::Everything;
    let passes = |(name, _): &&(String, String)| {
        !(hides && is_among(&NAMING, name) || hides_forwarding && is_among(&FORWARDING, name))
    };
    headers
        .extend(identity.headers.iter().filter(passes).map(|(name, value)| Header::new(name.clone(), value)));
    (address, headers)
}

/// A text as it may stand in quotes (RFC 3261, 25.1).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(headers: &str) -> Message {
        let text = format!(
            "INVITE sip:+15550100@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nTo: <sip:+15550100@h>\r\n\
             Call-ID: x\r\nCSeq: 1 INVITE\r\n{headers}\r\n"
        );
        Message::read(text.into()).unwrap()
    }

    fn of_trunk(headers: &str) -> CallerIdentity {
        identity(&invite(headers), &Who::Trunk("carrier".into()), "+15550100")
    }

    const fn user() -> Who {
        Who::User(String::new())
    }

    const ANONYMOUS_CALL: &str = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\nPrivacy: id\r\n\
        P-Asserted-Identity: \"Ann\" <sip:ann@h>, <tel:+1-555-9999>\r\n";

    #[test]
    fn only_trunks_vouch_for_numbers() {
        let anonymous = of_trunk(ANONYMOUS_CALL);
        assert_eq!(anonymous.asserted_number.as_deref(), Some("+15559999"));
        assert!(anonymous.is_private);
        let claims = format!("{ANONYMOUS_CALL}Diversion: <sip:+15550199@h>\r\nAttestation-Info: A\r\n");
        let claimed = identity(&invite(&claims), &Who::User("alice".into()), "+15550100");
        let expected =
            CallerIdentity { name: Some("Anonymous".into()), is_private: true, ..CallerIdentity::default() };
        assert_eq!(claimed, expected);
    }

    #[test]
    fn who_calls_is_private_when_it_says_so() {
        for (headers, private) in [
            ("From: <sip:+1@h>;tag=1\r\n", false),
            ("From: <sip:+1@h>;tag=1\r\nPrivacy: critical; ID\r\n", true),
            ("From: <sip:+1@h>;tag=1\r\nPrivacy: user\r\n", true),
            ("From: <sip:+1@h>;tag=1\r\nPrivacy: history;session\r\n", false),
            ("From: <sip:Anonymous@h>;tag=1\r\n", true),
            ("From: <sip:x@anonymous.invalid>;tag=1\r\nPrivacy: none\r\n", false),
            ("From: <sip:unavailable@unknown.invalid>;tag=1\r\n", false),
            ("From: <sip:+1@h>;tag=1\r\nRemote-Party-ID: <sip:+1@h>;party=calling;privacy=full\r\n", true),
            ("From: <sip:+1@h>;tag=1\r\nRemote-Party-ID: <sip:+1@h>;privacy=\"uri\"\r\n", true),
            ("From: <sip:+1@h>;tag=1\r\nRemote-Party-ID: <sip:+1@h>;party=calling;privacy=off\r\n", false),
            ("From: <sip:+1@h>;tag=1\r\nRemote-Party-ID: <sip:+2@h>;party=called;privacy=full\r\n", false),
            (
                "From: <sip:+1@h>;tag=1\r\nPrivacy: none\r\nRemote-Party-ID: <sip:+1@h>;privacy=full\r\n",
                false,
            ),
            ("From: <sip:+1@h>;tag=1\r\nDiversion: <sip:+2@h>;privacy=full\r\n", false),
        ] {
            assert_eq!(of_trunk(headers).is_private, private, "{headers}");
        }
    }

    #[test]
    fn who_forwarded_the_call_is_hidden_when_it_says_so() {
        let at = "192.0.2.1:5060".parse().unwrap();
        let names = ["Diversion", "History-Info", "X-Ref"].map(str::to_owned);
        for (headers, hidden) in [
            ("Diversion: <sip:+2@h>;reason=no-answer;privacy=full\r\n", true),
            ("Diversion: <sip:+2@h>;privacy=off\r\n", false),
            ("Diversion: <sip:+2@h>\r\nPrivacy: history\r\n", true),
            ("History-Info: <sip:+2@h?Privacy=history>;index=1\r\n", true),
            ("History-Info: <sip:+2@h>;index=1\r\n", false),
        ] {
            let invite = invite(&format!("From: <sip:+1@h>;tag=1\r\nX-Ref: 1\r\n{headers}"));
            let trunk = Who::Trunk("carrier".into());
            let mut identity = identity(&invite, &trunk, "+15550100");
            assert!(!identity.is_private && identity.diversions.len() == 1, "{headers}");
            identity.headers = named_headers(&invite, &trunk, &names);
            let told = |disclosure| {
                let (address, headers) = shown(&identity, "+1", disclosure, at);
                assert_eq!(address, "<sip:+1@192.0.2.1:5060>");
                headers.iter().any(|header| FORWARDING.contains(&&*header.name))
            };
            assert_eq!(told(Disclosure::Public), !hidden, "{headers}");
            assert!(told(Disclosure::Everything));
            let (_, all) = shown(&identity, "+1", Disclosure::Everything, at);
            let privacy = all.iter().find(|header| header.name == "Privacy").map(|header| &*header.value);
            assert_eq!(privacy, hidden.then_some("history"), "{headers}");
        }
    }

    #[test]
    fn what_networks_say_is_taken_from_trunks_only() {
        let said: String = OF_NETWORKS.iter().map(|name| format!("{name}: <sip:+1@h>\r\n")).collect();
        let invite = invite(&format!("From: <sip:+1@h>;tag=1\r\n{said}X-Ref: 1\r\n"));
        let names: Vec<String> =
            OF_NETWORKS.iter().chain(&["x-ref"]).map(|name| name.to_lowercase()).collect();
        assert_eq!(named_headers(&invite, &user(), &names), [("x-ref".to_owned(), "1".to_owned())]);
        assert_eq!(named_headers(&invite, &Who::Trunk("carrier".into()), &names).len(), names.len());
    }

    #[test]
    fn a_private_number_of_ours_is_told_to_a_trusted_carrier_only() {
        let told = |hides_caller, disclosure| {
            let (address, headers) = shown_to_carrier("sip:+15550100@carrier", hides_caller, disclosure);
            let lines = headers.iter().map(|header| format!("{}: {}", header.name, header.value));
            (address, lines.collect::<Vec<_>>().join("; "))
        };
        let open = || "<sip:+15550100@carrier>".to_owned();
        let asserted = "P-Asserted-Identity: <sip:+15550100@carrier>";
        assert_eq!(told(false, Disclosure::Nothing), (open(), String::new()));
        assert_eq!(told(false, Disclosure::Everything), (open(), asserted.to_owned()));
        assert_eq!(told(true, Disclosure::Nothing), (ANONYMOUS.to_owned(), "Privacy: id".to_owned()));
        let both = format!("{asserted}; Privacy: id");
        assert_eq!(told(true, Disclosure::Everything), (ANONYMOUS.to_owned(), both));
    }

    #[test]
    fn forwardings_are_read_with_the_latest_first() {
        let read = |headers: &str| -> Vec<(String, Option<String>)> {
            let diversions = of_trunk(&format!("From: <sip:+1@h>;tag=1\r\n{headers}")).diversions;
            diversions.into_iter().map(|one| (one.number, one.reason)).collect()
        };
        let one = |number: &str, reason: &str| (number.to_owned(), Some(reason.to_owned()));
        let diverted = "Diversion: <sip:+15550199;npdi@h>;reason=user-busy;counter=1, \"B\" <tel:+15550188>;reason=\"no-answer\"\r\n";
        assert_eq!(read(diverted), [one("+15550199", "user-busy"), one("+15550188", "no-answer")]);
        let history = "History-Info: <sip:+15550177@h?Reason=SIP%3Bcause%3D486>;index=1,\r\n \
                       <sip:+15550188@h;cause=486>;index=1.1, <sip:+15550100@h;cause=408>;index=1.1.1\r\n"
            .replace("\r\n ", " ");
        assert_eq!(read(&history), [one("+15550188", "no-answer"), one("+15550177", "user-busy")]);
        // Both may name the same.
        assert_eq!(
            read(&format!("{diverted}{history}")),
            [one("+15550199", "user-busy"), one("+15550188", "no-answer"), one("+15550177", "user-busy")]
        );
        let silent = "History-Info: <sip:+15550177@h>;index=1, <sip:+15550100@h>;index=1.1\r\n";
        assert_eq!(read(silent), [("+15550177".to_owned(), None)]);
        assert_eq!(read("History-Info: <sip:+15550100@h>;index=1, <sip:agent@h>;index=1.1\r\n"), []);
    }

    #[test]
    fn the_verdict_of_the_network_is_read() {
        let read = |headers: &str| of_trunk(headers).attestation;
        let from = |verstat: &str| format!("From: <sip:+1;verstat={verstat}@h;user=phone>;tag=1\r\n");
        let found = |level, passed, reason: &str| {
            Some(Attestation { level, passed, reason: Some(reason.to_owned()) })
        };
        let passed = "TN-Validation-Passed";
        assert_eq!(read(&from(passed)), found(None, Some(true), passed));
        let failed = "TN-Validation-Failed-B";
        assert_eq!(read(&from(failed)), found(Some(AttestationLevel::B), Some(false), failed));
        assert_eq!(read(&from("No-TN-Validation")), found(None, None, "No-TN-Validation"));
        let indicated = format!("{}P-Attestation-Indicator: A\r\n", from(passed));
        assert_eq!(read(&indicated), found(Some(AttestationLevel::A), Some(true), passed));
        let asserted =
            "From: <sip:x@h>;tag=1\r\nP-Asserted-Identity: <tel:+1;verstat=TN-Validation-Passed>\r\n";
        assert_eq!(read(asserted), found(None, Some(true), passed));
        assert_eq!(read("From: <sip:+1@h>;tag=1\r\n"), None);
    }

    #[test]
    fn named_headers_are_taken_while_there_is_room() {
        let long = "x".repeat(HEADER_BYTES);
        let headers = format!(
            "X-Ref: 1\r\nx-ref: 2\r\nX-Long: {long}\r\nUser-to-User: 56;encoding=hex\r\nX-Other: no\r\n"
        );
        let names = ["X-REF", "X-Long", "X-None", "User-to-User"].map(str::to_owned);
        let expected = [("X-REF", "1, 2"), ("User-to-User", "56;encoding=hex")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(named_headers(&invite(&headers), &user(), &names), expected);
    }

    #[test]
    fn a_private_number_stays_in_the_trust_domain() {
        let at = "192.0.2.1:5060".parse().unwrap();
        let mut private = of_trunk(ANONYMOUS_CALL);
        private.headers = vec![("X-Ref".into(), "1".into()), ("diversion".into(), "<sip:+1@h>".into())];
        let of = |identity: &CallerIdentity, from: &str, disclosure| {
            let (address, headers) = shown(identity, from, disclosure, at);
            let lines = headers.iter().map(|header| format!("{}: {}", header.name, header.value));
            (address, lines.collect::<Vec<_>>())
        };
        let (address, headers) = of(&private, "anonymous", Disclosure::Public);
        assert_eq!((address.as_str(), &headers[..]), (ANONYMOUS, &["X-Ref: 1".to_owned()][..]));
        let (address, headers) = of(&private, "anonymous", Disclosure::Everything);
        assert_eq!(address, "\"Anonymous\" <sip:anonymous@192.0.2.1:5060>");
        assert_eq!(
            headers,
            [
                "P-Asserted-Identity: <sip:+15559999@192.0.2.1:5060;user=phone>",
                "Privacy: id",
                "X-Ref: 1",
                "diversion: <sip:+1@h>"
            ]
        );
        let open = CallerIdentity {
            name: Some("A \"B\"".into()),
            asserted_number: Some("+15559999".into()),
            ..CallerIdentity::default()
        };
        let (address, headers) = of(&open, "a;b", Disclosure::Public);
        assert_eq!(address, "\"A \\\"B\\\"\" <sip:a%3Bb@192.0.2.1:5060>");
        assert_eq!(headers, ["P-Asserted-Identity: <sip:+15559999@192.0.2.1:5060;user=phone>"]);
        assert_eq!(of(&open, "", Disclosure::Nothing), ("<sip:192.0.2.1:5060>".to_owned(), Vec::new()));
    }
}
