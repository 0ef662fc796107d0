//! `pegcount import`: every recorded file, on a stopped and on a running server.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, Server, fixtures, send};

/// 2026-11-20T00:00:00Z.
const MIDNIGHT: i64 = 1_795_132_800_000;

/// Milliseconds of that day.
const fn at(hour: i64, minute: i64, millis: i64) -> i64 {
    MIDNIGHT + (hour * 60 + minute) * 60_000 + millis
}

/// Scenario; status and cause; created, answered, ended; the number called.
type Row = (&'static str, &'static str, &'static str, (i64, Option<i64>, i64), &'static str);

#[rustfmt::skip]
const CEL: [Row; 15] = [
    ("busy", "busy", "busy", (at(14, 17, 16_172), None, at(14, 17, 16_179)), "100"),
    ("no-answer", "no_answer", "no_answer", (at(14, 17, 52_415), None, at(14, 17, 56_434)), "102"),
    ("cancelled", "no_answer", "user_hangup", (at(14, 18, 3_647), None, at(14, 18, 5_654)), "100"),
    ("ivr-playback", "completed", "normal_clearing", (at(14, 18, 7_773), Some(at(14, 18, 7_774)), at(14, 18, 9_208)), "105"),
    ("api-hangup-ami", "completed", "normal_clearing", (at(14, 18, 23_203), Some(at(14, 18, 24_710)), at(14, 18, 27_107)), "100"),
    ("api-hangup-ari", "completed", "normal_clearing", (at(14, 18, 30_227), Some(at(14, 18, 31_736)), at(14, 18, 34_126)), "100"),
    ("queue-answered", "completed", "normal_clearing", (at(14, 19, 30_323), Some(at(14, 19, 30_323)), at(14, 19, 36_335)), "110"),
    ("rejected", "failed", "rejected", (at(14, 20, 7_531), None, at(14, 20, 8_339)), "100"),
    ("blind-transfer-refer", "completed", "normal_clearing", (at(14, 20, 10_467), Some(at(14, 20, 11_975)), at(14, 20, 18_985)), "107"),
    ("ari-stasis", "completed", "busy", (at(14, 20, 56_210), Some(at(14, 20, 57_610)), at(14, 21, 3_121)), "109"),
    ("answered", "completed", "normal_clearing", (at(14, 37, 24_359), Some(at(14, 37, 25_870)), at(14, 37, 31_880)), "100"),
    ("hold", "completed", "normal_clearing", (at(14, 38, 5_407), Some(at(14, 38, 6_914)), at(14, 38, 11_937)), "100"),
    ("audiosocket", "completed", "normal_clearing", (at(14, 38, 14_114), Some(at(14, 38, 14_115)), at(14, 38, 20_123)), "113"),
    ("switch-killed-mid-call", "failed", "network_error", (at(14, 42, 1_115), Some(at(14, 42, 2_624)), at(14, 42, 2_625)), "100"),
    ("recorded-mixmonitor", "completed", "normal_clearing", (at(14, 43, 42_916), Some(at(14, 43, 44_427)), at(14, 43, 50_436)), "106"),
];

