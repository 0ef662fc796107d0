use std::{collections::BTreeMap, sync::Arc};

use pegcount_calls::{Document, PhoneNumberName};
use pegcount_gateway::{CallId, Credential, Direction, Side};
use pegcount_store::{Endpoint, EndpointNumber, OrganizationNumber, PhoneNumber};

use super::*;
use crate::sources::sip::{
    address::Proxy,
    settings::{Outbound, User},
};

fn organization(id: &str) -> OrganizationName {
    OrganizationName::new(id).unwrap()
}

fn endpoint(organization: i64, id: &str, sip_uri: Option<&str>, metadata: &str) -> Endpoint {
    Endpoint {
        number: EndpointNumber(1),
        organization: OrganizationNumber(organization),
        id: EndpointName::new(id).unwrap(),
        name: None,
        provider: None,
        sip_uri: sip_uri.map(str::to_owned),
        metadata: Document::from_json_text(metadata),
    }
}

fn number(organization: i64, id: &str, number: &str, endpoint: Option<&str>) -> PhoneNumber {
    PhoneNumber {
        organization: OrganizationNumber(organization),
        id: PhoneNumberName::new(id).unwrap(),
        number: Some(number.into()),
        endpoint: endpoint.map(|id| EndpointName::new(id).unwrap()),
    }
}

fn user(organization: &str, endpoint: Option<&str>, number: Option<&str>) -> User {
    User {
        organization: self::organization(organization),
        endpoint: endpoint.map(|id| EndpointName::new(id).unwrap()),
        number: number.map(str::to_owned),
    }
}

fn trunk(name: &str, organization: &str, outbound: bool) -> Trunk {
    Trunk {
        name: name.into(),
        organization: self::organization(organization),
        outbound: outbound.then(|| Outbound {
            proxy: Proxy::read("sip:carrier.example.com;transport=tcp").unwrap(),
            credential: Some(Arc::new(Credential {
                user: "pegcount".into(),
                password: "secret".into(),
                realm: None,
            })),
        }),
        caller_number: None,
        most_calls: Some(3),
        nat: true,
        trusted: false,
        headers: if outbound { Vec::new() } else { vec!["X-Trunk".into(), "x-all".into()] },
    }
}

