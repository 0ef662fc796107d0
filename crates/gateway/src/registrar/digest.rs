//! Digest authentication (RFC 2617, 7616 and 8760): what a client says, and what it should have said.

use std::fmt;

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::Credential;

/// A hash that a digest is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Weak, and all that many phones speak.
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    /// The name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// What a header names; MD5 when it names none.
    fn named(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Self::Md5) };
        [Self::Md5, Self::Sha256].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    const fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
        }
    }

    /// The parts with colons between them, hashed, in hexadecimal digits.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => HEXLOWER.encode(&Md5::digest(text.as_bytes())),
            Self::Sha256 => HEXLOWER.encode(&Sha256::digest(text.as_bytes())),
        }
    }
}

/// What is kept of a password: the hash of user, realm and password. It is as good as the password within its realm, so
/// it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    algorithm: Algorithm,
    digits: String,
}

impl Ha1 {
    /// Makes it from a password, which need not be kept.
    pub fn of(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Self {
        Self { algorithm, digits: algorithm.hash(&[user, realm, password]) }
    }

    /// Reads one that was kept; nothing when it is not as many hexadecimal digits as the algorithm makes.
    pub fn from_digits(algorithm: Algorithm, digits: &str) -> Option<Self> {
        let fine =
            digits.len() == algorithm.digits() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        fine.then(|| Self { algorithm, digits: digits.to_ascii_lowercase() })
    }

    /// The hexadecimal digits, to be kept in a safe place.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// What it was made with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ha1({}, ..)", self.algorithm.name())
    }
}

/// What a client says in an Authorization or Proxy-Authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) user: String,
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) uri: String,
    pub(super) algorithm: Algorithm,
    pub(super) count: u32,
    count_digits: String,
    client_nonce: String,
    response: String,
}

impl Claim {
    /// Reads a header's value; nothing when it is not a digest with `qop=auth`, which alone can be guarded against
    /// being sent again.
    pub(super) fn read(value: &str) -> Option<Self> {
        let (scheme, parameters) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let parameters = parameters_of(parameters)?;
        let get = |wanted: &str| {
            parameters
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.as_str())
        };
        let count_digits = get("nc")?;
        let counted = count_digits.len() == 8 && count_digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !counted || !get("qop")?.eq_ignore_ascii_case("auth") {
            return None;
        }
        Some(Self {
            user: get("username")?.to_owned(),
            realm: get("realm")?.to_owned(),
            nonce: get("nonce")?.to_owned(),
            uri: get("uri")?.to_owned(),
            algorithm: Algorithm::named(get("algorithm"))?,
            count: u32::from_str_radix(count_digits, 16).ok()?,
            count_digits: count_digits.to_owned(),
            client_nonce: get("cnonce")?.to_owned(),
            response: get("response")?.to_ascii_lowercase(),
        })
    }

    /// Whether the client knows the password that this was made from. It takes as long when it does as when not.
    pub(super) fn proves(&self, ha1: &Ha1, method: &str) -> Choice {
        self.expected(ha1, method).as_bytes().ct_eq(self.response.as_bytes())
    }

    /// What the response is when the password is this.
    pub(super) fn expected(&self, ha1: &Ha1, method: &str) -> String {
        let request = self.algorithm.hash(&[method, &self.uri]);
        let Self { nonce, count_digits, client_nonce, .. } = self;
        self.algorithm.hash(&[ha1.digits(), nonce, count_digits, client_nonce, "auth", &request])
    }
}

/// The value of the header that proves to a peer that we know a password: `method` and `uri` are those of the request that it
/// challenged. Nothing when it asks in a way that is not known here, or for another realm.
pub(crate) fn proof(
    challenge: &str,
    credential: &Credential,
    (method, uri): (&str, &str),
    client_nonce: &str,
) -> Option<String> {
    let (scheme, parameters) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let parameters = parameters_of(parameters)?;
    let get = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let (realm, nonce) = (get("realm")?, get("nonce")?);
    if credential.realm.as_deref().is_some_and(|wanted| wanted != realm) {
        return None;
    }
    let algorithm = Algorithm::named(get("algorithm"))?;
    let ha1 = Ha1::of(algorithm, &credential.user, realm, &credential.password);
    let request = algorithm.hash(&[method, uri]);
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let (response, way) = match get("qop") {
        // As RFC 2069 had it.
        None => (algorithm.hash(&[ha1.digits(), nonce, &request]), String::new()),
        Some(ways) if ways.split(',').any(|way| way.trim().eq_ignore_ascii_case("auth")) => (
            algorithm.hash(&[ha1.digits(), nonce, "00000001", client_nonce, "auth", &request]),
            format!(",qop=auth,nc=00000001,cnonce=\"{client_nonce}\""),
        ),
        Some(_) => return None,
    };
    let opaque = get("opaque").map(|opaque| format!(",opaque=\"{}\"", quoted(opaque))).unwrap_or_default();
    Some(format!(
        "Digest username=\"{}\",realm=\"{}\",nonce=\"{}\",uri=\"{uri}\",response=\"{response}\",algorithm={}{way}{opaque}",
        quoted(&credential.user),
        quoted(realm),
        quoted(nonce),
        algorithm.name(),
    ))
}

