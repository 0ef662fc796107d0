//! Files of a real switch, their rows in every order of arrival.

mod field;
mod growing;

use jiff::tz::TimeZone;
use pegcount_calls::{Cause, Party, Status, Timestamp};
use proptest::prelude::*;

use super::{CdrReader, CelColumns, CelReader, RowError, TimeReader};
use crate::sources::{
    Mapped,
    replay::{RECEIVED_AT, Replayed, one_call, replay, replay_in_every_order},
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/asterisk");

fn recorded(file: &str) -> String {
    std::fs::read_to_string(format!("{FIXTURES}/{file}.csv")).unwrap()
}

fn utc() -> TimeReader {
    TimeReader::new(TimeZone::UTC)
}

fn cdr_rows(text: &str) -> Vec<Result<Mapped, RowError>> {
    CdrReader::new(text.as_bytes(), utc(), RECEIVED_AT).collect()
}

fn cel_rows(text: &str) -> Vec<Result<Mapped, RowError>> {
    CelReader::new(text.as_bytes(), CelColumns::usual(), utc(), RECEIVED_AT).collect()
}

fn good(rows: Vec<Result<Mapped, RowError>>) -> Vec<Mapped> {
    rows.into_iter().map(|row| row.unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn cdr(scenario: &str) -> Vec<Mapped> {
    good(cdr_rows(&recorded(&format!("cdr/{scenario}"))))
}

fn cel(scenario: &str) -> Vec<Mapped> {
    good(cel_rows(&recorded(&format!("cel/{scenario}"))))
}

type Row = (&'static str, Status, Cause, Option<Party>, (i64, Option<i64>, i64), &'static str);

/// Status, cause, party; created, answered, ended in milliseconds; the number called.
fn check(replayed: &Replayed, expected: Row) {
    let (scenario, status, cause, by, (created, answered, ended), to) = expected;
    let call = &replayed.call;
    let ending = call.ending().unwrap();
    assert_eq!((call.status(), ending.cause, ending.by), (status, cause, by), "{scenario}");
    let told =
        (call.created_at.millis(), call.answered_at().map(Timestamp::millis), ending.ended_at.millis());
    assert_eq!(told, (created, answered, ended), "{scenario}");
    let talk = u128::try_from(answered.map_or(0, |answered| ended - answered)).unwrap();
    assert_eq!(call.talk_time().unwrap().as_millis(), talk, "{scenario}");
    assert_eq!(call.from_number.as_deref(), Some("2001"), "{scenario}");
    assert_eq!(call.to_number.as_deref(), Some(to), "{scenario}");
    assert_eq!(call.content.metadata["accountcode"].as_json_text(), "\"acme\"", "{scenario}");
}

/// 2026-11-20T00:00:00Z.
const MIDNIGHT: i64 = 1_795_132_800_000;

/// Milliseconds of that day.
const fn at(hour: i64, minute: i64, millis: i64) -> i64 {
    MIDNIGHT + (hour * 60 + minute) * 60_000 + millis
}

use Cause::{Busy, NetworkError, NoAnswer, NormalClearing, Rejected, UserHangup};
use Party::{Callee, Caller, System};

#[rustfmt::skip]
const CEL: [Row; 15] = [
    ("answered", Status::Completed, NormalClearing, Some(Caller), (at(14, 37, 24_359), Some(at(14, 37, 25_870)), at(14, 37, 31_880)), "100"),
    ("busy", Status::Busy, Busy, Some(System), (at(14, 17, 16_172), None, at(14, 17, 16_179)), "100"),
    ("rejected", Status::Failed, Rejected, Some(System), (at(14, 20, 7_531), None, at(14, 20, 8_339)), "100"),
    ("no-answer", Status::NoAnswer, NoAnswer, Some(System), (at(14, 17, 52_415), None, at(14, 17, 56_434)), "102"),
    ("cancelled", Status::Canceled, UserHangup, Some(Caller), (at(14, 18, 3_647), None, at(14, 18, 5_654)), "100"),
    ("api-hangup-ami", Status::Completed, NormalClearing, None, (at(14, 18, 23_203), Some(at(14, 18, 24_710)), at(14, 18, 27_107)), "100"),
    ("api-hangup-ari", Status::Completed, NormalClearing, None, (at(14, 18, 30_227), Some(at(14, 18, 31_736)), at(14, 18, 34_126)), "100"),
    ("blind-transfer-refer", Status::Completed, NormalClearing, Some(Callee), (at(14, 20, 10_467), Some(at(14, 20, 11_975)), at(14, 20, 18_985)), "107"),
    ("hold", Status::Completed, NormalClearing, Some(Caller), (at(14, 38, 5_407), Some(at(14, 38, 6_914)), at(14, 38, 11_937)), "100"),
    ("ivr-playback", Status::Completed, NormalClearing, Some(System), (at(14, 18, 7_773), Some(at(14, 18, 7_774)), at(14, 18, 9_208)), "105"),
    ("queue-answered", Status::Completed, NormalClearing, Some(Caller), (at(14, 19, 30_323), Some(at(14, 19, 30_323)), at(14, 19, 36_335)), "110"),
    ("recorded-mixmonitor", Status::Completed, NormalClearing, Some(Caller), (at(14, 43, 42_916), Some(at(14, 43, 44_427)), at(14, 43, 50_436)), "106"),
    ("ari-stasis", Status::Completed, Busy, None, (at(14, 20, 56_210), Some(at(14, 20, 57_610)), at(14, 21, 3_121)), "109"),
    ("audiosocket", Status::Completed, NormalClearing, Some(Caller), (at(14, 38, 14_114), Some(at(14, 38, 14_115)), at(14, 38, 20_123)), "113"),
    ("switch-killed-mid-call", Status::Failed, NetworkError, None, (at(14, 42, 1_115), Some(at(14, 42, 2_624)), at(14, 42, 2_625)), "100"),
];

#[rustfmt::skip]
const CDR: [Row; 14] = [
    ("answered", Status::Completed, NormalClearing, None, (at(14, 37, 24_000), Some(at(14, 37, 25_000)), at(14, 37, 31_000)), "100"),
    ("busy", Status::Busy, Busy, None, (at(14, 17, 16_000), None, at(14, 17, 16_000)), "100"),
    ("rejected", Status::NoAnswer, NoAnswer, None, (at(14, 20, 7_000), None, at(14, 20, 8_000)), "100"),
    ("no-answer", Status::NoAnswer, NoAnswer, None, (at(14, 17, 52_000), None, at(14, 17, 56_000)), "102"),
    ("cancelled", Status::NoAnswer, NoAnswer, None, (at(14, 18, 3_000), None, at(14, 18, 5_000)), "100"),
    ("api-hangup-ami", Status::Completed, NormalClearing, None, (at(14, 18, 23_000), Some(at(14, 18, 24_500)), at(14, 18, 27_000)), "100"),
    ("api-hangup-ari", Status::Completed, NormalClearing, None, (at(14, 18, 30_000), Some(at(14, 18, 31_500)), at(14, 18, 34_000)), "100"),
    ("blind-transfer-refer", Status::Completed, NormalClearing, None, (at(14, 20, 10_000), Some(at(14, 20, 11_000)), at(14, 20, 18_000)), "107"),
    ("hold", Status::Completed, NormalClearing, None, (at(14, 38, 5_000), Some(at(14, 38, 6_000)), at(14, 38, 11_000)), "100"),
    ("ivr-playback", Status::Completed, NormalClearing, None, (at(14, 18, 7_000), Some(at(14, 18, 7_500)), at(14, 18, 9_000)), "105"),
    ("queue-answered", Status::Completed, NormalClearing, None, (at(14, 19, 30_000), Some(at(14, 19, 30_000)), at(14, 19, 36_000)), "110"),
    ("recorded-mixmonitor", Status::Completed, NormalClearing, None, (at(14, 43, 42_000), Some(at(14, 43, 44_000)), at(14, 43, 50_000)), "106"),
    ("ari-stasis", Status::Completed, NormalClearing, None, (at(14, 20, 56_000), Some(at(14, 20, 57_500)), at(14, 21, 3_000)), "109"),
    ("audiosocket", Status::Completed, NormalClearing, None, (at(14, 38, 14_000), Some(at(14, 38, 14_000)), at(14, 38, 20_000)), "113"),
];

#[test]
fn the_rows_of_each_cel_file_are_one_call_in_every_order() {
    for expected in CEL {
        check(&one_call(&cel(expected.0)), expected);
    }
}

#[test]
fn the_rows_of_each_cdr_file_are_one_call_in_every_order() {
    for expected in CDR {
        check(&one_call(&cdr(expected.0)), expected);
    }
}

#[test]
fn talk_time_in_whole_seconds_is_what_asterisk_bills() {
    let billed = |scenario: &str| one_call(&cdr(scenario)).call.talk_time().unwrap().as_secs();
    let scenarios =
        ["answered", "api-hangup-ami", "ari-stasis", "audiosocket", "ivr-playback", "queue-answered"];
    assert_eq!(scenarios.map(billed), [6, 2, 5, 6, 1, 6]);
}

#[test]
fn a_call_in_both_files_is_one_call_and_no_worse_than_by_cel_alone() {
    for expected in CDR {
        let (scenario, cel_alone) = (expected.0, one_call(&cel(expected.0)).call);
        let both: Vec<Mapped> = cel(scenario).into_iter().chain(cdr(scenario)).collect();
        let replayed = one_call(&both);
        let call = &replayed.call;
        assert_eq!(call.status(), cel_alone.status(), "{scenario}");
        assert_eq!(call.ending(), cel_alone.ending(), "{scenario}");
        assert_eq!(call.answered_at(), cel_alone.answered_at(), "{scenario}");
        assert_eq!(call.talk_time(), cel_alone.talk_time(), "{scenario}");
        assert_eq!((&call.from_number, &call.to_number), (&cel_alone.from_number, &cel_alone.to_number));
        // The start that a CDR names is cut off to the second.
        assert_eq!(
            call.created_at.millis(),
            cel_alone.created_at.millis().div_euclid(1000) * 1000,
            "{scenario}"
        );
    }
}

#[test]
fn channel_names_that_are_used_again_after_a_restart_stay_two_calls() {
    let rows = [cdr("answered"), cdr("recorded-mixmonitor"), cdr("hold"), cdr("busy")].concat();
    let calls = replay_in_every_order(&rows);
    assert_eq!(calls.len(), 4);
    let everything: Vec<Mapped> = CDR
        .into_iter()
        .flat_map(|row| cdr(row.0))
        .chain(CEL.into_iter().flat_map(|row| cel(row.0)))
        .collect();
    assert_eq!(replay(&everything).len(), CEL.len());
}

#[test]
fn the_same_file_twice_changes_nothing() {
    for records in [cdr("blind-transfer-refer"), cel("blind-transfer-refer"), cel("switch-killed-mid-call")] {
        let twice: Vec<Mapped> = records.iter().chain(&records).cloned().collect();
        assert_eq!(replay(&twice), replay(&records));
    }
}

#[test]
fn a_call_whose_end_a_later_file_has_ends_as_that_file_says() {
    let text = recorded("cel/answered");
    for cut in 1..text.lines().count() {
        let lines: Vec<&str> = text.lines().collect();
        let (first, second) = lines.split_at(cut);
        let records = [good(cel_rows(&first.join("\n"))), good(cel_rows(&second.join("\n")))].concat();
        let (whole, split) = (one_call(&cel("answered")).call, one_call(&records).call);
        assert_eq!(split.status(), whole.status(), "cut after {cut}");
        // Cut between the two answers of the call, the first is lost: a millisecond.
        let late = split.answered_at().unwrap().since(whole.answered_at().unwrap()).as_millis();
        assert_eq!(late, u128::from(cut == 3), "cut after {cut}");
        assert_eq!(split.ended_at(), whole.ended_at(), "cut after {cut}");
    }
}

#[test]
fn a_file_without_hangup_rows_ends_its_legs_with_the_channels() {
    let without = |kinds: &[&str]| {
        let text = recorded("cel/answered");
        let kept =
            text.lines().filter(|line| !kinds.iter().any(|kind| line.starts_with(&format!("\"{kind}\""))));
        one_call(&good(cel_rows(&kept.collect::<Vec<_>>().join("\n")))).call
    };
    for call in [without(&["HANGUP"]), without(&["HANGUP", "CHAN_END"])] {
        assert_eq!(
            (call.status(), call.ended_at().map(Timestamp::millis)),
            (Status::Completed, Some(at(14, 37, 31_880)))
        );
        assert!(!call.ending().unwrap().inferred);
    }
}

#[test]
fn a_bad_row_is_reported_by_its_line_and_stops_nothing() {
    let row = recorded("cdr/answered");
    let torn = &row[..row.len() / 2];
    let text = format!(
        "\u{feff}{row}\n{}a,b\n{}{torn}\n{row}",
        torn.replace('\n', "") + "\n",
        row.replace("ANSWERED", "EATEN")
    );
    let rows = cdr_rows(&text);
    let lines: Vec<u64> = rows.iter().filter_map(|row| row.as_ref().err().map(|error| error.line)).collect();
    assert_eq!((rows.len(), lines), (6, vec![3, 4, 5, 6]), "{rows:?}");
    let message = rows[3].as_ref().unwrap_err().to_string();
    assert_eq!(message, "line 5: the disposition \"EATEN\" is none that Asterisk writes");
}

#[test]
fn a_line_without_end_is_reported_and_skipped() {
    let text = format!("\"{}\"\n{}", "x".repeat(1 << 20), recorded("cel/busy"));
    let rows = cel_rows(&text);
    assert!(rows[0].as_ref().unwrap_err().to_string().starts_with("line 1: the line has"));
    assert_eq!(one_call(&good(rows.into_iter().skip(1).collect())).call.status(), Status::Busy);
}

#[test]
fn a_header_row_names_the_columns() {
    let names = "accountcode,src,dst,dcontext,clid,channel,dstchannel,lastapp,lastdata,start,answer,end,duration,\
                 billsec,disposition,amaflags,uniqueid,userfield\n";
    check(&one_call(&good(cdr_rows(&format!("{names}{}", recorded("cdr/answered"))))), CDR[0]);
    let database = "calldate,src,dst,channel,dstchannel,disposition,duration,billsec,uniqueid,accountcode\n\
                    2026-11-20 14:37:24,2001,100,PJSIP/alice-00000000,PJSIP/bob-00000001,ANSWERED,7,6,\
                    lab-1795185444.0,acme\n";
    check(&one_call(&good(cdr_rows(database))), CDR[0]);
    let cel = recorded("cel/answered");
    let header = "eventtype,eventtime,cidname,cidnum,ani,rdnis,dnid,exten,context,channame,appname,appdata,amaflags,\
                  accountcode,uniqueid,linkedid,bridgepeer,userfield,extra\n";
    check(&one_call(&good(cel_rows(&format!("{header}{cel}")))), CEL[0]);
}

#[test]
fn the_columns_that_cdr_conf_leaves_out_or_adds_are_understood() {
    let row = recorded("cdr/answered");
    let fields: Vec<&str> = row.trim_end().rsplitn(3, ',').collect();
    let (bare, uniqueid) = (fields[2], fields[1]);
    for text in [format!("{bare},{uniqueid}"), format!("{},\"\",{uniqueid},\"7\"", row.trim_end())] {
        let replayed = one_call(&good(cdr_rows(&text)));
        check(&replayed, CDR[0]);
        assert_eq!(replayed.name, "lab-1795185444.0");
    }
    for text in [bare.to_owned(), format!("{bare},\"mine\"")] {
        let replayed = one_call(&good(cdr_rows(&text)));
        check(&replayed, CDR[0]);
        assert!(replayed.name.starts_with("call_"));
        assert_eq!(replayed.call.content.metadata.contains_key("userfield"), text.contains("mine"));
    }
}

#[test]
fn named_columns_read_a_custom_file_with_epoch_times() {
    let columns = CelColumns::named("eventtime, eventtype,LINKEDID,uniqueid,whatever,eventextra").unwrap();
    let text = "1795185444.359871,CHAN_START,1.0,1.0,x,\n1795185450.000001,HANGUP,1.0,1.0,x,\
                \"{\"\"hangupcause\"\":\"\"17\"\"}\"\n";
    let rows = CelReader::new(text.as_bytes(), columns, utc(), RECEIVED_AT).collect();
    let call = one_call(&good(rows)).call;
    assert_eq!((call.status(), call.created_at.millis()), (Status::Busy, 1_795_185_444_359));
    assert!(CelColumns::named("eventtype,eventtime,uniqueid").unwrap_err().contains("linkedid"));
    let rows = cel_rows("a,b,c\n");
    assert!(rows[0].as_ref().unwrap_err().message.contains("--columns"));
}

#[test]
fn times_are_local_to_the_zone_that_was_named() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let rows =
        CdrReader::new(recorded("cdr/answered").as_bytes(), TimeReader::new(zone), RECEIVED_AT).collect();
    assert_eq!(one_call(&good(rows)).call.created_at.millis(), at(19, 37, 24_000));
}

#[test]
fn a_clock_that_was_set_back_within_a_call_does_not_make_it_end_before_it_began() {
    let row = recorded("cdr/answered")
        .replace("14:37:24", "02:59:58")
        .replace("14:37:25", "02:59:59")
        .replace("14:37:31", "02:00:05");
    let call = one_call(&good(cdr_rows(&row))).call;
    assert_eq!((call.total_time().unwrap().as_secs(), call.talk_time().unwrap().as_secs()), (7, 6));
}

#[test]
fn the_halves_of_a_local_channel_are_one_leg() {
    let row = |channel: &str, dialled: &str, uniqueid: &str| {
        recorded("cdr/answered")
            .replace("PJSIP/alice-00000000", channel)
            .replace("PJSIP/bob-00000001", dialled)
            .replace("lab-1795185444.0", uniqueid)
    };
    let text = row("PJSIP/alice-00000000", "Local/bob@lab-00000000;1", "lab-1795185444.0")
        + &row("Local/bob@lab-00000000;2", "PJSIP/bob-00000001", "lab-1795185444.2");
    check(&one_call(&good(cdr_rows(&text))), CDR[0]);
}

fn cel_row(kind: &str, second: u32, channel: &str, uniqueid: &str, linkedid: &str) -> String {
    format!(
        "\"{kind}\",\"2026-11-20 14:00:{second:02}\",\"\",\"2001\",\"\",\"\",\"\",\"100\",\"lab\",\"{channel}\",\"\",\"\",\"3\",\
         \"\",\"{uniqueid}\",\"{linkedid}\",\"\",\"\",\"{{\"\"dialstatus\"\":\"\"NOANSWER\"\"}}\"\n"
    )
}

#[test]
fn a_mailbox_that_answered_but_was_never_put_through_is_no_answer() {
    let begin = [
        cel_row("CHAN_START", 0, "PJSIP/alice-0", "1.0", "1.0"),
        cel_row("CHAN_START", 0, "PJSIP/trunk-1", "1.1", "1.0"),
        cel_row("ANSWER", 5, "PJSIP/trunk-1", "1.1", "1.0"),
    ]
    .concat();
    let end = cel_row("HANGUP", 20, "PJSIP/trunk-1", "1.1", "1.0")
        + &cel_row("HANGUP", 20, "PJSIP/alice-0", "1.0", "1.0");
    let refused = one_call(&good(cel_rows(&format!("{begin}{end}")))).call;
    assert_eq!((refused.status(), refused.answered_at()), (Status::NoAnswer, None));
    let answered = cel_row("ANSWER", 9, "PJSIP/alice-0", "1.0", "1.0");
    let taken = one_call(&good(cel_rows(&format!("{begin}{answered}{end}")))).call;
    assert_eq!(taken.answered_at().map(Timestamp::millis), Some(at(14, 0, 9_000)));
    let bridged = cel_row("BRIDGE_ENTER", 9, "PJSIP/trunk-1", "1.1", "1.0");
    let taken = one_call(&good(cel_rows(&format!("{begin}{bridged}{end}")))).call;
    assert_eq!(taken.answered_at().map(Timestamp::millis), Some(at(14, 0, 9_000)));
}

#[test]
fn an_attended_transfer_makes_two_calls_one_that_has_no_open_leg() {
    let row = cel_row;
    let text = [
        row("CHAN_START", 0, "PJSIP/alice-0", "1.0", "1.0"),
        row("CHAN_START", 0, "PJSIP/bob-1", "1.1", "1.0"),
        row("ANSWER", 1, "PJSIP/alice-0", "1.0", "1.0"),
        row("CHAN_START", 2, "PJSIP/bob-2", "1.2", "1.2"),
        row("CHAN_START", 2, "PJSIP/carol-3", "1.3", "1.2"),
        row("ATTENDEDTRANSFER", 5, "PJSIP/bob-1", "1.1", "1.0"),
        row("HANGUP", 5, "PJSIP/bob-1", "1.1", "1.0"),
        row("HANGUP", 6, "PJSIP/bob-2", "1.2", "1.0"),
        row("BRIDGE_ENTER", 6, "PJSIP/carol-3", "1.3", "1.0"),
        row("HANGUP", 9, "PJSIP/alice-0", "1.0", "1.0"),
        row("HANGUP", 9, "PJSIP/carol-3", "1.3", "1.0"),
    ]
    .concat();
    let call = one_call(&good(cel_rows(&text))).call;
    let ending = call.ending().unwrap();
    assert_eq!((call.status(), ending.inferred), (Status::Completed, false));
    assert_eq!(ending.ended_at.millis(), at(14, 0, 9_000));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = CdrReader::new(bytes.as_slice(), utc(), RECEIVED_AT).count();
        let _ = CelReader::new(bytes.as_slice(), CelColumns::usual(), utc(), RECEIVED_AT).count();
    }

    #[test]
    fn a_damaged_file_never_panics_and_what_is_read_of_it_is_taken(
        place in 0_usize..6000, byte in any::<u8>(), cut in 0_usize..6000, scenario in 0_usize..14,
    ) {
        for folder in ["cel", "cdr"] {
            let mut bytes = recorded(&format!("{folder}/{}", CDR[scenario].0)).into_bytes();
            let length = bytes.len();
            bytes[place % length] = byte;
            bytes.truncate(cut % length + 1);
            let rows: Vec<_> = if folder == "cel" {
                CelReader::new(bytes.as_slice(), CelColumns::usual(), utc(), RECEIVED_AT).collect()
            } else {
                CdrReader::new(bytes.as_slice(), utc(), RECEIVED_AT).collect()
            };
            for telling in rows.into_iter().flatten().flat_map(|mapped| mapped.tellings) {
                // A damaged digit may make a time that cannot be: the way in says so.
                let told = crate::vocabulary::tell(telling);
                let odd_time = told.as_ref().is_err_and(|rejection| rejection.message.contains(" lies "));
                prop_assert!(told.is_ok() || odd_time, "{:?}", told);
            }
        }
    }
}