#[rustfmt::skip]
const CDR: [Row; 14] = [
    ("busy", "busy", "busy", (at(14, 17, 16_000), None, at(14, 17, 16_000)), "100"),
    ("no-answer", "no_answer", "no_answer", (at(14, 17, 52_000), None, at(14, 17, 56_000)), "102"),
    ("cancelled", "no_answer", "no_answer", (at(14, 18, 3_000), None, at(14, 18, 5_000)), "100"),
    ("ivr-playback", "completed", "normal_clearing", (at(14, 18, 7_000), Some(at(14, 18, 7_500)), at(14, 18, 9_000)), "105"),
    ("api-hangup-ami", "completed", "normal_clearing", (at(14, 18, 23_000), Some(at(14, 18, 24_500)), at(14, 18, 27_000)), "100"),
    ("api-hangup-ari", "completed", "normal_clearing", (at(14, 18, 30_000), Some(at(14, 18, 31_500)), at(14, 18, 34_000)), "100"),
    ("queue-answered", "completed", "normal_clearing", (at(14, 19, 30_000), Some(at(14, 19, 30_000)), at(14, 19, 36_000)), "110"),
    ("rejected", "no_answer", "no_answer", (at(14, 20, 7_000), None, at(14, 20, 8_000)), "100"),
    ("blind-transfer-refer", "completed", "normal_clearing", (at(14, 20, 10_000), Some(at(14, 20, 11_000)), at(14, 20, 18_000)), "107"),
    ("ari-stasis", "completed", "normal_clearing", (at(14, 20, 56_000), Some(at(14, 20, 57_500)), at(14, 21, 3_000)), "109"),
    ("answered", "completed", "normal_clearing", (at(14, 37, 24_000), Some(at(14, 37, 25_000)), at(14, 37, 31_000)), "100"),
    ("hold", "completed", "normal_clearing", (at(14, 38, 5_000), Some(at(14, 38, 6_000)), at(14, 38, 11_000)), "100"),
    ("audiosocket", "completed", "normal_clearing", (at(14, 38, 14_000), Some(at(14, 38, 14_000)), at(14, 38, 20_000)), "113"),
    ("recorded-mixmonitor", "completed", "normal_clearing", (at(14, 43, 42_000), Some(at(14, 43, 44_000)), at(14, 43, 50_000)), "106"),
];

#[rustfmt::skip]
const FREESWITCH: [Row; 11] = [
    ("answered", "completed", "user_hangup", (1_795_185_522_864, Some(1_795_185_524_384), 1_795_185_530_424), "100"),
    ("busy", "busy", "busy", (1_795_185_533_604, None, 1_795_185_533_604), "100"),
    ("no-answer", "no_answer", "no_answer", (1_795_185_536_724, None, 1_795_185_541_024), "102"),
    ("rejected", "failed", "rejected", (1_795_185_544_144, None, 1_795_185_544_984), "100"),
    ("cancelled", "no_answer", "user_hangup", (1_795_185_551_324, None, 1_795_185_553_384), "100"),
    ("ivr-playback", "completed", "normal_clearing", (1_795_185_556_504, Some(1_795_185_556_504), 1_795_185_558_504), "105"),
    ("invalid-extension", "failed", "rejected", (1_795_185_561_684, None, 1_795_185_561_684), "999"),
    ("api-hangup", "completed", "normal_clearing", (1_795_185_575_604, Some(1_795_185_577_124), 1_795_185_580_824), "100"),
    ("blind-transfer-refer", "completed", "agent_hangup", (1_795_185_586_744, Some(1_795_185_588_244), 1_795_185_595_264), "107"),
    ("answered.events-json", "completed", "user_hangup", (1_795_185_620_764, Some(1_795_185_622_284), 1_795_185_628_324), "100"),
    ("recorded", "completed", "user_hangup", (1_795_185_833_024, Some(1_795_185_834_544), 1_795_185_840_604), "106"),
];

/// What an import of everything tells: records, and the calls they make.
const FORMATS: [(&str, &str, &[Row]); 3] = [
    ("asterisk-cdr-csv", "asterisk/cdr", &CDR),
    ("asterisk-cel-csv", "asterisk/cel", &CEL),
    ("freeswitch-json-cdr", "freeswitch/json_cdr", &FREESWITCH),
];

fn text(path: &Path) -> String {
    path.to_str().expect("a path").to_owned()
}

fn recorded(path: &str) -> String {
    text(&fixtures().join(path))
}

/// Every file of a folder; a folder of FreeSWITCH itself.
fn everything(format: &str, folder: &str) -> Vec<String> {
    let folder = fixtures().join(folder);
    if format == "freeswitch-json-cdr" {
        return vec![text(&folder)];
    }
    let files = folder.read_dir().expect("the recorded files");
    let mut files: Vec<String> = files.map(|file| text(&file.expect("a file").path())).collect();
    files.sort();
    files
}

/// Imports files, which must be good.
fn import(home: &Home, organization: &str, format: &str, files: &[String], more: &[&str]) -> Value {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let told =
        home.run_json(&[&["import", format, "--organization", organization], &files[..], more].concat());
    assert_eq!(told["bad"], json!([]), "{told}");
    told
}

