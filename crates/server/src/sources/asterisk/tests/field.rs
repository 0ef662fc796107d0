//! Files of kinds that users have reported: reused lines, exports of databases, clocks that pass an hour twice.

use super::*;
use crate::sources::replay::sorted_calls;
use pegcount_calls::{Call, State};

const FIELD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/field");

/// 2026-01-15T10:00:00Z.
const TEN: i64 = 1_768_471_200_000;

fn text(file: &str) -> String {
    std::fs::read_to_string(format!("{FIELD}/{file}.csv")).unwrap()
}

fn cdr_calls(file: &str) -> Vec<Call> {
    sorted_calls(&good(cdr_rows(&text(&format!("asterisk-cdr/{file}")))))
}

fn cel_call(file: &str) -> Call {
    let call = one_call(&good(cel_rows(&text(&format!("asterisk-cel/{file}"))))).call;
    assert!(!call.is_live());
    call
}

/// Status and talk time in milliseconds.
fn outcomes(calls: &[Call]) -> Vec<(Status, u128)> {
    calls.iter().map(|call| (call.status(), call.talk_time().unwrap().as_millis())).collect()
}

#[test]
fn a_line_that_is_used_again_makes_calls_of_their_own() {
    let completed = |seconds: u128| (Status::Completed, seconds * 1000);
    assert_eq!(outcomes(&cdr_calls("a2-dahdi-reuse")), [completed(25), completed(27)]);
    assert_eq!(outcomes(&cdr_calls("a2b-dahdi-reuse-2s")), [completed(25), completed(27)]);
    let dialled = cdr_calls("a2c-dahdi-out");
    assert_eq!(outcomes(&dialled), [completed(25), completed(34)]);
    let numbers = dialled.iter().map(|call| (call.from_number.as_deref(), call.to_number.as_deref()));
    assert_eq!(numbers.collect::<Vec<_>>(), [(Some("201"), Some("5550301")), (Some("202"), Some("5550302"))]);
    assert_eq!(outcomes(&cdr_calls("a2d-dahdi-chain")), [completed(25); 10]);
}

#[test]
fn a_line_that_rings_in_the_second_in_which_it_was_given_up_is_another_call() {
    // Dialled by the first row, calling in by the second.
    let rows = "\"\",\"201\",\"5550301\",\"x\",\"x\",\"SIP/201-0000001a\",\"DAHDI/4-1\",\"Dial\",\"\",\"2026-01-15 10:00:00\",\
                \"2026-01-15 10:00:05\",\"2026-01-15 10:00:30\",30,25,\"ANSWERED\",\"3\",\"1768471200.20\",\"\"\n\
                \"\",\"5550302\",\"s\",\"x\",\"x\",\"DAHDI/4-1\",\"\",\"Playback\",\"\",\"2026-01-15 10:00:30\",\
                \"2026-01-15 10:00:30\",\"2026-01-15 10:00:50\",20,20,\"ANSWERED\",\"3\",\"1768471230.22\",\"\"\n";
    assert_eq!(replay_in_every_order(&good(cdr_rows(rows))).len(), 2);
    // The same channel of a phone, transferred in that second, is one call.
    let transferred =
        rows.replace("DAHDI/4-1", "PJSIP/bob-0000001b").replace("1768471230.22", "1768471200.21");
    assert_eq!(replay_in_every_order(&good(cdr_rows(&transferred))).len(), 1);
}

#[test]
fn rows_without_ids_join_by_the_channel_of_the_same_caller_only() {
    let bare = |scenario: &str| {
        let rows = recorded(&format!("cdr/{scenario}"));
        let cut = |line: &str| line.rsplitn(3, ',').last().unwrap().to_owned();
        good(cdr_rows(&rows.lines().map(cut).collect::<Vec<_>>().join("\n")))
    };
    for scenario in ["no-answer", "busy", "blind-transfer-refer"] {
        assert_eq!(replay_in_every_order(&bare(scenario)).len(), 1, "{scenario}");
    }
    let reused =
        text("asterisk-cdr/a2b-dahdi-reuse-2s").replace("1768471200.10", "").replace("1768471230.12", "");
    assert_eq!(replay_in_every_order(&good(cdr_rows(&reused))).len(), 2);
}

