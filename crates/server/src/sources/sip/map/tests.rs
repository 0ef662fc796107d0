use std::sync::Arc;

use pegcount_calls::{Call, Event, History, Status, fold};
use pegcount_gateway::{
    By, Cause, Direction,
    recording::{Flaws, Format},
};

use super::*;
use crate::vocabulary::{self, tell};

const NOW: i64 = 1_767_261_600_000;

fn reports(note: &Note, course: &[(u64, What)]) -> Vec<Report> {
    let begin = What::Invited {
        direction: note.direction(),
        from: "heard-from".into(),
        to: "heard-to".into(),
        trunk: Some("carrier".into()),
        sip_call_id: (!note.ordered).then(|| "abc@carrier".into()),
        note: note.text(),
        identity: Arc::default(),
    };
    let report = |(at, what): (u64, What)| Report {
        call: CallId::new("call_1"),
        account: "7".into(),
        at: NOW as u64 + at,
        what,
    };
    [(0, begin)].into_iter().chain(course.iter().cloned()).map(report).collect()
}

/// The events of a course, each as its id, kind and data.
fn events(note: &Note, course: &[(u64, What)]) -> Vec<(String, String, Value)> {
    let mut mapper = Mapper::new(Duration::from_secs(3_600));
    let mut told = Vec::new();
    for report in reports(note, course) {
        let Some(mapped) = mapper.map(&report, Timestamp::from_millis(NOW)) else { continue };
        assert_eq!((mapped.organization.0, mapped.call.as_str()), (7, "call_1"));
        assert_eq!(mapped.telling.at.millis(), i64::try_from(report.at).unwrap());
        let checked = tell(mapped.telling.clone()).expect("an event that is taken");
        assert_eq!(checked.report.source.as_str(), "sip");
        let data = serde_json::from_str(&mapped.telling.data).expect("an object");
        told.push((mapped.telling.id.to_string(), mapped.telling.kind, data));
    }
    told
}

fn kinds_of(told: &[(String, String, Value)]) -> Vec<&str> {
    told.iter().map(|(_, kind, _)| kind.as_str()).collect()
}

fn folded(note: &Note, course: &[(u64, What)]) -> Call {
    let mut mapper = Mapper::new(Duration::from_secs(3_600));
    let all: Vec<Event> = reports(note, course)
        .iter()
        .filter_map(|report| mapper.map(report, Timestamp::from_millis(NOW)))
        .map(|mapped| vocabulary::tell(mapped.telling).expect("an event that is taken").event)
        .collect();
    fold(&History::of(all).expect("a call"))
}

fn inbound() -> Note {
    Note {
        callee_is_ours: true,
        from: "+14155551234".into(),
        to: "+2348012345678".into(),
        line: Some("+2348012345678".into()),
        phone_number: pegcount_calls::PhoneNumberName::new("pn_123").ok(),
        endpoint: pegcount_calls::EndpointName::new("ep_xyz789").ok(),
        ..Note::default()
    }
}

fn ended(cause: Cause, by: By, talked_ms: Option<u64>) -> What {
    What::Ended(Ended { why: cause.into(), by, talked_ms, dropped_reports: 0 })
}

fn answered_call() -> Vec<(u64, What)> {
    let quality = Quality {
        codec: Some("PCMU".into()),
        packets: 495,
        lost: 5,
        reordered: 1,
        jitter_ms: Some(1.23456),
        round_trip_ms: Some(120.04),
        mos: Some(4.3),
    };
    vec![
        (1, What::InviteSent { uri: "sip:agent@sip.rtc.elevenlabs.io".into(), attempt: 1 }),
        (20, What::Ringing),
        (5_000, What::Answered),
        (5_000, What::RecordingBegun),
        (5_120, What::MediaEstablished { codec: "PCMU".into(), latency_ms: 120 }),
        (9_000, What::Dtmf { side: Side::Caller, digit: '#' }),
        (10_000, What::Held { by: Side::Callee }),
        (11_000, What::Resumed { by: Side::Callee }),
        (185_000, What::MediaQuality { side: Side::Callee, quality }),
        (185_001, ended(Cause::NormalClearing, By::Caller, Some(180_000))),
        (187_000, What::Recorded(recording())),
    ]
}