fn make_organization(home: &Home, id: &str) {
    home.run_json(&["organizations", "create", "--id", id, "--init"]);
}

/// Every call of an organization, whole, oldest first.
async fn calls(server: &Server<'_>, organization: &str) -> Vec<Value> {
    let get = async |path: String| {
        let request = server.request(Method::GET, &path).header("x-api-key", &server.key);
        send(request.header("x-organization-id", organization)).await.expect(200)
    };
    let list = get("/v1/calls?limit=100".to_owned()).await;
    assert_eq!(list["total"].as_u64(), list["calls"].as_array().map(|calls| calls.len() as u64));
    let mut calls = Vec::new();
    for call in list["calls"].as_array().expect("calls") {
        calls.push(get(format!("/v1/calls/{}", call["id"].as_str().expect("an id"))).await);
    }
    calls.reverse();
    calls
}

fn millis(time: &Value) -> Option<i64> {
    let time: jiff::Timestamp = time.as_str()?.parse().expect("a time");
    Some(time.as_millisecond())
}

fn check(calls: &[Value], expected: &[Row]) {
    let names: Vec<&str> = expected.iter().map(|row| row.0).collect();
    assert_eq!(calls.len(), expected.len(), "{names:?}: {calls:#?}");
    for (call, (name, status, cause, (created, answered, ended), to)) in calls.iter().zip(expected) {
        let times = ["created_at", "answered_at", "completed_at"].map(|name| millis(&call[name]));
        assert_eq!(times, [Some(*created), *answered, Some(*ended)], "{name}: {call}");
        assert_eq!(
            (call["status"].as_str(), call["hangup_cause"].as_str()),
            (Some(*status), Some(*cause)),
            "{name}"
        );
        let numbers = (call["from_number"].as_str(), call["to_number"].as_str());
        assert_eq!(numbers, (Some("2001"), Some(*to)), "{name}");
        let talk = answered.map_or(0, |answered| (ended - answered) / 1000);
        assert_eq!(call["duration"].as_i64(), Some(talk), "{name}");
        assert_eq!(call["direction"], "inbound", "{name}");
    }
}

fn import_everything(home: &Home) -> Vec<Value> {
    let imported = FORMATS
        .iter()
        .map(|(format, folder, _)| import(home, format, format, &everything(format, folder), &[]));
    imported.collect()
}

async fn check_everything(server: &Server<'_>) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for (format, _, expected) in FORMATS {
        let calls = calls(server, format).await;
        check(&calls, expected);
        all.push(calls);
    }
    all
}

#[tokio::test]
async fn every_recorded_file_becomes_its_calls_with_or_without_a_server_and_a_second_time_changes_nothing() {
    let (running, stopped) = (Home::new(""), Home::new(""));
    for home in [&running, &stopped] {
        FORMATS.iter().for_each(|(format, ..)| make_organization(home, format));
    }
    let server = running.start();
    let told = import_everything(&running);
    assert_eq!(import_everything(&stopped), told);
    let counts = |told: &[Value], key: &str| told.iter().map(|one| one[key].as_u64()).collect::<Vec<_>>();
    assert_eq!(counts(&told, "records"), [Some(18), Some(69), Some(21)]);
    assert_eq!(counts(&told, "duplicates"), [Some(0); 3]);
    let calls = check_everything(&server).await;
    assert_eq!(server.get("/v1/live").await.expect(200)["live_calls"], 0);

    let again = import_everything(&running);
    assert_eq!(counts(&again, "accepted"), [Some(0); 3]);
    assert_eq!(counts(&again, "duplicates"), counts(&told, "accepted"));
    assert_eq!(check_everything(&server).await, calls);
    assert_eq!(counts(&import_everything(&stopped), "accepted"), [Some(0); 3]);
    let server = stopped.start();
    assert_eq!(check_everything(&server).await, calls);
    assert!(stopped.run(&["doctor"]).status.success());
}

/// The calls without their names, which the first record to arrive gives.
fn unnamed(mut calls: Vec<Value>) -> Vec<Value> {
    calls.iter_mut().for_each(|call| _ = call["id"].take());
    calls
}

