//! Records of a real switch, in every order of arrival, and bodies in every encoding.

mod field;

use data_encoding::{BASE64, BASE64_NOPAD};
use pegcount_calls::{Cause, Direction, Party, Status, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Mapped, json_text, read, read_file, record_files};
use crate::{
    intake::CallReference,
    sources::replay::{RECEIVED_AT, Replayed, one_call, replay_in_every_order},
    vocabulary::kinds,
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/freeswitch/json_cdr");

fn recorded(file: &str) -> String {
    std::fs::read_to_string(format!("{FIXTURES}/{file}.json")).unwrap()
}

fn map_text(text: &str) -> Mapped {
    read(Some("application/json"), text.as_bytes(), RECEIVED_AT).unwrap()
}

fn records(scenario: &str) -> Vec<Mapped> {
    (1..=3)
        .filter_map(|number| std::fs::read_to_string(format!("{FIXTURES}/{scenario}.{number}.json")).ok())
        .map(|text| map_text(&text))
        .collect()
}

fn call_of(scenario: &str, count: usize) -> Replayed {
    let records = records(scenario);
    assert_eq!(records.len(), count);
    one_call(&records)
}

/// Status, cause, party; created, ringing, answered, ended in milliseconds; the number called.
struct Expected {
    status: Status,
    cause: Cause,
    by: Option<Party>,
    times: (i64, Option<i64>, Option<i64>, i64),
    to: &'static str,
}

fn check(scenario: &str, count: usize, expected: &Expected) -> Replayed {
    let replayed = call_of(scenario, count);
    let call = &replayed.call;
    let ending = call.ending().unwrap();
    assert_eq!(call.status(), expected.status, "{scenario}");
    assert_eq!((ending.cause, ending.by), (expected.cause, expected.by), "{scenario}");
    let millis = |at: Option<Timestamp>| at.map(Timestamp::millis);
    let (created, ringing, answered, ended) = expected.times;
    assert_eq!(call.created_at.millis(), created, "{scenario}");
    assert_eq!(millis(call.ringing_at), ringing, "{scenario}");
    assert_eq!(millis(call.answered_at()), answered, "{scenario}");
    assert_eq!(ending.ended_at.millis(), ended, "{scenario}");
    let talk = u128::try_from(answered.map_or(0, |answered| ended - answered)).unwrap();
    assert_eq!(call.talk_time().unwrap().as_millis(), talk, "{scenario}");
    assert_eq!(call.direction, Direction::Inbound, "{scenario}");
    assert_eq!(call.from_number.as_deref(), Some("2001"), "{scenario}");
    assert_eq!(call.to_number.as_deref(), Some(expected.to), "{scenario}");
    replayed
}

#[test]
fn an_answered_call_is_one_call_that_its_caller_hung_up() {
    let replayed = check(
        "answered",
        2,
        &Expected {
            status: Status::Completed,
            cause: Cause::UserHangup,
            by: Some(Party::Caller),
            times: (1_795_185_522_864, Some(1_795_185_522_864), Some(1_795_185_524_384), 1_795_185_530_424),
            to: "100",
        },
    );
    assert_eq!(replayed.name, "fc49e808-08e1-43f0-9101-9892398d98c9");
    let content = &replayed.call.content;
    assert_eq!(content.telephony.sip_call_id.as_deref(), Some("1-5353@127.0.0.21"));
    assert_eq!(content.metadata["accountcode"].as_json_text(), "\"acme\"");
    assert_eq!(content.quality.values().map(|quality| quality.mos).collect::<Vec<_>>(), [Some(4.5); 2]);
    assert_eq!(content.media.codec.as_deref(), Some("PCMU"));
    assert!(content.recording.is_none());
    check(
        "answered.events-json",
        2,
        &Expected {
            status: Status::Completed,
            cause: Cause::UserHangup,
            by: Some(Party::Caller),
            times: (1_795_185_620_764, Some(1_795_185_620_764), Some(1_795_185_622_284), 1_795_185_628_324),
            to: "100",
        },
    );
    check(
        "recorded",
        2,
        &Expected {
            status: Status::Completed,
            cause: Cause::UserHangup,
            by: Some(Party::Caller),
            times: (1_795_185_833_024, Some(1_795_185_833_044), Some(1_795_185_834_544), 1_795_185_840_604),
            to: "106",
        },
    );
}

#[test]
fn an_unanswered_call_ends_as_its_cause_says() {
    let unanswered = [
        (
            "busy",
            Expected {
                status: Status::Busy,
                cause: Cause::Busy,
                by: Some(Party::Callee),
                times: (1_795_185_533_604, None, None, 1_795_185_533_604),
                to: "100",
            },
        ),
        (
            "rejected",
            Expected {
                status: Status::Failed,
                cause: Cause::Rejected,
                by: Some(Party::Callee),
                times: (1_795_185_544_144, Some(1_795_185_544_144), None, 1_795_185_544_984),
                to: "100",
            },
        ),
        (
            "no-answer",
            Expected {
                status: Status::NoAnswer,
                cause: Cause::NoAnswer,
                by: Some(Party::System),
                times: (1_795_185_536_724, Some(1_795_185_536_724), None, 1_795_185_541_024),
                to: "102",
            },
        ),
        (
            "cancelled",
            Expected {
                status: Status::Canceled,
                cause: Cause::UserHangup,
                by: Some(Party::Caller),
                times: (1_795_185_551_324, Some(1_795_185_551_344), None, 1_795_185_553_384),
                to: "100",
            },
        ),
    ];
    for (scenario, expected) in &unanswered {
        check(scenario, 2, expected);
    }
}

#[test]
fn an_unknown_number_is_refused_by_the_switch() {
    check(
        "invalid-extension",
        1,
        &Expected {
            status: Status::Failed,
            cause: Cause::Rejected,
            by: Some(Party::System),
            times: (1_795_185_561_684, None, None, 1_795_185_561_684),
            to: "999",
        },
    );
}

#[test]
fn a_call_that_the_switch_ended_names_neither_party() {
    check(
        "api-hangup",
        2,
        &Expected {
            status: Status::Completed,
            cause: Cause::NormalClearing,
            by: None,
            times: (1_795_185_575_604, Some(1_795_185_575_604), Some(1_795_185_577_124), 1_795_185_580_824),
            to: "100",
        },
    );
    check(
        "ivr-playback",
        1,
        &Expected {
            status: Status::Completed,
            cause: Cause::NormalClearing,
            by: Some(Party::System),
            times: (1_795_185_556_504, None, Some(1_795_185_556_504), 1_795_185_558_504),
            to: "105",
        },
    );
}

#[test]
fn a_blind_transfer_is_one_call_of_three_legs_that_ends_with_the_last() {
    check(
        "blind-transfer-refer",
        3,
        &Expected {
            status: Status::Completed,
            cause: Cause::AgentHangup,
            by: Some(Party::Callee),
            times: (1_795_185_586_744, Some(1_795_185_586_744), Some(1_795_185_588_244), 1_795_185_595_264),
            to: "107",
        },
    );
    let records = records("blind-transfer-refer");
    let mut tellings = records.iter().flat_map(|record| &record.tellings);
    let transferred = tellings.find(|telling| telling.kind == kinds::CALL_TRANSFERRED).unwrap();
    assert_eq!(transferred.at.millis(), 1_795_185_590_284);
    assert_eq!(transferred.id.as_str(), "6d0856c7-6ffd-43d1-bc9a-bc9ceac137bb-transferred");
    assert!(transferred.data.contains(r#""to":"108""#), "{}", transferred.data);
    assert!(!tellings.any(|telling| telling.kind == kinds::CALL_TRANSFERRED));
}

#[test]
fn a_blind_transfer_of_which_only_the_first_leg_is_logged_ended_by_being_handed_over() {
    let first = one_call(&records("blind-transfer-refer")[..1]);
    assert!(first.call.ending().unwrap().transfer);
}

#[test]
fn calls_that_share_the_switch_stay_apart_whatever_their_order() {
    let files = ["busy.1", "cancelled.1", "ivr-playback.1", "busy.2", "cancelled.2"];
    let records: Vec<Mapped> = files.map(|file| map_text(&recorded(file))).into();
    let calls = replay_in_every_order(&records);
    let statuses: Vec<Status> = calls.iter().map(|one| one.call.status()).collect();
    assert_eq!(statuses, [Status::Busy, Status::Canceled, Status::Completed]);
}

#[test]
fn a_record_that_comes_twice_changes_nothing() {
    let records = records("answered");
    let doubled: Vec<Mapped> = records.iter().chain(&records).cloned().collect();
    assert_eq!(one_call(&doubled).call, one_call(&records).call);
    assert_eq!(one_call(&doubled).events, one_call(&records).events);
}

/// A record of one channel, with these variables beside the needed ones.
fn record(uuid: &str, variables: &[(&str, &str)]) -> String {
    let mut all = json!({"uuid": uuid, "start_uepoch": "1795185500000000", "end_uepoch": "1795185510000000"});
    for (name, value) in variables {
        all[*name] = (*value).into();
    }
    json!({"core-uuid": "c", "variables": all}).to_string()
}

const ANSWERED: (&str, &str) = ("answer_uepoch", "1795185502000000");
const BRIDGED: (&str, &str) = ("bridge_uepoch", "1795185502000000");

fn ending_of(variables: &[(&str, &str)]) -> (Status, Cause, Option<Party>) {
    let call = one_call(&[map_text(&record("aaaa", variables))]).call;
    let ending = call.ending().unwrap();
    (call.status(), ending.cause, ending.by)
}

#[test]
fn the_user_is_the_called_party_of_a_call_that_the_switch_placed() {
    let outbound = ("direction", "outbound");
    let clearing = ("hangup_cause", "NORMAL_CLEARING");
    let far_end = ending_of(&[outbound, ANSWERED, BRIDGED, clearing, ("sip_hangup_disposition", "recv_bye")]);
    assert_eq!(far_end, (Status::Completed, Cause::UserHangup, Some(Party::Callee)));
    let cancelled = ending_of(&[outbound, ("hangup_cause", "ORIGINATOR_CANCEL")]);
    assert_eq!(cancelled, (Status::Canceled, Cause::AgentHangup, Some(Party::Caller)));
    let busy = [outbound, ("hangup_cause", "USER_BUSY"), ("sip_hangup_disposition", "recv_refuse")];
    assert_eq!(ending_of(&busy), (Status::Busy, Cause::Busy, Some(Party::Callee)));
    let call = one_call(&[map_text(&record("aaaa", &busy))]).call;
    assert_eq!(call.direction, Direction::Outbound);
}

#[test]
fn a_callee_who_hangs_up_is_known_from_the_callers_record_alone() {
    let hung_up = ending_of(&[
        ("direction", "inbound"),
        ANSWERED,
        BRIDGED,
        ("hangup_cause", "NORMAL_CLEARING"),
        ("sip_hangup_disposition", "send_bye"),
        ("last_bridge_proto_specific_hangup_cause", "sip:200"),
        ("last_app", "bridge"),
    ]);
    assert_eq!(hung_up, (Status::Completed, Cause::AgentHangup, Some(Party::Callee)));
}

#[test]
fn a_longest_duration_is_a_timeout_only_after_an_answer() {
    let timeout = ("hangup_cause", "ALLOTTED_TIMEOUT");
    assert_eq!(ending_of(&[ANSWERED, timeout]), (Status::Completed, Cause::Timeout, Some(Party::System)));
    assert_eq!(ending_of(&[timeout]), (Status::NoAnswer, Cause::NoAnswer, Some(Party::System)));
}

#[test]
fn a_cause_that_says_nothing_gives_way_to_what_was_dialled_and_to_the_code() {
    let clearing = ("hangup_cause", "NORMAL_CLEARING");
    let refused = ("sip_hangup_disposition", "send_refuse");
    let rang_out = ending_of(&[clearing, refused, ("originate_disposition", "NO_ANSWER")]);
    assert_eq!(rang_out, (Status::NoAnswer, Cause::NoAnswer, Some(Party::System)));
    let unnamed = ending_of(&[("hangup_cause", "SOMETHING_NEW"), ("hangup_cause_q850", "38")]);
    assert_eq!(unnamed, (Status::Failed, Cause::NetworkError, Some(Party::System)));
    let lost = ending_of(&[ANSWERED, ("hangup_cause", "MEDIA_TIMEOUT")]);
    assert_eq!(lost, (Status::Failed, Cause::NetworkError, Some(Party::System)));
    let ordered = ending_of(&[ANSWERED, ("hangup_cause", "MANAGER_REQUEST")]);
    assert_eq!(ordered, (Status::Completed, Cause::NormalClearing, Some(Party::Api)));
}

#[test]
fn a_mailbox_that_answered_but_was_never_put_through_is_no_answer() {
    let caller = record("aaaa", &[("direction", "inbound"), ("hangup_cause", "NO_ANSWER")]);
    let mobile = record("bbbb", &[("originator", "aaaa"), ANSWERED, ("hangup_cause", "NORMAL_CLEARING")]);
    let call = one_call(&[map_text(&mobile), map_text(&caller)]).call;
    assert_eq!((call.status(), call.answered_at()), (Status::NoAnswer, None));
    let asked = ("bridge_uepoch", "1795185506000000");
    let mobile = record("bbbb", &[("originator", "aaaa"), ANSWERED, asked]);
    let call = one_call(&[map_text(&mobile), map_text(&record("aaaa", &[("answer_uepoch", asked.1)]))]).call;
    assert_eq!(call.answered_at().map(Timestamp::millis), Some(1_795_185_506_000));
}

#[test]
fn an_agent_who_stays_on_the_line_does_not_make_one_call_of_all_callers() {
    let agent = [ANSWERED, BRIDGED, ("direction", "outbound"), ("bridge_uuid", "callerb")];
    let caller =
        [ANSWERED, BRIDGED, ("direction", "inbound"), ("bridge_uuid", "agent"), ("signal_bond", "agent")];
    let records = [record("agent", &agent), record("callera", &caller), record("callerb", &caller)];
    let records: Vec<Mapped> = records.iter().map(|text| map_text(text)).collect();
    assert_eq!(replay_in_every_order(&records).len(), 3);
}

#[test]
fn an_attended_transfer_makes_the_two_calls_one() {
    let transfer = "1795185505:x:att_xfer:2001@host/carol@host";
    let alice = [
        ANSWERED,
        BRIDGED,
        ("originated_legs", "bobone;Outbound Call;bob"),
        ("bridge_uuid", "carol"),
        ("transfer_history", transfer),
    ];
    let texts = [
        record("alice", &alice),
        record("bobone", &[ANSWERED, BRIDGED, ("originator", "alice")]),
        record("bobtwo", &[ANSWERED, BRIDGED, ("originated_legs", "ARRAY::dave;x;1|:carol;x;2")]),
        record("carol", &[ANSWERED, BRIDGED, ("originator", "bobtwo")]),
    ];
    let records: Vec<Mapped> = texts.iter().map(|text| map_text(text)).collect();
    assert_eq!(replay_in_every_order(&records).len(), 1);
}

#[test]
fn a_menus_choice_is_no_transfer_but_a_second_destination_after_talk_is() {
    let history =
        ("transfer_history", "ARRAY::1795185501:x:bl_xfer:200/lab/XML|:1795185505:x:bl_xfer:300/lab/XML");
    let mut text: Value = serde_json::from_str(&record("aaaa", &[ANSWERED, BRIDGED, history])).unwrap();
    text["callflow"] = json!([
        {"times": {"transfer_time": "0"}},
        {"times": {"transfer_time": "1795185505500000", "bridged_time": "1795185502000000"}},
        {"times": {"transfer_time": 1_795_185_501_200_000_i64, "bridged_time": "0"}},
    ]);
    let mapped = map_text(&text.to_string());
    let mut transfers = mapped.tellings.iter().filter(|telling| telling.kind == kinds::CALL_TRANSFERRED);
    let transfer = transfers.next().unwrap();
    assert_eq!((transfer.at.millis(), transfer.id.as_str()), (1_795_185_505_500, "aaaa-transferred"));
    assert!(transfer.data.contains("\"300\"") && transfers.next().is_none());
}

#[test]
fn a_recording_is_told_only_where_others_can_fetch_it() {
    let mut text: Value = serde_json::from_str(&record(
        "aaaa",
        &[ANSWERED, ("record_ms", "7060"), ("record_file_size", "225964")],
    ))
    .unwrap();
    let log = |target: &str| json!({"applications": [{"app_name": "record_session", "app_data": target}]});
    text["app_log"] = log("http_cache://https://shelf.example/a.wav");
    let recording = one_call(&[map_text(&text.to_string())]).call.content.recording.unwrap();
    assert_eq!(recording.url.as_deref(), Some("https://shelf.example/a.wav"));
    assert_eq!((recording.duration_seconds, recording.size_bytes), (Some(7.06), Some(225_964)));
    text["app_log"] = log("/var/lib/freeswitch/recordings/a.wav");
    assert!(one_call(&[map_text(&text.to_string())]).call.content.recording.is_none());
}

#[test]
fn a_body_is_read_in_every_encoding_whatever_its_label() {
    let json = recorded("answered.1");
    let expected = format!("{:?}", map_text(&json).tellings);
    let escaped: String = url_escaped(&json, "%20");
    let plus = url_escaped(&json, "+");
    let padded = BASE64.encode(json.as_bytes());
    let bare = BASE64_NOPAD.encode(json.as_bytes());
    let bodies = [
        json.clone(),
        format!("\u{feff}\r\n{json}\n"),
        format!("cdr={escaped}"),
        format!("cdr={plus}"),
        format!("uuid=1&cdr={escaped}&x=1"),
        format!("cdr={json}"),
        format!("cdr={padded}"),
        format!("cdr={bare}"),
        format!("cdr={}", url_escaped(&padded, "%20")),
        // As it lies in `err-log-dir`: without the field's name.
        escaped,
        padded,
    ];
    for label in [
        None,
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("application/x-www-form-base64-encoded"),
    ] {
        for body in &bodies {
            let mapped = read(label, body.as_bytes(), RECEIVED_AT)
                .unwrap_or_else(|error| panic!("{error}: {body:.80}"));
            assert_eq!(format!("{:?}", mapped.tellings), expected, "{body:.80}");
        }
    }
}

/// As `switch_url_encode` does it: everything unsafe as `%XX`.
fn url_escaped(text: &str, space: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => space.to_owned(),
            byte if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[test]
fn values_are_decoded_only_in_a_record_that_encoded_them() {
    for scenario in ["answered.1", "blind-transfer-refer.3"] {
        let plain: Value = serde_json::from_str(&recorded(scenario)).unwrap();
        let mut encoded = plain.clone();
        for (_, value) in encoded["variables"].as_object_mut().unwrap() {
            *value = url_escaped(value.as_str().unwrap(), "%20").into();
        }
        let tellings = |value: &Value| format!("{:?}", map_text(&value.to_string()).tellings);
        assert_eq!(tellings(&encoded), tellings(&plain), "{scenario}");
    }
    let call_id = |variables: &[(&str, &str)]| {
        let call = one_call(&[map_text(&record("aaaa", variables))]).call;
        call.content.telephony.sip_call_id.unwrap()
    };
    assert_eq!(call_id(&[("sip_call_id", "50%25%zz%4")]), "50%%zz%4");
    let stamp = ("start_stamp", "2026-11-20 14:38:42");
    assert_eq!(call_id(&[("sip_call_id", "50%25"), stamp]), "50%25");
}

#[test]
fn values_may_be_missing_null_or_numbers() {
    let text = json!({
        "callStats": null,
        "app_log": [],
        "variables": {"uuid": "aaaa", "hangup_cause": null, "hangup_cause_q850": 17, "answer_uepoch": 0, "x": {"y": 1}},
        "callflow": {"caller_profile": {"caller_id_number": 2001}, "times": {"created_time": 1_795_185_500_000_000_i64}},
    });
    let call = one_call(&[map_text(&text.to_string())]).call;
    assert_eq!((call.status(), call.from_number.as_deref()), (Status::NoAnswer, Some("2001")));
    assert_eq!(call.created_at.millis(), 1_795_185_500_000);
}

#[test]
fn what_is_no_record_is_refused_in_a_sentence() {
    let sentence = |body: &str| read(Some("text/plain"), body.as_bytes(), RECEIVED_AT).unwrap_err();
    assert!(sentence("").contains("empty"));
    assert!(sentence("hello").contains("text/plain"));
    assert!(sentence("cdr=!!!").contains("base64"));
    assert!(sentence("{").contains("no JSON"));
    assert!(sentence("{}").contains("uuid"));
    assert!(sentence(r#"{"variables":{"uuid":"a"}}"#).contains("created"));
    assert!(sentence(&" ".repeat(5 * 1024 * 1024)).contains("at most"));
}

#[test]
fn a_uuid_of_the_users_own_making_still_names_call_leg_and_events() {
    let odd = format!("my call/{}", "x".repeat(200));
    let mapped = map_text(&record(&odd, &[]));
    let CallReference::Legs { name, .. } = &mapped.call else { panic!("legs") };
    assert!(name.as_str().starts_with("call_"));
    assert_eq!(one_call(&[mapped]).call.status(), Status::NoAnswer);
}

#[test]
fn a_folder_gives_its_records_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.cdr.json", "a.json", "c.txt"] {
        std::fs::write(folder.path().join(name), recorded("busy.1")).unwrap();
    }
    let files = record_files(folder.path()).unwrap();
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.json", "b.cdr.json"]);
    assert!(read_file(&std::fs::read(&files[0]).unwrap(), RECEIVED_AT).is_ok());
    assert_eq!(record_files(&files[0]).unwrap(), files[..1]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(None, &body, RECEIVED_AT);
        let _ = json_text(Some("x"), &[b"cdr=", body.as_slice()].concat());
        let _ = read(None, &[b"{", body.as_slice()].concat(), RECEIVED_AT);
    }

    #[test]
    fn arbitrary_values_in_a_record_make_events_that_are_taken(
        values in proptest::collection::vec("\\PC{0,300}|[0-9]{1,20}|ARRAY::.{0,40}", 12),
    ) {
        let names = ["originator", "originated_legs", "transfer_history", "hangup_cause", "hangup_cause_q850",
            "answer_uepoch", "sip_call_id", "accountcode", "rtp_audio_in_mos", "rtp_audio_in_media_packet_count",
            "read_codec", "sip_term_status"];
        let variables: Vec<(&str, &str)> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
        if let Ok(mapped) = read(None, record("aaaa", &variables).as_bytes(), RECEIVED_AT) {
            for telling in mapped.tellings {
                let told = crate::vocabulary::tell(telling);
                // A clock that runs far ahead, or before 1990, is refused by the vocabulary, in a sentence.
                let odd_time = told.as_ref().is_err_and(|rejection| rejection.message.contains(" lies "));
                prop_assert!(told.is_ok() || odd_time, "{:?}", told);
            }
        }
    }
}