fn recording() -> Recording {
    Recording {
        file: "/data/recordings/7.call_1.mp3".into(),
        format: Format::Mp3,
        channels: 1,
        bytes: 1_440_000,
        duration: Duration::from_millis(180_020),
        sha256: [0xab; 32],
        begins_at: 0,
        flaws: Flaws::default(),
    }
}

#[test]
fn an_answered_call_has_the_timeline_of_the_v1_document() {
    let told = events(&inbound(), &answered_call());
    assert_eq!(
        kinds_of(&told),
        [
            "call_initiated",
            "sip_invite_sent",
            "call_ringing",
            "call_answered",
            "sip_media_established",
            "dtmf_received",
            "call_held",
            "call_resumed",
            "media_quality",
            "call_completed",
            "recording_ready",
        ]
    );
    let data: Vec<&Value> = told.iter().map(|(_, _, data)| data).collect();
    assert_eq!(
        *data[0],
        json!({
            "direction": "inbound", "from_number": "+14155551234", "to_number": "+2348012345678",
            "endpoint_id": "ep_xyz789", "phone_number_id": "pn_123",
            "telephony": { "sip_call_id": "abc@carrier" }, "sip_trunk": "carrier",
        })
    );
    assert_eq!(*data[1], json!({ "sip_uri": "sip:agent@sip.rtc.elevenlabs.io" }));
    assert_eq!((data[2], data[3]), (&json!({}), &json!({})));
    assert_eq!(*data[4], json!({ "codec": "PCMU", "latency_ms": 120 }));
    assert_eq!(*data[5], json!({ "leg": "caller", "digit": "#" }));
    assert_eq!((data[6], data[7]), (&json!({ "leg": "agent" }), &json!({ "leg": "agent" })));
    assert_eq!(
        *data[8],
        json!({
            "leg": "agent", "latency_ms": 120, "jitter_ms": 1.23, "packet_loss": 0.01, "mos": 4.3,
            "audio_codec": "PCMU", "sample_rate_hz": 8000, "packets_received": 495, "packets_lost": 5,
            "packets_reordered": 1,
        })
    );
    assert_eq!(
        *data[9],
        json!({ "duration": 180, "hangup_cause": "user_hangup", "hangup_source": "caller", "recorded": true })
    );
    assert_eq!(
        *data[10],
        json!({
            "object": "7.call_1.mp3", "duration_seconds": 180.02, "format": "mp3", "size_bytes": 1_440_000,
            "channels": 1, "sample_rate_hz": 48_000, "sha256": "ab".repeat(32), "begins_at": 0,
        })
    );
}

#[test]
fn ids_sort_as_the_events_came_and_a_call_that_is_over_is_forgotten() {
    let told = events(&inbound(), &answered_call());
    let ids: Vec<&String> = told.iter().map(|(id, _, _)| id).collect();
    assert!(ids.is_sorted() && ids[0] == "evt_00001", "{ids:?}");
    let mut mapper = Mapper::new(Duration::from_secs(1));
    for report in reports(&inbound(), &answered_call()) {
        mapper.map(&report, Timestamp::from_millis(NOW));
    }
    assert_eq!(mapper.remembered(), 0);
}

#[test]
fn the_user_is_the_outside_party_whichever_way_the_call_goes() {
    let outbound = Note { caller_is_ours: true, ..Note::default() };
    let ordered = Note { ordered: true, ..inbound() };
    for (note, side, leg, direction) in [
        (inbound(), Side::Caller, "caller", "inbound"),
        (inbound(), Side::Callee, "agent", "inbound"),
        (outbound.clone(), Side::Caller, "agent", "outbound"),
        (outbound, Side::Callee, "caller", "outbound"),
        // First the outside party is called, and stands on the caller's side of the gateway.
        (ordered.clone(), Side::Caller, "caller", "outbound"),
        (ordered, Side::Callee, "agent", "outbound"),
    ] {
        let quality = What::MediaQuality { side, quality: Quality::default() };
        let told = events(&note, &[(1, quality)]);
        assert_eq!(told[0].2["direction"], direction, "{note:?}");
        assert_eq!(told[1].2["leg"], leg, "{note:?} {side:?}");
        if side == Side::Caller {
            assert_eq!(told[0].2["calling_leg"].as_str().unwrap_or("caller"), leg, "{note:?}");
        }
    }
}