#[tokio::test]
async fn a_call_that_is_in_both_of_asterisks_files_is_one_call_whichever_comes_first() {
    let home = Home::new("");
    let server = home.start();
    let [cdr, cel, _] = FORMATS.map(|(format, folder, _)| (format, everything(format, folder)));
    for (organization, order) in [("cdr-first", [&cdr, &cel]), ("cel-first", [&cel, &cdr])] {
        make_organization(&home, organization);
        for (format, files) in order {
            import(&home, organization, format, files, &[]);
        }
    }
    let first = unnamed(calls(&server, "cdr-first").await);
    assert_eq!(first, unnamed(calls(&server, "cel-first").await));
    // As by CEL alone, but for the start, which a CDR cuts off to the second.
    let expected = CEL.map(|(name, status, cause, (created, answered, ended), to)| {
        let in_both = name != "switch-killed-mid-call";
        let created = if in_both { created.div_euclid(1000) * 1000 } else { created };
        (name, status, cause, (created, answered, ended), to)
    });
    check(&first, &expected);
}

fn orders(items: &[String]) -> Vec<Vec<String>> {
    if items.len() < 2 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for place in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(place);
        all.extend(orders(&rest).into_iter().map(|order| [vec![first.clone()], order].concat()));
    }
    all
}

/// A file of each line of a recorded file.
fn lines_of(home: &Home, path: &str) -> Vec<String> {
    let recorded = std::fs::read_to_string(fixtures().join(path)).expect("a recorded file");
    let write = |(place, line): (usize, &str)| {
        let file = home.path(&format!("{place}-{}", path.replace('/', "-")));
        std::fs::write(&file, format!("{line}\n")).expect("the file is written");
        text(&file)
    };
    recorded.lines().enumerate().map(write).collect()
}

#[tokio::test]
async fn a_blind_transfer_is_one_call_whatever_the_order_of_files_and_commands() {
    let home = Home::new("");
    let server = home.start();
    let legs = (1..=3).map(|leg| recorded(&format!("freeswitch/json_cdr/blind-transfer-refer.{leg}.json")));
    let legs: Vec<String> = legs.collect();
    let rows = lines_of(&home, "asterisk/cdr/blind-transfer-refer.csv");
    assert_eq!((legs.len(), rows.len()), (3, 2));
    let find = |rows: &[Row]| *rows.iter().find(|row| row.0 == "blind-transfer-refer").expect("the scenario");
    for (format, files, expected) in
        [("freeswitch-json-cdr", &legs, find(&FREESWITCH)), ("asterisk-cdr-csv", &rows, find(&CDR))]
    {
        let mut first: Option<Vec<Value>> = None;
        for (number, order) in orders(files).iter().enumerate() {
            let (together, apart) =
                (format!("{format}-{number}-together"), format!("{format}-{number}-apart"));
            make_organization(&home, &together);
            import(&home, &together, format, order, &[]);
            make_organization(&home, &apart);
            for file in order {
                import(&home, &apart, format, std::slice::from_ref(file), &[]);
            }
            for organization in [together, apart] {
                let calls = unnamed(calls(&server, &organization).await);
                check(&calls, &[expected]);
                assert_eq!(&calls, first.get_or_insert_with(|| calls.clone()), "{organization}");
            }
        }
    }
}

