use super::*;

const REGISTER: &str = include_str!("recorded/register.sip");
const REGISTER_WITH_DIGEST: &str = include_str!("recorded/register-with-digest.sip");
const UNREGISTER_WITH_DIGEST: &str = include_str!("recorded/unregister-with-digest.sip");
const INVITE_WITH_DIGEST: &str = include_str!("recorded/invite-with-digest.sip");
const ACK_WITH_DIGEST: &str = include_str!("recorded/ack-with-digest.sip");

const NOW: Duration = Duration::from_secs(1_000);

fn request(text: &str) -> Message {
    Message::read(text.to_owned().into()).expect("a message")
}

fn source() -> SocketAddr {
    "127.0.0.33:5060".parse().expect("an address")
}

fn registrar() -> Registrar {
    let mut registrar = Registrar::new(Terms::of("asterisk"), [7; 32]);
    registrar.set_users(["phone", "other"].map(|user| {
        let ha1 = |algorithm| Ha1::of(algorithm, user, "asterisk", "phonesecret");
        (user.to_owned(), vec![ha1(Algorithm::Md5), ha1(Algorithm::Sha256)])
    }));
    registrar
}

/// A phone that registers, with what it was last challenged with.
struct Phone {
    user: &'static str,
    password: &'static str,
    algorithm: Algorithm,
    nonce: String,
    count: u32,
    cseq: u32,
}

impl Phone {
    fn new(user: &'static str, password: &'static str) -> Self {
        Self { user, password, algorithm: Algorithm::Md5, nonce: String::new(), count: 0, cseq: 0 }
    }

    fn authorization(&self, method: &str, uri: &str) -> String {
        let Self { user, password, algorithm, nonce, count, .. } = self;
        let line = |response: &str| {
            format!(
                "Digest username=\"{user}\", realm=\"asterisk\", nonce=\"{nonce}\", uri=\"{uri}\", \
                 response=\"{response}\", cnonce=\"c\", qop=auth, nc={count:08x}, algorithm={}",
                algorithm.name()
            )
        };
        let ha1 = Ha1::of(*algorithm, user, "asterisk", password);
        line(&Claim::read(&line("")).expect("a claim").expected(&ha1, method))
    }

    /// Sends a REGISTER as it is, without another try.
    fn sends(
        &mut self,
        registrar: &mut Registrar,
        contacts: &[&str],
        expires: Option<&str>,
        now: u64,
    ) -> Reply {
        self.count += 1;
        self.cseq += 1;
        let authorization = self.authorization("REGISTER", "sip:asterisk");
        let reply = registrar.handle(
            &Registration {
                credentials: Credentials {
                    method: "REGISTER".to_owned(),
                    uri: "sip:asterisk".to_owned(),
                    claims: vec![&authorization],
                },
                user: self.user.to_owned(),
                call_id: "call",
                cseq: self.cseq,
                contacts: contacts.to_vec(),
                expires,
                source: source(),
            },
            Duration::from_secs(now),
        );
        if reply.status == 401 {
            self.nonce = nonce_of(&reply);
            self.count = 0;
        }
        reply
    }

    /// Sends a REGISTER, and again with what it was told.
    fn registers(
        &mut self,
        registrar: &mut Registrar,
        contacts: &[&str],
        expires: Option<&str>,
        now: u64,
    ) -> Reply {
        match self.sends(registrar, contacts, expires, now) {
            challenge if challenge.status == 401 => self.sends(registrar, contacts, expires, now),
            reply => reply,
        }
    }
}

fn nonce_of(reply: &Reply) -> String {
    let challenge = &reply.headers[0].1;
    let after = challenge.split("nonce=\"").nth(1).expect("a nonce");
    after.split('"').next().expect("its end").to_owned()
}

fn contacts(reply: &Reply) -> Vec<&str> {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.headers.iter().map(|(_, value)| value.as_str()).collect()
}