#[test]
fn what_a_database_exports_for_no_id_joins_nothing() {
    for file in ["a3-export-null", "a3-export-bsn"] {
        let unanswered = |status| (status, 0);
        assert_eq!(
            outcomes(&cdr_calls(file)),
            [
                (Status::Completed, 15_000),
                unanswered(Status::NoAnswer),
                (Status::Completed, 30_000),
                unanswered(Status::Busy),
                unanswered(Status::NoAnswer)
            ],
            "{file}"
        );
    }
    for placeholder in ["-", "0", "none", "None", "(null)"] {
        let rows = text("asterisk-cdr/a3-export-null").replace("NULL", placeholder);
        assert_eq!(replay_in_every_order(&good(cdr_rows(&rows))).len(), 5, "{placeholder}");
    }
    let cel = recorded("cel/busy").replace("lab-1795184236.3", "NULL");
    let refused = cel_rows(&cel).into_iter().filter(Result::is_err).count();
    assert!(refused > 0);
}

#[test]
fn a_number_in_the_user_field_is_no_unique_id() {
    let calls = cdr_calls("a11-userfield-number");
    assert_eq!(outcomes(&calls), [(Status::Completed, 30_000); 3]);
    let fields: Vec<&str> =
        calls.iter().map(|call| call.content.metadata["userfield"].as_json_text()).collect();
    assert_eq!(fields, ["\"12.50\"", "\"12.50\"", "\"7.25\""]);
}

#[test]
fn the_new_columns_stand_behind_whichever_optional_ones_there_are() {
    let row = recorded("cdr/answered");
    let bare = row.trim_end().rsplitn(3, ',').last().unwrap();
    for optional in ["", ",\"12.50\"", ",\"lab-1795185444.0\"", ",\"lab-1795185444.0\",\"12.50\""] {
        let text = format!("{bare}{optional},\"peer\",\"lab-1795185444.0\",\"7\"\n");
        let replayed = one_call(&good(cdr_rows(&text)));
        assert_eq!(replayed.name, "lab-1795185444.0", "{optional}");
        assert_eq!(replayed.call.content.metadata.contains_key("userfield"), optional.contains("12.50"));
    }
}

#[test]
fn a_date_of_zeros_is_no_time() {
    assert_eq!(
        outcomes(&cdr_calls("a4-zerodate")),
        [(Status::NoAnswer, 0), (Status::Completed, 25_000), (Status::Busy, 0)]
    );
}

#[test]
fn lengths_may_have_fractions() {
    let calls = cdr_calls("a5-hrtime");
    assert_eq!(outcomes(&calls), [(Status::Completed, 29_654), (Status::NoAnswer, 0)]);
    assert_eq!(calls[0].ended_at().map(Timestamp::millis), Some(TEN + 34_123));
}

#[test]
fn a_stated_length_goes_before_a_clock_that_passes_the_hour_twice() {
    let zone = TimeReader::new(TimeZone::get("Europe/Berlin").unwrap());
    let rows = text("asterisk-cdr/a6-dst-back");
    let rows = CdrReader::new(rows.as_bytes(), zone, RECEIVED_AT).collect();
    let calls = sorted_calls(&good(rows));
    let talked: Vec<u128> = calls.iter().map(|call| call.talk_time().unwrap().as_secs().into()).collect();
    assert_eq!(talked, [4200, 900, 600]);
    let ended: Vec<String> =
        calls.iter().map(|call| crate::vocabulary::time::format_rfc3339(call.ended_at().unwrap())).collect();
    assert_eq!(ended, ["2026-10-25T01:20:05Z", "2026-10-25T01:05:10Z", "2026-10-25T01:10:03Z"]);
    // Read in a zone whose clock does not do that, the row contradicts itself, which is noted.
    let utc = cdr_rows(&text("asterisk-cdr/a6-dst-back")).remove(0).unwrap();
    assert!(utc.tellings[0].data.contains("\"clock_duration\":600.0"), "{}", utc.tellings[0].data);
    assert_eq!(one_call(&[utc]).call.talk_time().unwrap().as_secs(), 4200);
}

