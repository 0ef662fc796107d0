use std::path::Path;

use super::*;

/// The configuration of `[sip]` with this in it.
fn config(text: &str) -> Config {
    toml::from_str(text).expect("a configuration")
}

fn settings(text: &str) -> Result<Option<Settings>, String> {
    config(text).settings(Path::new("/data"))
}

const CARRIER: &str = r#"
[[trunks]]
name = "carrier"
organization = "org-789"
networks = ["203.0.113.0/24", "2001:db8::5"]
user = "carrier-in"
password = "in-secret"
outbound = "sip:sip.carrier.example.com;transport=tcp"
outbound_user = "me"
outbound_password = "out-secret"
caller_number = "+4930123"
most_calls = 30
nat = true
"#;

const ALICE: &str = r#"
[[users]]
name = "alice"
organization = "org-789"
password = "alice-secret"
endpoint = "ep_alice"
number = "+4930124"
"#;

#[test]
fn a_carrier_and_a_phone_are_read_as_they_stand() {
    let read = settings(&format!("{CARRIER}{ALICE}")).unwrap().unwrap();
    let [trunk] = read.rules.trunks.as_slice() else { panic!("one trunk") };
    assert_eq!((trunk.name.as_str(), trunk.organization.as_str()), ("carrier", "org-789"));
    assert_eq!((trunk.most_calls, trunk.nat), (Some(30), true));
    let outbound = trunk.outbound.as_ref().unwrap();
    assert_eq!(outbound.credential.as_ref().unwrap().password, "out-secret");
    let peer = &read.gateway.peers.trunks[0];
    assert!(peer.networks[0].contains("203.0.113.77".parse().unwrap()));
    assert_eq!(peer.digest.as_ref().unwrap().user, "carrier-in");
    let alice = &read.rules.users["alice"];
    assert_eq!(alice.endpoint.as_ref().unwrap().as_str(), "ep_alice");
    assert_eq!(read.gateway.peers.users[0].secrets.len(), 2);
    assert_eq!(read.gateway.recordings.folder, Path::new("/data/recordings"));
}

#[test]
fn a_gateway_without_more_words_listens_on_one_address_for_udp_and_tcp() {
    let read = settings("").unwrap().unwrap();
    let address: SocketAddr = "127.0.0.1:5060".parse().unwrap();
    assert_eq!((read.gateway.udp.as_slice(), read.gateway.tcp.as_slice()), (&[address][..], &[address][..]));
    assert_eq!(read.gateway.media.host, address.ip());
    assert_eq!(read.rules.limits, Limits::default());
    assert_eq!(read.gateway.trace, TraceSettings::default());
    assert_eq!(read.gateway.guard, GuardSettings::default());
    assert!(read.rules.record);
    assert!(settings("listen = \"off\"").unwrap().is_none());
    // Two families: media is taken on both.
    let both =
        settings("listen = \"10.0.0.1:5060\"\nalso_listen = [\"[2001:db8::1]:5060\"]").unwrap().unwrap();
    assert_eq!(both.gateway.media.host, IpAddr::from([0_u16; 8]));
    assert_eq!(both.gateway.udp.len(), 2);
}

#[test]
fn a_password_is_kept_as_its_hashes_and_never_shown() {
    let read = settings(&format!("{CARRIER}{ALICE}")).unwrap().unwrap();
    let hash = Ha1::of(Algorithm::Md5, "alice", "pegcount", "alice-secret");
    let hashed = format!(
        "[[users]]\nname = \"alice\"\norganization = \"o\"\nha1 = [\"{}\", \"{}\"]",
        "0".repeat(64),
        hash.digits()
    );
    let from_hash = settings(&hashed).unwrap().unwrap();
    assert!(from_hash.gateway.peers.users[0].secrets.contains(&hash));
    assert!(read.gateway.peers.users[0].secrets.contains(&hash));
    let shown = format!("{read:?} {:?}", config(&format!("{CARRIER}{ALICE}")));
    for secret in ["alice-secret", "in-secret", "out-secret", hash.digits()] {
        assert!(!shown.contains(secret), "{secret}");
    }
    let numeric = toml::from_str::<Config>("[[users]]\nname = \"a\"\npassword = 271828");
    let refused = numeric.unwrap_err().message().to_owned();
    assert_eq!(refused, "a secret must be a text in quotes");
}