#[test]
fn the_digests_of_a_recorded_phone_are_ours() {
    let ha1 = Ha1::of(Algorithm::Md5, "phone", "asterisk", "phonesecret");
    for recorded in [REGISTER_WITH_DIGEST, UNREGISTER_WITH_DIGEST, INVITE_WITH_DIGEST, ACK_WITH_DIGEST] {
        let request = request(recorded);
        let credentials = Credentials::of(&request, Asker::Endpoint);
        let claim = Claim::read(credentials.claims[0]).expect("a claim");
        assert!(bool::from(claim.proves(&ha1, &credentials.method)), "{recorded}");
        assert!(is_same_target(&claim.uri, &credentials.uri), "{recorded}");
    }
}

#[test]
fn a_recorded_registration_with_the_nonce_of_another_registrar_is_stale() {
    let mut registrar = registrar();
    let mut answer = |recorded: &str| {
        let request = request(&through_the_guard(recorded));
        registrar.handle(&Registration::of(&request, source()).expect("a registration"), NOW)
    };
    let challenge = answer(REGISTER);
    assert!(challenge.status == 401 && !challenge.headers[0].1.contains("stale"));
    let challenge = answer(REGISTER_WITH_DIGEST);
    assert!(
        challenge.status == 401 && challenge.headers[0].1.ends_with(",stale=true"),
        "the password is right"
    );
    let challenge = answer(&REGISTER_WITH_DIGEST.replace("e6f4", "e6f5"));
    assert!(challenge.status == 401 && !challenge.headers[0].1.contains("stale"));
}

fn through_the_guard(message: &str) -> String {
    use crate::guard::{Limits, Policy, Source, Strangers, Verdict, inspect};
    let policy = Policy { strangers: Strangers::Phones, ..Policy::default() };
    let mut limits = Limits::with_room(NonZeroUsize::MIN);
    let now = std::time::Instant::now();
    match inspect(
        message.as_bytes(),
        Source::datagram(source()),
        policy.knows(source().ip()),
        now,
        &policy,
        &mut limits,
    ) {
        Verdict::Pass(message) => String::from_utf8(message).expect("text"),
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn a_recorded_registration_is_challenged_answered_and_ended() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    phone.cseq = 36_971;
    let recorded = request(REGISTER);
    let contact = recorded.header("Contact").expect("a contact");
    let challenge = phone.sends(&mut registrar, &[contact], None, 1_000);
    assert_eq!((challenge.status, challenge.phrase), (401, "Unauthorized"));
    let names: Vec<_> = challenge.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["WWW-Authenticate"; 2]);
    assert!(challenge.headers[0].1.contains("algorithm=SHA-256,qop=\"auth\""));
    assert!(challenge.headers[1].1.contains("algorithm=MD5,qop=\"auth\""));
    let reply = phone.sends(&mut registrar, &[contact], None, 1_000);
    let address = "<sip:phone-0x558b0af5ccc0@127.0.0.33:5060>";
    assert_eq!(contacts(&reply), [format!("{address};expires=60")]);
    let bindings = registrar.bindings("phone", NOW);
    assert_eq!((bindings[0].uri.as_str(), bindings[0].source), (&address[1..address.len() - 1], source()));
    assert!(registrar.bindings("phone", Duration::from_secs(1_060)).is_empty());
    let reply = phone.registers(&mut registrar, &[&format!("{address};expires=0")], None, 1_008);
    assert!(contacts(&reply).is_empty());
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let mut registrar = registrar();
    let mut challenges = Vec::new();
    for mut phone in
        [Phone::new("phone", "wrong"), Phone::new("nobody", "phonesecret"), Phone::new("nobody", "")]
    {
        phone.sends(&mut registrar, &[], None, 1_000);
        let reply = phone.sends(&mut registrar, &[], None, 1_000);
        // The reason is for our log alone.
        assert!(reply.impostor.is_some());
        let text = format!("{:?}", Reply { impostor: None, ..reply.clone() });
        challenges.push(text.replace(&nonce_of(&reply), ""));
    }
    assert!(challenges[0].contains("status: 401") && !challenges[0].contains("stale"));
    assert!(challenges.iter().all(|challenge| *challenge == challenges[0]));
}