/// Two organizations. `one` has a trunk both ways, `two` one for calls that come in.
fn world() -> (Rules, Directory) {
    let rules = Rules {
        trunks: vec![trunk("in", "one", false), trunk("carrier", "one", true), trunk("theirs", "two", false)],
        users: BTreeMap::from([
            ("alice".to_owned(), user("one", Some("ep_alice"), None)),
            ("bob".to_owned(), user("one", None, Some("+49301"))),
            ("carol".to_owned(), user("one", None, None)),
            ("dave".to_owned(), user("one", None, Some("+49999"))),
            ("mallory".to_owned(), user("two", Some("ep_theirs"), None)),
        ]),
        record: true,
        headers: vec!["X-All".into()],
        ..Rules::default()
    };
    let directory = Directory::default();
    let two_uris = r#"{"sip_uri_fallback": "sip:b@agents"}"#;
    directory.put(
        organization("one"),
        Listing::of(
            OrganizationNumber(1),
            &[
                number(1, "pn_1", "+49301", Some("ep_agent")),
                number(1, "pn_2", "+49302", Some("ep_alice")),
                number(1, "pn_3", "+49303", None),
                number(1, "pn_4", "+49304", Some("ep_nowhere")),
                number(1, "pn_5", "+49305", Some("ep_silent")),
                number(1, "pn_6", "+49306", Some("ep_gone")),
                number(1, "pn_7", "+49307", Some("ep_trusted")),
            ],
            &[
                endpoint(1, "ep_agent", Some("sip:{number}@agents;transport=tls"), two_uris),
                endpoint(1, "ep_alice", None, "{}"),
                endpoint(1, "ep_trusted", Some("sip:t@agents"), r#"{"trusted": true}"#),
                endpoint(1, "ep_nowhere", None, "{}"),
                endpoint(1, "ep_silent", Some("sip:s@agents"), r#"{"opt_out_sensitive_data_storage": true}"#),
                endpoint(1, "ep_mute", Some("sip:m@agents"), r#"{"recording": false}"#),
            ],
        ),
    );
    directory.put(
        organization("two"),
        Listing::of(
            OrganizationNumber(2),
            &[number(2, "pn_1", "+1800", Some("ep_theirs"))],
            &[endpoint(2, "ep_theirs", Some("sip:t@theirs"), "{}")],
        ),
    );
    (rules, directory)
}

fn ask(who: Who, to: &str) -> Ask {
    Ask {
        who,
        from: "+14155551234".into(),
        to: to.into(),
        to_context: None,
        is_private: false,
        uri: format!("sip:{to}@gateway"),
    }
}

fn by_trunk(name: &str, to: &str) -> Ask {
    ask(Who::Trunk(name.into()), to)
}

fn by_user(name: &str, to: &str) -> Ask {
    ask(Who::User(name.into()), to)
}

fn uris(plan: &Plan) -> Vec<String> {
    plan.targets.iter().map(|target| target.user.clone().unwrap_or_else(|| target.uri.clone())).collect()
}

#[test]
fn a_trunk_reaches_the_numbers_of_its_organization_and_no_others() {
    let (rules, directory) = world();
    let routing = Routing { rules: &rules, directory: &directory };
    let plan = routing.route(&by_trunk("in", "0049301")).unwrap();
    assert_eq!(uris(&plan), ["sip:+49301@agents;transport=tls", "sip:b@agents"]);
    assert_eq!((&*plan.account, plan.direction, plan.record), ("1", Direction::Inbound, true));
    assert_eq!(plan.trunk.as_ref().unwrap().most_calls, Some(3));
    let note = Note::read(&plan.note);
    assert_eq!((note.from.as_str(), note.to.as_str()), ("+14155551234", "+49301"));
    assert_eq!((note.caller_is_ours, note.callee_is_ours), (false, true));
    assert_eq!(note.endpoint.unwrap().as_str(), "ep_agent");
    assert_eq!(note.phone_number.unwrap().as_str(), "pn_1");
    for (trunk, to, reason) in [
        ("in", "+49309", "unknown_number"),
        ("in", "+1800", "unknown_number"),
        ("theirs", "+49301", "unknown_number"),
        ("in", "alice", "unknown_number"),
        ("in", "ep_agent", "unknown_number"),
        ("carrier", "+14155550000", "unknown_number"),
        ("in", "+49303", "unassigned_number"),
        ("in", "+49304", "no_address"),
        ("in", "+49306", "no_address"),
        ("unknown", "+49301", "unknown_peer"),
    ] {
        assert_eq!(routing.route(&by_trunk(trunk, to)).unwrap_err().reason, reason, "{trunk} {to}");
    }
    assert_eq!(uris(&routing.route(&by_trunk("theirs", "1800")).unwrap()), ["sip:t@theirs", "mallory"]);
}

#[test]
fn an_endpoint_without_an_address_is_the_user_that_registers_for_it() {
    let (rules, directory) = world();
    let routing = Routing { rules: &rules, directory: &directory };
    assert_eq!(uris(&routing.route(&by_trunk("in", "+49302")).unwrap()), ["alice"]);
}

#[test]
fn a_user_reaches_its_organization_and_others_only_over_its_trunk_from_its_number() {
    let (rules, directory) = world();
    let routing = Routing { rules: &rules, directory: &directory };
    let route = |name: &str, to: &str| routing.route(&by_user(name, to));
    assert_eq!(uris(&route("alice", "bob").unwrap()), ["bob"]);
    assert_eq!(uris(&route("alice", "+49302").unwrap()), ["alice"]);
    assert_eq!(uris(&route("carol", "ep_silent").unwrap()), ["sip:s@agents"]);
    let plan = route("alice", "0014155551234").unwrap();
    assert_eq!(uris(&plan), ["sip:+14155551234@carrier.example.com;transport=tcp"]);
    assert_eq!(plan.direction, Direction::Outbound);
    assert_eq!(plan.targets[0].caller.as_deref(), Some("sip:+49302@carrier.example.com"));
    assert!(plan.targets[0].nat && plan.targets[0].credential.is_some());
    let note = Note::read(&plan.note);
    assert_eq!((note.from.as_str(), note.to.as_str()), ("+49302", "+14155551234"));
    assert_eq!((note.caller_is_ours, note.callee_is_ours), (true, false));
    assert_eq!(note.endpoint.unwrap().as_str(), "ep_alice");
    let plan = route("bob", "+14155551234").unwrap();
    assert_eq!(plan.targets[0].caller.as_deref(), Some("sip:+49301@carrier.example.com"));
    for (name, to, reason) in [
        // Neither a number of its own, nor one of its endpoint, nor one of the trunk.
        ("carol", "+14155551234", "no_caller_number"),
        // A number that the organization does not own.
        ("dave", "+14155551234", "no_caller_number"),
        // Another organization's user, number, endpoint; and no trunk that goes out.
        ("alice", "mallory", "not_callable"),
        ("mallory", "alice", "not_callable"),
        ("mallory", "ep_agent", "not_callable"),
        ("mallory", "+14155551234", "no_trunk"),
        ("nobody", "+49301", "unknown_peer"),
        ("alice", "*#06#", "not_callable"),
    ] {
        assert_eq!(route(name, to).unwrap_err().reason, reason, "{name} {to}");
    }
    // A number of another organization is one outside: it goes over the trunk, as any.
    assert_eq!(route("alice", "+1800").unwrap().direction, Direction::Outbound);
}

#[test]
fn the_number_of_a_trunk_is_shown_for_who_has_none_if_the_organization_owns_it() {
    let (mut rules, directory) = world();
    rules.trunks[1].caller_number = Some("0049303".into());
    let plan = |rules: &Rules| Routing { rules, directory: &directory }.route(&by_user("carol", "+1415555"));
    let shown = plan(&rules).unwrap().targets[0].caller.clone();
    assert_eq!(shown.as_deref(), Some("sip:+49303@carrier.example.com"));
    rules.trunks[1].caller_number = Some("+1800".into());
    assert_eq!(plan(&rules).unwrap_err().reason, "no_caller_number");
}

#[test]
fn what_is_recorded_is_decided_by_the_endpoint_then_the_organization_then_the_default() {
    let (mut rules, directory) = world();
    let recorded = |rules: &Rules, to: &str| {
        let plan = Routing { rules, directory: &directory }.route(&by_user("alice", to)).unwrap();
        (plan.record, Note::read(&plan.note).opt_out)
    };
    assert_eq!(recorded(&rules, "ep_agent"), (true, false));
    assert_eq!(recorded(&rules, "ep_mute"), (false, false));
    assert_eq!(recorded(&rules, "ep_silent"), (false, true));
    rules.record_of.insert(organization("one"), false);
    assert_eq!(recorded(&rules, "ep_agent"), (false, false));
    rules.record_of.clear();
    rules.record = false;
    assert_eq!(recorded(&rules, "ep_agent"), (false, false));
    rules.record_of.insert(organization("one"), true);
    assert_eq!(recorded(&rules, "ep_agent"), (true, false));
    rules.opted_out.insert(organization("one"));
    assert_eq!(recorded(&rules, "ep_agent"), (false, true));
}

#[test]
fn an_ordered_call_goes_out_from_a_number_of_the_organization_to_its_endpoint() {
    let (rules, directory) = world();
    let routing = Routing { rules: &rules, directory: &directory };
    let agent = EndpointName::new("ep_agent").unwrap();
    let order = |id: &str, from: &str, to: &str, endpoint: Option<&EndpointName>| {
        routing.order(&organization(id), &Wanted { from, to, endpoint, metadata: None })
    };
    let dial = order("one", "49301", "+14155551234", Some(&agent)).unwrap();
    assert_eq!((dial.from.as_str(), dial.to.as_str()), ("+49301", "+14155551234"));
    assert_eq!(dial.first[0].uri, "sip:+14155551234@carrier.example.com;transport=tcp");
    assert_eq!(dial.first[0].caller.as_deref(), Some("sip:+49301@carrier.example.com"));
    assert_eq!(uris(&dial.plan), ["sip:+49301@agents;transport=tls", "sip:b@agents"]);
    assert_eq!(dial.plan.direction, Direction::Outbound);
    let note = Note::read(&dial.plan.note);
    assert_eq!((note.outside(), note.originator()), (Side::Caller, Side::Callee));
    // Without an endpoint: that of the number.
    assert_eq!(uris(&order("one", "+49302", "+14155551234", None).unwrap().plan), ["alice"]);
    let nowhere = EndpointName::new("ep_nowhere").unwrap();
    let theirs = EndpointName::new("ep_theirs").unwrap();
    for (id, from, to, endpoint, problem) in [
        ("two", "+1800", "+14155551234", Some(&theirs), NoOrder::NoTrunk),
        ("three", "+1800", "+14155551234", None, NoOrder::NoTrunk),
        ("one", "+1800", "+14155551234", Some(&agent), NoOrder::From),
        ("one", "+49301", "alice", Some(&agent), NoOrder::To),
        ("one", "+49301", "1", Some(&agent), NoOrder::To),
        ("one", "+49301", "+14155551234", Some(&theirs), NoOrder::Endpoint),
        ("one", "+49303", "+14155551234", None, NoOrder::Endpoint),
        ("one", "+49301", "+14155551234", Some(&nowhere), NoOrder::Unreachable),
    ] {
        assert_eq!(order(id, from, to, endpoint).unwrap_err(), problem, "{id} {from} {to}");
    }
}

#[test]
fn only_endpoints_learn_about_callers() {
    let (rules, directory) = world();
    let routing = Routing { rules: &rules, directory: &directory };
    let plan = routing.route(&by_trunk("in", "+49301")).unwrap();
    assert_eq!(plan.headers, ["X-All", "X-Trunk"]);
    let told = |plan: &Plan| plan.targets.iter().map(|target| target.disclosure).collect::<Vec<_>>();
    assert_eq!(told(&plan), [Disclosure::Public; 2]);
    let trusting = routing.route(&by_trunk("in", "+49307")).unwrap();
    assert_eq!(told(&trusting), [Disclosure::Everything]);
    let out = routing.route(&by_user("bob", "+14155551234")).unwrap();
    assert_eq!((told(&out), out.headers), (vec![Disclosure::Nothing], vec!["X-All".to_owned()]));
    let inside = routing.route(&by_user("bob", "alice")).unwrap();
    assert_eq!(told(&inside), [Disclosure::Public]);
}

#[test]
fn a_private_user_is_private_to_the_carrier_too() {
    let (mut rules, directory) = world();
    let called = |rules: &Rules, is_private: bool| {
        let routing = Routing { rules, directory: &directory };
        let plan = routing.route(&Ask { is_private, ..by_user("bob", "+14155551234") }).unwrap();
        let call = CallId::new("call_1");
        let (account, note) = (&*plan.account, &*plan.note);
        let ask = TransferAsk { call: &call, account, note, by: Side::Caller, to: "tel:+14155550000" };
        let transferred = routing.transfer(&ask).unwrap();
        [plan.targets[0].clone(), transferred].map(|target| (target.hides_caller, target.disclosure))
    };
    assert_eq!(called(&rules, false), [(false, Disclosure::Nothing); 2]);
    assert_eq!(called(&rules, true), [(true, Disclosure::Nothing); 2]);
    for trunk in &mut rules.trunks {
        trunk.trusted = true;
    }
    assert_eq!(called(&rules, true), [(true, Disclosure::Everything); 2]);
    let routing = Routing { rules: &rules, directory: &directory };
    let plan = routing.route(&Ask { is_private: true, ..by_trunk("in", "+49301") }).unwrap();
    assert!(!Note::read(&plan.note).hides_caller, "the number of the organization is not the caller's");
}

#[test]
fn a_local_number_is_found_behind_its_prefix() {
    let (rules, directory) = world();
    let routing = Routing { rules: &rules, directory: &directory };
    let routed = |to: &str, context: &str| {
        let ask = Ask { to_context: Some(context.into()), ..by_trunk("in", to) };
        routing.route(&ask).map(|plan| Note::read(&plan.note).to)
    };
    assert_eq!(routed("301", "+49"), Ok("+49301".to_owned()));
    assert_eq!(routed("301", "+1").unwrap_err().reason, "unknown_number");
    assert_eq!(routed("49301", "+1"), Ok("+49301".to_owned()));
}

#[test]
fn an_outside_party_has_itself_transferred_to_no_number_that_costs() {
    let (rules, directory) = world();
    let routing = Routing { rules: &rules, directory: &directory };
    let call = CallId::new("call_1");
    let plan = routing.route(&by_trunk("in", "+49301")).unwrap();
    let transfer = |by: Side, to: &str| {
        let ask = TransferAsk { call: &call, account: &plan.account, note: &plan.note, by, to };
        routing.transfer(&ask).map(|target| target.user.clone().unwrap_or(target.uri))
    };
    let outside = "sip:+14155551234@carrier.example.com;transport=tcp";
    assert_eq!(transfer(Side::Callee, "sip:+14155551234@anywhere").as_deref(), Some(outside));
    assert_eq!(transfer(Side::Callee, "tel:+14155551234").as_deref(), Some(outside));
    assert_eq!(transfer(Side::Callee, "sip:alice@gateway").as_deref(), Some("alice"));
    assert_eq!(transfer(Side::Callee, "sip:ep_mute@gateway").as_deref(), Some("sip:m@agents"));
    assert_eq!(transfer(Side::Callee, "sip:mallory@gateway"), None);
    assert_eq!(transfer(Side::Caller, "sip:+49302@gateway").as_deref(), Some("alice"));
    assert_eq!(transfer(Side::Caller, "sip:%2B49302;npdi@gateway").as_deref(), Some("alice"));
    for to in ["sip:+14155551234@gateway", "sip:alice@gateway", "sip:ep_mute@gateway", "sip:x", "nonsense"] {
        assert_eq!(transfer(Side::Caller, to), None, "{to}");
    }
    let foreign =
        TransferAsk { call: &call, account: "9", note: &plan.note, by: Side::Callee, to: "sip:alice@x" };
    assert!(routing.transfer(&foreign).is_none());
}

#[test]
fn a_refused_attempt_says_whose_it_was() {
    let (mut rules, directory) = world();
    rules.opted_out.insert(organization("two"));
    let denied = |ask: &Ask| Routing { rules: &rules, directory: &directory }.route(ask).unwrap_err();
    let unassigned = denied(&by_trunk("in", "+49303"));
    let attempt = unassigned.attempt.unwrap();
    assert_eq!((&*attempt.account, attempt.direction), ("1", Direction::Inbound));
    assert_eq!(attempt.headers, ["X-All", "X-Trunk"]);
    let note = Note::read(&attempt.note);
    assert_eq!((note.phone_number.unwrap().as_str(), note.opt_out), ("pn_3", false));
    let outside = denied(&by_user("mallory", "+14155551234")).attempt.unwrap();
    assert_eq!((&*outside.account, outside.direction), ("2", Direction::Outbound));
    let note = Note::read(&outside.note);
    assert_eq!((note.from.as_str(), note.opt_out), ("+1800", true));
    assert_eq!(denied(&by_user("nobody", "+49301")).attempt, None);
}