#[test]
fn what_is_wrong_is_named_by_its_key() {
    let trunk = |line: &str| format!("[[trunks]]\nname = \"t\"\norganization = \"o\"\n{line}");
    let user = |line: &str| format!("[[users]]\nname = \"u\"\norganization = \"o\"\n{line}");
    for (text, begin) in [
        ("listen = \"5060\"".to_owned(), "sip.listen: \"5060\" is neither an address"),
        ("realm = \"\"".to_owned(), "sip.realm: "),
        ("digests = []".to_owned(), "sip.digests: "),
        ("most_calls = 0".to_owned(), "sip.most_calls: "),
        ("threads = 0".to_owned(), "sip.threads: "),
        ("advertised = [\"0.0.0.0\"]".to_owned(), "sip.advertised: "),
        ("opt_out_organizations = [\"a b\"]".to_owned(), "sip.opt_out_organizations: "),
        ("recording.organizations = { \"a b\" = true }".to_owned(), "sip.recording.organizations: "),
        ("recording.threads = 0".to_owned(), "sip.recording.threads: "),
        ("tls.cert = \"x\"".to_owned(), "sip.tls: set all of"),
        ("media.first_port = 5\nmedia.last_port = 7".to_owned(), "sip.media: "),
        ("media.host = \"here\"".to_owned(), "sip.media.host: "),
        ("media.silent_after_seconds = 0".to_owned(), "sip.media.silent_after_seconds: "),
        ("limits.session_seconds = 89".to_owned(), "sip.limits.session_seconds: must be at least 90"),
        ("limits.ring_seconds = 0".to_owned(), "sip.limits.ring_seconds: "),
        (trunk(""), "sip.trunks[0]: set networks"),
        (trunk("networks = [\"example.com\"]"), "sip.trunks[0].networks: "),
        (trunk("networks = [\"10.0.0.0/33\"]"), "sip.trunks[0].networks: "),
        (trunk("user = \"x\""), "sip.trunks[0]: set user and one of"),
        (trunk("password = \"x\""), "sip.trunks[0]: set user and one of"),
        (
            trunk("user = \"x\"\npassword = \"x\"\nha1 = [\"x\"]"),
            "sip.trunks[0]: set one of password and ha1",
        ),
        (trunk("user = \"a b\"\npassword = \"x\""), "sip.trunks[0].user: "),
        ("[guard]\nlargest_message_bytes = 57345".to_owned(), "sip.guard.largest_message_bytes: "),
        ("[guard]\nlargest_message_bytes = 1024".to_owned(), "sip.guard.largest_message_bytes: "),
        ("headers = [\"X Ref\"]".to_owned(), "sip.headers: \"X Ref\" is no name of a header"),
        ("headers = [\"v\"]".to_owned(), "sip.headers: \"v\" is no name of a header"),
        (
            trunk("outbound = \"sip:c\"\nheaders = [\"from\"]"),
            "sip.trunks[0].headers: from is a header of SIP",
        ),
        (trunk("outbound = \"carrier\""), "sip.trunks[0].outbound: "),
        (trunk("outbound = \"sip:c\"\noutbound_user = \"x\""), "sip.trunks[0]: set both outbound_user"),
        (trunk("networks = [\"10.0.0.1\"]\noutbound_user = \"x\""), "sip.trunks[0]: outbound_user and"),
        (trunk("outbound = \"sip:c\"\ncaller_number = \"me\""), "sip.trunks[0].caller_number: "),
        ("[[trunks]]\norganization = \"o\"".to_owned(), "sip.trunks[0].name: "),
        (
            "[[trunks]]\nname = \"t\"\norganization = \"\"\noutbound = \"sip:c\"".to_owned(),
            "sip.trunks[0].organization: ",
        ),
        (format!("{CARRIER}{CARRIER}"), "sip.trunks[1]: the name \"carrier"),
        (user(""), "sip.users[0]: set password or ha1"),
        (user("ha1 = [\"xyz\"]"), "sip.users[0].ha1: must be the 32"),
        (
            user(&format!("ha1 = [\"{}\", \"{}\"]", "0".repeat(32), "1".repeat(32))),
            "sip.users[0].ha1: takes one",
        ),
        (user("password = \"x\"\nendpoint = \"a b\""), "sip.users[0].endpoint: "),
        (user("password = \"x\"\nnumber = \"me\""), "sip.users[0].number: "),
        (format!("{ALICE}{ALICE}"), "sip.users[1]: the name \"alice\" is taken"),
        (
            format!("{CARRIER}{}", ALICE.replace("\"alice\"", "\"carrier-in\"")),
            "sip.users[0]: the name \"carrier-in\" is taken",
        ),
    ] {
        let refused = settings(&text).map(|_| ()).unwrap_err();
        assert!(refused.starts_with(begin), "{text}: {refused}");
    }
    // Also while the gateway is off: the file is as wrong as before.
    assert!(settings(&format!("listen = \"off\"\n{}", user(""))).is_err());
    for unknown in ["port = 5060", "[[trunks]]\nnmae = \"x\"", "[media]\nports = \"1-2\""] {
        assert!(toml::from_str::<Config>(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn every_wrong_trunk_and_user_is_named() {
    let text = "[[trunks]]\nname = \"a b\"\norganization = \"o\"\n\
                [[trunks]]\nname = \"t\"\norganization = \"o\"\nnetworks = [\"here\"]\n\
                [[users]]\nname = \"c d\"\norganization = \"o\"\npassword = \"p\"\n";
    let refused = settings(text).expect_err("three are wrong");
    let keys: Vec<&str> = refused.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(keys, ["sip.trunks[0].name", "sip.trunks[1].networks", "sip.users[0].name"]);
}