#[test]
fn both_algorithms_are_taken_and_one_that_is_not_offered_is_not() {
    let mut registrar = registrar();
    let mut phone = Phone { algorithm: Algorithm::Sha256, ..Phone::new("phone", "phonesecret") };
    assert_eq!(phone.registers(&mut registrar, &[], None, 1_000).status, 200);
    registrar.terms.algorithms = vec![Algorithm::Sha256];
    let mut phone = Phone::new("phone", "phonesecret");
    assert_eq!(phone.registers(&mut registrar, &[], None, 1_000).status, 401);
}

#[test]
fn a_digest_sent_again_or_late_is_stale_and_needs_no_new_password() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    assert_eq!(phone.registers(&mut registrar, &[], None, 1_000).status, 200);
    phone.count -= 1;
    let again = phone.sends(&mut registrar, &[], None, 1_000);
    assert_eq!(again.status, 401);
    assert!(again.headers.iter().all(|(_, challenge)| challenge.ends_with(",stale=true")));
    assert_eq!(phone.sends(&mut registrar, &[], None, 1_000).status, 200, "with the new nonce");
    let late = phone.sends(&mut registrar, &[], None, 1_300);
    assert!(late.headers[0].1.ends_with(",stale=true"));
}

#[test]
fn a_digest_is_good_for_its_method_and_target_only() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    phone.count = 1;
    let mut status = |method: &str, uri: &str, claimed_method: &str, claimed_uri: &str| {
        phone.nonce = registrar.nonces.make(NOW);
        let authorization = phone.authorization(claimed_method, claimed_uri);
        let request =
            Credentials { method: method.to_owned(), uri: uri.to_owned(), claims: vec![&authorization] };
        match registrar.authenticate(&request, Asker::Proxy, NOW) {
            Ok(user) => user,
            Err(reply) => format!("{} {}", reply.status, reply.headers[0].0),
        }
    };
    let refused = "407 Proxy-Authenticate";
    assert_eq!(status("INVITE", "sip:1@a;user=phone", "INVITE", "sip:1@A"), "phone");
    assert_eq!(status("INVITE", "sip:1;x=y@a", "INVITE", "sip:1;x=y@a"), "phone");
    assert_eq!(status("INVITE", "sip:2@a", "INVITE", "sip:1@a"), refused);
    assert_eq!(status("BYE", "sip:1@a", "INVITE", "sip:1@a"), refused);
}

#[test]
fn nobody_registers_another() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    phone.sends(&mut registrar, &[], None, 1_000);
    phone.count = 1;
    let authorization = phone.authorization("REGISTER", "sip:asterisk");
    let reply = registrar.handle(
        &Registration {
            credentials: Credentials {
                method: "REGISTER".to_owned(),
                uri: "sip:asterisk".to_owned(),
                claims: vec![&authorization],
            },
            user: "other".to_owned(),
            call_id: "call",
            cseq: 1,
            contacts: vec!["<sip:evil@203.0.113.1>"],
            expires: None,
            source: source(),
        },
        NOW,
    );
    assert_eq!(reply.status, 403);
    assert!(registrar.bindings("other", NOW).is_empty());
}