#[tokio::test]
async fn times_are_of_the_zone_that_is_named() {
    let home = Home::new("");
    let file = [recorded("asterisk/cdr/answered.csv")];
    for (organization, zone) in [("berlin", "Europe/Berlin"), ("tokyo", "Asia/Tokyo")] {
        make_organization(&home, organization);
        import(&home, organization, "asterisk-cdr-csv", &file, &["--tz", zone]);
    }
    let wrong =
        home.run(&["import", "asterisk-cdr-csv", &file[0], "--organization", "berlin", "--tz", "Mars/Base"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("Mars/Base") && said.contains("Europe/Berlin"), "{said}");
    let server = home.start();
    for (organization, hours) in [("berlin", 1), ("tokyo", 9)] {
        let calls = calls(&server, organization).await;
        assert_eq!(millis(&calls[0]["created_at"]), Some(at(14 - hours, 37, 24_000)));
        assert_eq!(millis(&calls[0]["answered_at"]), Some(at(14 - hours, 37, 25_000)));
    }
}

#[tokio::test]
async fn rows_that_are_known_in_another_zone_are_counted_and_stay() {
    let home = Home::with_store("");
    let read = |path: &str| std::fs::read_to_string(fixtures().join(path)).expect("a recorded file");
    let row = read("asterisk/cdr/answered.csv");
    let without_ids = row.trim_end().rsplitn(3, ',').last().expect("a row").to_owned();
    // Cut off, so that its end is concluded.
    let cel = read("asterisk/cel/hold.csv").lines().take(3).collect::<Vec<_>>().join("\n");
    for (name, format, text, events) in [
        ("cdr.csv", "asterisk-cdr-csv", row, 1),
        ("bare.csv", "asterisk-cdr-csv", without_ids, 1),
        ("cel.csv", "asterisk-cel-csv", cel, 4),
    ] {
        let file = home.path(name);
        std::fs::write(&file, text).expect("the file is written");
        let arguments = ["import", format, &self::text(&file), "--organization", "org_default"];
        let run = |more: &[&str]| home.run(&[&arguments, more].concat());
        assert!(run(&["--tz", "Europe/Berlin"]).status.success(), "{name}");
        assert!(run(&["--tz", "Europe/Berlin"]).status.success(), "{name}");
        let output = run(&["--json"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
        let count = |key: &str| told[key].as_u64().expect(key);
        assert!(count("accepted") == 0 && count("moved") == count("duplicates"), "{told}");
        assert!(count("moved") >= events, "{told}");
        assert_eq!(told["first_moved"]["line"], 1, "{told}");
        let said = String::from_utf8_lossy(&run(&[]).stdout).into_owned();
        for word in ["another time now", "13:", "14:", "--tz", name, "docs/sources/asterisk.md"] {
            assert!(said.contains(word), "{said} has {word}");
        }
    }
    let server = home.start();
    let created: Vec<Option<i64>> =
        calls(&server, "org_default").await.iter().map(|call| millis(&call["created_at"])).collect();
    assert_eq!(created, [at(13, 37, 24_000), at(13, 37, 24_000), at(13, 38, 5_407)].map(Some));
}

#[tokio::test]
async fn a_file_that_is_no_plain_text_is_refused_with_the_command_that_makes_it_so() {
    let home = Home::with_store("");
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let row = "\"\",\"2001\",\"100\"";
    for (name, bytes, word) in [
        ("a.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "gzip -dc"),
        ("marked.csv", [&[0xff, 0xfe], &wide(row)[..]].concat(), "iconv -f UTF-16 "),
        ("unmarked.csv", wide(row), "iconv -f UTF-16LE "),
    ] {
        let folder = home.path(&format!("{name}.records"));
        std::fs::create_dir(&folder).expect("a folder");
        let (file, record) = (home.path(name), folder.join("a.json"));
        std::fs::write(&file, &bytes).expect("the file is written");
        std::fs::write(&record, &bytes).expect("the record is written");
        for (format, path, blamed) in [
            ("asterisk-cdr-csv", &file, &file),
            ("asterisk-cel-csv", &file, &file),
            ("events-ndjson", &file, &file),
            ("freeswitch-json-cdr", &folder, &record),
        ] {
            let output = home.run(&["import", format, &text(path), "--organization", "org_default"]);
            assert_eq!(output.status.code(), Some(1), "{format} {name}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let holds = said.lines().count() == 1 && said.contains(word) && said.contains(&text(blamed));
            assert!(holds, "{format} {name}: {said}");
        }
    }
}

#[tokio::test]
async fn the_columns_of_a_custom_cel_file_are_named() {
    let home = Home::with_store("");
    let file = home.path("custom.csv");
    let rows = "1795185444.359871,CHAN_START,1.0,1.0,x,2001,100,\n1795185450.000001,HANGUP,1.0,1.0,x,2001,100,\
                \"{\"\"hangupcause\"\":\"\"17\"\"}\"\n";
    std::fs::write(&file, rows).expect("the file is written");
    let columns = ["--columns", "eventtime,eventtype,linkedid,uniqueid,mine,cidnum,exten,extra"];
    import(&home, "org_default", "asterisk-cel-csv", &[text(&file)], &columns);
    let misused = |arguments: &[&str], word: &str| {
        let output = home.run(&[&["import"], arguments, &["--organization", "org_default"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
    };
    misused(&["asterisk-cel-csv", "x.csv", "--columns", "eventtime,eventtype,uniqueid"], "linkedid");
    misused(&["asterisk-cdr-csv", "x.csv", columns[0], columns[1]], "asterisk-cel-csv");
    misused(&["asterisk-sql", "x.csv"], "asterisk-cdr-csv");
    misused(&["asterisk-cdr-csv"], "PATH");
    let server = home.start();
    let calls = calls(&server, "org_default").await;
    check(&calls, &[("custom", "busy", "busy", (1_795_185_444_359, None, 1_795_185_450_000), "100")]);
}

/// Writes a file of a good record between bad ones; gives where the bad ones are.
fn spoiled(home: &Home, name: &str, lines: &[&str]) -> PathBuf {
    let file = home.path(name);
    std::fs::write(&file, lines.join("\n")).expect("the file is written");
    file
}

#[tokio::test]
async fn a_bad_row_is_reported_by_file_and_line_and_stops_nothing() {
    let home = Home::with_store("");
    let read = |path: &str| std::fs::read_to_string(fixtures().join(path)).expect("a recorded file");
    let (cdr, cel) = (read("asterisk/cdr/answered.csv"), read("asterisk/cel/hold.csv"));
    let row = cdr.trim_end();
    // Rows that cannot be read, and rows that can and tell what cannot be.
    let (eaten, ancient) = (row.replace("ANSWERED", "EATEN"), row.replace("2026-", "1926-"));
    let cdr = spoiled(&home, "cdr.csv", &["a,b", row, &eaten, "", &ancient, &row[..40]]);
    let ancient = cel.lines().next().expect("a row").replace("2026-", "1926-");
    let rows: Vec<&str> = [ancient.as_str()].into_iter().chain(cel.lines()).chain(["x"]).collect();
    let cel_lines = rows.len();
    let cel = spoiled(&home, "cel.csv", &rows);
    let event =
        |kind: &str| json!({ "call_id": "c", "event_type": kind, "created_at": 1_767_261_600_000_i64 });
    let good = event("call_answered").to_string();
    let unknown = event("call_eaten").to_string();
    let ndjson = spoiled(&home, "events.ndjson", &["{", &good, "", &unknown, "[]", "{\"call_id\":\"c\"}"]);
    std::fs::create_dir(home.path("records")).expect("a folder");
    let record = spoiled(&home, "records/a.json", &["{"]);
    std::fs::copy(recorded("freeswitch/json_cdr/invalid-extension.1.json"), home.path("records/b.json"))
        .expect("a copy");

    let places = |file: &Path, lines: &[usize]| -> Vec<String> {
        lines.iter().map(|line| format!("{}:{line}: ", file.display())).collect()
    };
    let expect = [
        ("asterisk-cdr-csv", cdr.clone(), places(&cdr, &[1, 3, 5, 6])),
        ("asterisk-cel-csv", cel.clone(), places(&cel, &[1, cel_lines])),
        ("events-ndjson", ndjson.clone(), places(&ndjson, &[1, 4, 5, 6])),
        ("freeswitch-json-cdr", home.path("records"), places(&record, &[1])),
    ];
    let run = || {
        for (format, path, places) in &expect {
            let output =
                home.run(&["import", format, &text(path), "--organization", "org_default", "--json"]);
            assert_eq!(output.status.code(), Some(1), "{format}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let mut said: Vec<&str> = said.lines().collect();
            said.sort_by_key(|line| line.split(':').nth(1).and_then(|line| line.parse::<u32>().ok()));
            assert_eq!(said.len(), places.len(), "{format}: {said:#?}");
            for (said, place) in said.iter().zip(places) {
                assert!(said.starts_with(place.as_str()), "{said} at {place}");
            }
            let told: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
            assert_eq!(told["bad"].as_array().map(Vec::len), Some(places.len()), "{told}");
        }
    };
    run();
    let server = home.start();
    run();
    let statuses: Vec<Value> =
        calls(&server, "org_default").await.into_iter().map(|mut call| call["status"].take()).collect();
    assert_eq!(statuses, ["in_progress", "completed", "completed", "failed"]);

    for (arguments, word) in [
        (["asterisk-cdr-csv", "missing.csv", "--organization", "org_default"], "missing.csv"),
        (
            ["asterisk-cdr-csv", &recorded("asterisk/cdr/busy.csv"), "--organization", "org-x"],
            "organizations create --id org-x",
        ),
    ] {
        let output = home.run(&[&["import"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.starts_with("pegcount: ") && said.lines().count() == 1 && said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn the_events_of_a_call_make_the_same_call_in_another_ledger() {
    let (one, other) = (Home::with_store(""), Home::with_store(""));
    import(
        &one,
        "org_default",
        "asterisk-cel-csv",
        &[recorded("asterisk/cel/blind-transfer-refer.csv")],
        &[],
    );
    let server = one.start();
    server
        .tell(&json!([
            { "call_id": "told", "event_type": "call_answered", "created_at": "2026-01-01T10:00:00.001Z" },
            { "call_id": "told", "event_type": "transcript_turn", "created_at": "2026-01-01T10:00:02Z",
              "event_data": { "role": "caller", "content": "\u{1F600} \"quoted\"\n", "x": 1.50 } },
            { "call_id": "told", "event_type": "cost_item", "created_at": "2026-01-01T10:00:03Z",
              "event_data": { "product": "sms", "cost": "0.075" } },
            { "call_id": "told", "event_type": "call_completed", "created_at": "2026-01-01T10:00:09Z" },
            { "call_id": "told", "event_type": "x_without_a_time" },
        ]))
        .await;
    let before = calls(&server, "org_default").await;
    let mut lines = Vec::new();
    for call in &before {
        let id = call["id"].as_str().expect("an id");
        let events = server.get(&format!("/v1/calls/{id}/events")).await.expect(200);
        for event in events["events"].as_array().expect("events") {
            let mut event = event.clone();
            event["call_id"] = id.into();
            lines.push(event.to_string());
        }
    }
    let file = other.path("events.ndjson");
    std::fs::write(&file, lines.join("\n")).expect("the file is written");
    let told = import(&other, "org_default", "events-ndjson", &[text(&file)], &[]);
    assert_eq!(told["accepted"].as_u64(), Some(lines.len() as u64));
    // Where they came from they are known.
    let told = import(&one, "org_default", "events-ndjson", &[text(&file)], &[]);
    assert_eq!((&told["accepted"], told["duplicates"].as_u64()), (&json!(0), Some(lines.len() as u64)));
    assert_eq!(calls(&server, "org_default").await, before);
    let server = other.start();
    assert_eq!(calls(&server, "org_default").await, before);
    let events = server.get("/v1/calls/told/events").await.expect(200);
    assert_eq!(events["events"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn events_of_a_file_that_names_no_times_keep_its_order() {
    let home = Home::with_store("");
    let file = home.path("events.ndjson");
    let lines: Vec<String> = (0..40)
        .map(|number| {
            json!({ "call_id": "c", "event_type": "x_step", "event_data": { "n": number } }).to_string()
        })
        .collect();
    std::fs::write(&file, lines.join("\n")).expect("the file is written");
    import(&home, "org_default", "events-ndjson", &[text(&file)], &[]);
    let again = import(&home, "org_default", "events-ndjson", &[text(&file)], &[]);
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(40)));
    let server = home.start();
    let events = server.get("/v1/calls/c/events").await.expect(200);
    let numbers: Vec<Option<i64>> = events["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["event_data"]["n"].as_i64())
        .collect();
    assert_eq!(numbers, (0..40).map(Some).collect::<Vec<_>>());
}