#[test]
fn a_transfer_that_worked_is_told_and_one_that_did_not_leaves_a_trace_without_effect() {
    let (by, target) = (Side::Callee, "sip:+4930@carrier".to_owned());
    let course = [
        (1, What::TransferAsked { by, target: target.clone() }),
        (2, What::TransferEnded { by, target: target.clone(), result: Err(Why::of_response(486, None)) }),
        (3, What::TransferEnded { by, target, result: Ok(()) }),
    ];
    let told = events(&inbound(), &course);
    assert_eq!(kinds_of(&told), ["call_initiated", "x_transfer_failed", "call_transferred"]);
    assert_eq!(told[1].2, json!({ "leg": "agent", "to": "sip:+4930@carrier", "sip_status": 486 }));
    assert_eq!(told[2].2, json!({ "leg": "agent", "to": "sip:+4930@carrier" }));
}

#[test]
fn the_end_keeps_the_raw_codes_and_a_peers_words_never_mean_a_transfer() {
    let why = Why::of_response(486, Some("Q.850;cause=17;text=\"User busy\""));
    let end = |why| What::Ended(Ended { why, by: By::Callee, talked_ms: None, dropped_reports: 3 });
    let told = events(&inbound(), &[(1, end(why))]);
    assert_eq!(
        told[1],
        (
            "evt_00002".to_owned(),
            "call_failed".to_owned(),
            json!({
                "duration": 0, "hangup_cause": "busy", "hangup_source": "callee", "sip_status": 486,
                "q850_cause": 17, "reason": "User busy", "reports_dropped": 3,
            })
        )
    );
    let why = Why::of_response(480, Some("Q.850;cause=19;text=\" Transfer\""));
    assert_eq!(events(&inbound(), &[(1, end(why))])[1].2.get("reason"), None);
}

#[test]
fn the_calls_stand_as_their_reports_say() {
    let outbound = || Note { caller_is_ours: true, ..Note::default() };
    let ring = (1, What::Ringing);
    let answer = (2, What::Answered);
    for (note, course, status) in [
        (inbound(), vec![], Status::Initiated),
        (inbound(), vec![ring.clone()], Status::Ringing),
        (inbound(), vec![ring.clone(), answer.clone()], Status::InProgress),
        (inbound(), answered_call(), Status::Completed),
        (inbound(), vec![ring.clone(), (9, ended(Cause::Cancelled, By::Caller, None))], Status::Canceled),
        (outbound(), vec![ring.clone(), (9, ended(Cause::Cancelled, By::Caller, None))], Status::Canceled),
        (inbound(), vec![ring.clone(), (9, ended(Cause::NoAnswer, By::Callee, None))], Status::NoAnswer),
        (inbound(), vec![(9, ended(Cause::Busy, By::Callee, None))], Status::Busy),
        (inbound(), vec![(9, ended(Cause::Rejected, By::Callee, None))], Status::Failed),
        (inbound(), vec![(9, ended(Cause::Unreachable, By::Callee, None))], Status::Failed),
        (inbound(), vec![ring.clone(), (9, ended(Cause::NormalClearing, By::Api, None))], Status::Canceled),
        (
            inbound(),
            vec![answer.clone(), (9, ended(Cause::NormalClearing, By::Api, Some(7)))],
            Status::Completed,
        ),
        (
            inbound(),
            vec![answer.clone(), (9, ended(Cause::MediaFailure, By::System, Some(7)))],
            Status::Failed,
        ),
        (inbound(), vec![answer, (9, ended(Cause::Timeout, By::System, Some(3_600_000)))], Status::Completed),
    ] {
        assert_eq!(folded(&note, &course).status(), status, "{note:?} {course:?}");
    }
    assert_eq!(folded(&outbound(), &[]).direction, pegcount_calls::Direction::Outbound);
    assert_eq!(outbound().direction(), Direction::Outbound);
}

#[test]
fn a_call_that_opted_out_says_so_at_its_beginning() {
    let note = Note { opt_out: true, ..inbound() };
    assert_eq!(events(&note, &[])[0].2["opt_out_sensitive_data_storage"], true);
    assert!(folded(&note, &[]).opt_out);
}