#[test]
fn an_expiry_is_the_contacts_own_or_the_requests_or_the_usual_and_within_limits() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    for (contact, expires, granted) in [
        ("<sip:p@a>;expires=100", Some("200"), "100"),
        ("<sip:p@a>", Some("200"), "200"),
        ("<sip:p@a>;q=0.5", None, "3600"),
        ("<sip:p@a>;expires=99999", None, "3600"),
        ("<sip:p@a>;expires=280297596632815", None, "3600"),
        ("<sip:p@a>;expires=soon", Some("60"), "3600"),
    ] {
        let reply = phone.registers(&mut registrar, &[contact], expires, 1_000);
        assert_eq!(contacts(&reply), [format!("<sip:p@a>;expires={granted}")], "{contact}");
    }
    let reply = phone.registers(&mut registrar, &["<sip:p@a>;expires=29"], None, 1_000);
    assert_eq!((reply.status, &reply.headers), (423, &vec![("Min-Expires", "30".to_owned())]));
    assert_eq!(registrar.bindings("phone", NOW)[0].expires_at, Duration::from_secs(4_600), "as it was");
}

#[test]
fn equal_contacts_are_one_and_others_are_several_up_to_a_limit() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    for equal in [
        "<sip:p@host:5070;transport=udp;ob>",
        "\"P, \\\"<x>\" <SIP:p@HOST:5070;ob;transport=UDP>;q=1",
        "<sip:p@host:5070;ob;transport=udp?Route=%3Csip:evil%3E>",
    ] {
        let reply = phone.registers(&mut registrar, &[equal], None, 1_000);
        assert_eq!(contacts(&reply).len(), 1, "{equal}");
        assert!(!contacts(&reply)[0].contains("evil"));
    }
    let reply = phone.registers(&mut registrar, &["<sip:p@b>,sip:p@c;expires=60", "<sips:p@c>"], None, 1_000);
    assert_eq!(contacts(&reply)[..2], ["<sips:p@c>;expires=3600", "<sip:p@c>;expires=60"]);
    assert_eq!(contacts(&phone.registers(&mut registrar, &[], None, 1_059))[1], "<sip:p@c>;expires=1");
    let reply = phone.registers(&mut registrar, &["<sip:p@d>,<sip:p@e>"], None, 1_000);
    assert_eq!((reply.status, registrar.bindings("phone", NOW).len()), (403, 4));
    let reply = phone.registers(&mut registrar, &["<sip:p@d>,<sip:p@e>"], None, 1_061);
    assert_eq!(contacts(&reply).len(), 5, "one has ended");
}

#[test]
fn the_star_ends_all_and_only_alone_and_with_zero() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    phone.registers(&mut registrar, &["<sip:p@a>, <sip:p@b>"], None, 1_000);
    for (contacts, expires) in
        [(&["*"][..], None), (&["*"], Some("60")), (&["*", "<sip:p@c>"], Some("0")), (&["*;expires=0"], None)]
    {
        assert_eq!(phone.registers(&mut registrar, contacts, expires, 1_000).status, 400);
    }
    assert_eq!(registrar.bindings("phone", NOW).len(), 2);
    assert!(contacts(&phone.registers(&mut registrar, &["*"], Some("0"), 1_000)).is_empty());
}

#[test]
fn a_registration_that_was_overtaken_changes_nothing() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    phone.cseq = 10;
    phone.registers(&mut registrar, &["<sip:p@a>"], None, 1_000);
    phone.cseq = 10;
    let reply = phone.registers(&mut registrar, &["<sip:p@new>, <sip:p@a>;expires=0"], None, 1_000);
    assert_eq!(reply.status, 500);
    phone.cseq = 10;
    assert_eq!(phone.registers(&mut registrar, &["*"], Some("0"), 1_000).status, 500);
    let bindings: Vec<_> = registrar.bindings("phone", NOW).iter().map(|b| b.uri.clone()).collect();
    assert_eq!(bindings, ["sip:p@a"], "all or nothing");
}

#[test]
fn a_contact_that_calls_cannot_go_to_is_refused() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    let long = format!("<sip:{}@a>", "p".repeat(600));
    for contact in ["<name:John_Smith>", "<sip:p@>", "\"open <sip:p@a>", "", "<sip:p@a", "<sip:a b@c>", &long]
    {
        assert_eq!(phone.registers(&mut registrar, &[contact], None, 1_000).status, 400, "{contact}");
    }
}

