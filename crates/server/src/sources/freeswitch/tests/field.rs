//! Records of kinds that users have reported: of one leg alone, of channels that never came up, in other encodings.

use pegcount_calls::{Call, State, open_end};

use super::*;
use crate::vocabulary::tell;

const FIELD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/field/freeswitch");

/// 2026-01-15T10:00:00Z.
const TEN: i64 = 1_768_471_200_000;

fn field(name: &str) -> Mapped {
    read_file(&std::fs::read(format!("{FIELD}/{name}.1.json")).unwrap(), RECEIVED_AT).unwrap()
}

fn call_of(name: &str) -> Call {
    one_call(&[field(name)]).call
}

fn times(call: &Call) -> (i64, Option<i64>, Option<i64>) {
    let since = |at: Timestamp| (at.millis() - TEN) / 1000;
    (since(call.created_at), call.answered_at().map(since), call.ended_at().map(since))
}

#[test]
fn the_record_of_a_dialled_channel_alone_ends_its_call() {
    let call = call_of("f1-bonly");
    assert_eq!((call.status(), times(&call)), (Status::Completed, (1, Some(5), Some(65))));
    assert_eq!(call.talk_time().unwrap().as_secs(), 60);
    assert_eq!((call.from_number.as_deref(), call.to_number.as_deref()), (Some("5552001"), Some("5552100")));
    assert!(call.ending().unwrap().inferred);
}

#[test]
fn an_ordinary_call_is_never_live_whichever_record_comes_first() {
    for scenario in ["answered", "busy", "no-answer", "cancelled", "blind-transfer-refer"] {
        let records = records(scenario);
        let whole = one_call(&records).call;
        for record in &records {
            let call = one_call(std::slice::from_ref(record)).call;
            assert!(!call.is_live(), "{scenario}: {:?}", call.state);
            // What a leg alone ends, it ends as it did: not as anything that the whole call is not.
            if let Some(ending) = call.ending() {
                assert_eq!(ending.status(), whole.status(), "{scenario}");
            }
        }
    }
}

#[test]
fn a_branch_that_lost_the_race_neither_ends_its_call_nor_makes_it_live() {
    let caller = "11111111-0000-4000-8000-000000000001";
    let lost = [("originator", caller), ("hangup_cause", "LOSE_RACE"), ("hangup_cause_q850", "502")];
    let lost = map_text(&record("22222222-0000-4000-8000-000000000002", &lost));
    let alone = one_call(std::slice::from_ref(&lost));
    assert_eq!(alone.call.state, State::Queued);
    let events = lost.tellings.iter().map(|telling| tell(telling.clone()).unwrap().event);
    let open = open_end(&pegcount_calls::History::of(events).unwrap()).unwrap();
    assert!(open.goes_on_elsewhere);
    // The caller's own record ends it.
    let caller = map_text(&record(caller, &[ANSWERED, ("hangup_cause", "NORMAL_CLEARING")]));
    let call = one_call(&[lost, caller]).call;
    assert_eq!((call.status(), call.ending().unwrap().inferred), (Status::Completed, false));
}

#[test]
fn a_channel_that_never_came_up_ended_when_it_last_did_something() {
    let call = call_of("f2-neverup");
    assert_eq!((call.status(), times(&call)), (Status::Failed, (0, None, Some(0))));
    assert!(call.ending().unwrap().inferred);
}

#[test]
fn the_lengths_that_a_record_states_stand_in_for_an_end_that_it_lacks() {
    let call = call_of("f2b-noend");
    assert_eq!((call.status(), times(&call)), (Status::Completed, (0, Some(5), Some(65))));
    assert_eq!((call.talk_time().unwrap().as_secs(), call.ending().unwrap().inferred), (60, false));
    let unanswered = [("end_uepoch", "0"), ("duration", "20"), ("hangup_cause", "NO_ANSWER")];
    let call = one_call(&[map_text(&record("aaaa", &unanswered))]).call;
    assert_eq!((call.status(), call.total_time().unwrap().as_secs()), (Status::NoAnswer, 20));
}

#[test]
fn what_the_switch_counted_goes_before_a_clock_that_was_set() {
    let call = one_call(&[map_text(&record("aaaa", &[ANSWERED, ("billsec", "5")]))]).call;
    assert_eq!(call.talk_time().unwrap().as_secs(), 5);
    let mapped = map_text(&record("aaaa", &[ANSWERED, ("billsec", "5")]));
    assert!(mapped.tellings.last().unwrap().data.contains("\"clock_duration\":8.0"));
}

#[test]
fn a_record_in_latin_1_is_the_same_call_by_either_door() {
    let bytes = std::fs::read(format!("{FIELD}/f10-latin1.1.json")).unwrap();
    assert!(std::str::from_utf8(&bytes).is_err());
    let posted = read(Some("application/json"), &bytes, RECEIVED_AT).unwrap();
    assert_eq!(format!("{:?}", posted.tellings), format!("{:?}", field("f10-latin1").tellings));
    assert_eq!(times(&call_of("f10-latin1")), (0, Some(5), Some(65)));
}

#[test]
fn times_in_whole_seconds_are_read_where_there_are_no_others() {
    let call = call_of("f5b-epochs");
    assert_eq!((call.status(), times(&call)), (Status::Completed, (0, Some(5), Some(65))));
    assert_eq!(call.ringing_at.map(Timestamp::millis), Some(TEN + 1000));
    // Where there are, they stay exact.
    let exact = [("start_epoch", "1795185499"), ("answer_epoch", "1795185501"), ANSWERED];
    let call = one_call(&[map_text(&record("aaaa", &exact))]).call;
    assert_eq!(call.answered_at().map(Timestamp::millis), Some(1_795_185_502_000));
}

#[test]
fn a_caller_who_leaves_the_queue_before_an_agent_answers_gave_up() {
    let call = call_of("f3-abandoned");
    assert_eq!((call.status(), times(&call)), (Status::Canceled, (0, None, Some(45))));
    assert_eq!((call.ending().unwrap().by, call.talk_time().unwrap().as_secs()), (Some(Party::Caller), 0));
    assert_eq!(call.content.metadata["queue"].as_json_text(), "\"support@x\"");
}

#[test]
fn a_placeholder_for_a_channel_ties_nothing() {
    let variables = |placeholder: &'static str| {
        [
            ("originator", placeholder),
            ("originated_legs", placeholder),
            ("transfer_history", "1:x:att_xfer:1/x/XML"),
            ("bridge_uuid", placeholder),
        ]
    };
    for placeholder in ["NULL", "none", "0", "-", "00000000-0000-0000-0000-000000000000"] {
        let records = [
            map_text(&record("aaaa", &variables(placeholder))),
            map_text(&record("bbbb", &variables(placeholder))),
        ];
        assert_eq!(replay_in_every_order(&records).len(), 2, "{placeholder}");
    }
}