#[test]
fn a_row_that_says_neither_when_it_ended_nor_how_long_it_took_ends_when_it_last_did_something() {
    let row = recorded("cdr/answered").replace("\"2026-11-20 14:37:31\",7,6", ",,");
    let call = one_call(&good(cdr_rows(&row))).call;
    let ending = call.ending().unwrap();
    assert_eq!((ending.ended_at.millis(), ending.inferred), (at(14, 37, 25_000), true));
    assert_eq!(call.status(), Status::Completed);
}

#[test]
fn a_line_break_in_quotes_and_a_second_header_are_read() {
    let calls = cdr_calls("a8b-newline");
    assert_eq!(outcomes(&calls), [(Status::Completed, 30_000); 2]);
    assert!(calls[0].content.metadata["userfield"].as_json_text().contains("line one"));
    assert_eq!(outcomes(&cdr_calls("a9-joined")), [(Status::Completed, 30_000); 2]);
    let cel = recorded("cel/answered");
    let header = "eventtype,eventtime,cidname,cidnum,ani,rdnis,dnid,exten,context,channame,appname,appdata,amaflags,\
                  accountcode,uniqueid,linkedid,bridgepeer,userfield,extra\n";
    let joined = format!("{header}{}{header}{}", recorded("cel/busy"), cel);
    assert_eq!(replay(&good(cel_rows(&joined))).len(), 2);
}

#[test]
fn a_call_of_which_only_the_called_channel_was_logged_ends_with_it() {
    for file in ["c10-callee-only", "c10b-callee-only-end"] {
        let call = cel_call(file);
        assert_eq!(call.status(), Status::Completed, "{file}");
        assert_eq!(call.ended_at().map(|at| at.millis() / 1000), Some(TEN / 1000 + 65), "{file}");
        assert_eq!(call.answered_at().map(Timestamp::millis), Some(TEN + 5_200), "{file}");
        assert_eq!(call.ending().map(|ending| (ending.inferred, ending.by)), Some((true, Some(Callee))));
    }
    // Also if it was not answered: the file ends, so the call has.
    let unanswered = text("asterisk-cel/c10-callee-only");
    let kept = unanswered.lines().filter(|line| line.starts_with("\"CHAN_") || line.starts_with("\"HANG"));
    let rows =
        kept.collect::<Vec<_>>().join("\n").replace("\"\"hangupcause\"\":16", "\"\"hangupcause\"\":17");
    assert_eq!(one_call(&good(cel_rows(&rows))).call.status(), Status::Busy);
}

#[test]
fn rows_that_come_in_batches_never_make_a_call_live() {
    for scenario in ["answered", "blind-transfer-refer", "no-answer"] {
        let rows = cel(scenario);
        for count in 1..=rows.len() {
            for replayed in replay(&rows[..count]) {
                assert!(!replayed.call.is_live(), "{scenario} after {count}: {:?}", replayed.call.state);
            }
        }
    }
    assert_eq!(one_call(&cel("answered")[..1]).call.state, State::Queued);
}

#[test]
fn the_tail_of_a_file_shows_that_the_call_was_answered() {
    let call = cel_call("c10c-tail");
    assert_eq!(call.status(), Status::Completed);
    assert_eq!(call.ended_at().map(Timestamp::millis), Some(TEN + 65_250));
    // The file before it knows when.
    let whole = text("asterisk-cel/c1f-zonename");
    let head: Vec<&str> = whole.lines().take(7).collect();
    let both = [good(cel_rows(&head.join("\n"))), good(cel_rows(&text("asterisk-cel/c10c-tail")))].concat();
    assert_eq!(one_call(&both).call.answered_at().map(Timestamp::millis), Some(TEN + 5_000));
}

#[test]
fn the_name_of_a_zone_behind_a_time_is_read() {
    let call = cel_call("c1f-zonename");
    assert_eq!((call.status(), call.talk_time().unwrap().as_secs()), (Status::Completed, 60));
    let slashed = text("asterisk-cel/c1f-zonename").replace("2026-01-15 ", "15/01/2026 ").replace(" UTC", "");
    let times = utc().with_format("%d/%m/%Y %H:%M:%S").unwrap();
    let rows = CelReader::new(slashed.as_bytes(), CelColumns::usual(), times, RECEIVED_AT).collect();
    assert_eq!(one_call(&good(rows)).call.ended_at().map(Timestamp::millis), Some(TEN + 65_000));
}