#[test]
fn a_contact_where_nobody_is_reached_is_refused_with_the_reason() {
    let mut registrar = registrar();
    let own = ["198.51.100.1:5060", "10.0.0.1:5060", "198.51.100.1:5061", "127.0.0.1:5060"];
    let own = own.map(|own| own.parse().unwrap());
    registrar.set_own([own.as_slice(), &[source()]].concat());
    let mut phone = Phone::new("phone", "phonesecret");
    let at_source = format!("<sip:a@{}>", source());
    for (contact, reason) in [
        ("<sip:a@0.0.0.0>", "no address"),
        ("<sip:a@[::]:5060>", "no address"),
        ("<sip:a@[::ffff:0.0.0.0]>", "no address"),
        ("<sip:a@224.0.0.1>", "multicast"),
        ("<sip:a@[ff02::1]>", "multicast"),
        ("<sip:a@255.255.255.255>", "broadcast"),
        ("<sip:a@192.0.2.9:0>", "port 0"),
        ("<sip:a@phone.example.com:0>", "port 0"),
        ("<sip:a@192.0.2.9:70000>", "no port"),
        ("<sip:a@198.51.100.1>", "this server"),
        ("<sips:a@198.51.100.1>", "this server"),
        (&*at_source, "this server"),
        ("<sip:a@127.0.0.1>", "this server"),
    ] {
        let reply = phone.registers(&mut registrar, &[contact], None, 1);
        assert_eq!(reply.status, 400, "{contact}");
        let [("Warning", warning)] = &reply.headers[..] else { panic!("{contact}: {reply:?}") };
        assert!(warning.starts_with("399 pegcount \"") && warning.contains(reason), "{contact}: {warning}");
        let restored = Binding::restored(contact.trim_matches(['<', '>']), source(), Duration::MAX, ("1", 1));
        assert_eq!(restored.is_none(), reason != "this server", "{contact}");
    }
    // Another network may have our private address, and a phone here another port.
    for contact in ["<sip:a@10.0.0.1>", "<sip:a@198.51.100.1:5070>", "<sip:a@phone.invalid;transport=ws>"] {
        assert_eq!(phone.registers(&mut registrar, &[contact], None, 1).status, 200, "{contact}");
    }
}

#[test]
fn a_user_that_stays_keeps_its_bindings_and_one_that_goes_is_unknown() {
    let mut registrar = registrar();
    let mut phone = Phone::new("phone", "phonesecret");
    phone.registers(&mut registrar, &["<sip:p@a>"], None, 1_000);
    let ha1 = Ha1::of(Algorithm::Md5, "phone", "asterisk", "new");
    registrar.set_users([("phone".to_owned(), vec![ha1])]);
    assert_eq!(registrar.bindings("phone", NOW).len(), 1);
    assert_eq!(phone.registers(&mut registrar, &[], None, 1_000).status, 401, "the password changed");
    registrar.set_users([]);
    assert!(registrar.bindings("phone", NOW).is_empty());
}

proptest::proptest! {
    #[test]
    fn no_header_breaks_the_registrar(
        claim in "(Digest )?[ -~]{0,80}",
        contact in "\\PC{0,60}",
        expires in "\\PC{0,10}",
    ) {
        let mut registrar = registrar();
        let credentials = Credentials { method: "REGISTER".to_owned(), uri: "sip:a".to_owned(), claims: vec![&claim] };
        proptest::prop_assert!(registrar.authenticate(&credentials, Asker::Endpoint, NOW).is_err());
        let mut phone = Phone::new("phone", "phonesecret");
        let reply = phone.registers(&mut registrar, &[&contact], Some(&expires), 1_000);
        proptest::prop_assert!([200, 400, 403, 423].contains(&reply.status));
    }
}