#[test]
fn what_an_order_wants_to_be_found_by_is_the_calls_metadata() {
    let metadata = Some(r#"{"batch_call_id":"b1"}"#.to_owned());
    let note = Note { ordered: true, metadata, ..inbound() };
    let first = events(&note, &[]).remove(0).2;
    assert_eq!(first["metadata"], json!({ "batch_call_id": "b1" }));
    assert_eq!(first.get("telephony"), None);
}

#[test]
fn what_is_known_of_callers_is_kept() {
    let identity = CallerIdentity {
        name: Some("Anonymous".into()),
        asserted_number: Some("+15559999".into()),
        is_private: true,
        hides_forwarding: false,
        diversions: vec![pegcount_gateway::Diversion {
            number: "+15550188".into(),
            reason: Some("user-busy".into()),
        }],
        attestation: Some(pegcount_gateway::Attestation {
            level: Some(AttestationLevel::B),
            passed: Some(true),
            reason: Some("TN-Validation-Passed-B".into()),
        }),
        headers: vec![("X-Ref".into(), "r1".into()), ("User-to-User".into(), "56;encoding=hex".into())],
    };
    let note = Note { metadata: Some(r#"{"X-Ref":"ordered"}"#.into()), ..inbound() };
    let mut report = reports(&note, &[]).remove(0);
    let What::Invited { identity: known, .. } = &mut report.what else { panic!("a beginning") };
    *known = Arc::new(identity);
    let mut mapper = Mapper::new(Duration::from_secs(1));
    let mapped = mapper.map(&report, Timestamp::from_millis(NOW)).unwrap();
    let data: Value = serde_json::from_str(&mapped.telling.data).unwrap();
    let headers = json!({ "X-Ref": "r1", "User-to-User": "56;encoding=hex" });
    for (field, value) in [
        ("caller_name", json!("Anonymous")),
        ("asserted_number", json!("+15559999")),
        ("privacy", json!(true)),
        ("diversion", json!([{ "number": "+15550188", "reason": "user-busy" }])),
        ("attestation", json!({ "level": "B", "passed": true, "reason": "TN-Validation-Passed-B" })),
        ("headers", headers),
        // What an order says goes before what a message says.
        ("metadata", json!({ "X-Ref": "ordered", "User-to-User": "56;encoding=hex" })),
    ] {
        assert_eq!(data[field], value, "{field}");
    }
    let event = vocabulary::tell(mapped.telling).expect("an event that is taken").event;
    let caller = fold(&History::of([event]).expect("a call")).content.caller;
    assert_eq!((caller.asserted_number.as_deref(), caller.privacy), (Some("+15559999"), Some(true)));
    assert_eq!(caller.headers.unwrap()["User-to-User"], "56;encoding=hex");
    assert_eq!(caller.attestation.unwrap().level, Some(pegcount_calls::AttestationLevel::B));
    assert_eq!(caller.diversion.unwrap()[0].number, "+15550188");
}

#[test]
fn a_call_of_ten_thousand_keys_still_has_room_for_its_end() {
    let mut course: Vec<(u64, What)> =
        (0..20_000).map(|at| (at, What::Dtmf { side: Side::Caller, digit: '1' })).collect();
    course.push((20_000, ended(Cause::NormalClearing, By::Caller, None)));
    let told = events(&inbound(), &course);
    assert_eq!(told.len(), 1 + 10_000 + 1);
    assert_eq!(told.last().unwrap().1, "call_completed");
}

#[test]
fn a_recording_that_a_crash_left_has_an_id_of_its_own() {
    let mut mapper = Mapper::new(Duration::from_secs(1));
    let report = Report {
        call: CallId::new("call_1"),
        account: "7".into(),
        at: NOW as u64,
        what: What::Recorded(Recording {
            flaws: Flaws { interrupted: true, ..Flaws::default() },
            ..recording()
        }),
    };
    let mapped = mapper.map(&report, Timestamp::from_millis(NOW)).unwrap();
    assert_eq!(mapped.telling.id.as_str(), "evt_recovered_recording");
    assert!(mapped.telling.data.contains("\"incomplete\":true"));
    let foreign = Report { account: "x".into(), ..report };
    assert!(mapper.map(&foreign, Timestamp::from_millis(NOW)).is_none());
}