/// `name=value` or `name="value"`, with commas between; nothing when it is written otherwise, or says a thing twice.
fn parameters_of(text: &str) -> Option<Vec<(String, String)>> {
    const MOST: usize = 24;
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (name, after) = (name.trim(), after.trim_start());
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim_end().to_owned(), &after[end..])
            }
        };
        let twice = parameters.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if name.is_empty() || twice || parameters.len() == MOST {
            return None;
        }
        parameters.push((name.to_owned(), value));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(parameters)
}

/// A quoted text whose opening quote is cut off, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        // RFC 7616, 3.9.1.
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let value = format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
                 algorithm={}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\"",
                algorithm.name()
            );
            let claim = Claim::read(&value).expect("a claim");
            let ha1 = Ha1::of(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            assert!(bool::from(claim.proves(&ha1, "GET")));
            assert!(!bool::from(claim.proves(&ha1, "PUT")));
        }
    }

    #[test]
    fn a_challenge_is_answered_so_that_the_answer_proves_the_password() {
        let credential = Credential { user: "us".into(), password: "secret".into(), realm: Some("r".into()) };
        let answer = |challenge: &str| proof(challenge, &credential, ("INVITE", "sip:1@b"), "c");
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let name = algorithm.name();
            let challenge = format!(
                "Digest realm=\"r\", nonce=\"n\", opaque=\"o\", algorithm={name}, qop=\"auth-int,auth\""
            );
            let value = answer(&challenge).unwrap();
            assert!(value.contains(",opaque=\"o\""));
            let claim = Claim::read(&value).unwrap();
            assert!(bool::from(claim.proves(&Ha1::of(algorithm, "us", "r", "secret"), "INVITE")));
            assert!(!bool::from(claim.proves(&Ha1::of(algorithm, "us", "r", "other"), "INVITE")));
        }
        // MD5 of "us:r:secret", "n" and of "INVITE:sip:1@b", as RFC 2069 has it.
        let old = answer("Digest realm=\"r\",nonce=\"n\"").unwrap();
        assert!(!old.contains("qop") && old.contains("response=\""));
        for other in [
            "Basic realm=\"r\"",
            "Digest realm=\"other\",nonce=\"n\"",
            "Digest realm=\"r\",nonce=\"n\",qop=\"auth-int\"",
            "Digest realm=\"r\",nonce=\"n\",algorithm=MD5-sess",
            "Digest realm=\"r\"",
        ] {
            assert_eq!(answer(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_a_digest_is_no_claim() {
        let whole = "Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"sip:r\",response=\"0\",cnonce=\"c\",nc=00000001,qop=auth";
        assert!(Claim::read(whole).is_some());
        for wrong in [
            whole.replace("Digest", "NoOneKnowsThisScheme"),
            whole.replace(",qop=auth", ""),
            whole.replace("auth", "auth-int"),
            whole.replace("nc=00000001", "nc=1"),
            whole.replace("nc=00000001", "nc=+0000001"),
            whole.replace("\"n\"", "\"n"),
            whole.replace("uri=", "username="),
            whole.replace("uri=", "algorithm=SHA-512,uri="),
            String::new(),
        ] {
            assert_eq!(Claim::read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_read_back_and_not_shown() {
        let ha1 = Ha1::of(Algorithm::Md5, "phone", "pegcount", "secret");
        assert_eq!(Ha1::from_digits(Algorithm::Md5, &ha1.digits().to_ascii_uppercase()), Some(ha1.clone()));
        assert_eq!(Ha1::from_digits(Algorithm::Sha256, ha1.digits()), None);
        assert!(!format!("{ha1:?}").contains(ha1.digits()));
    }
}
