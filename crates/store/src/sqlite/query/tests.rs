//! By which index each list is read, and that it is the same list by every one.

use pegcount_calls::{
    Bill, Call, CallName, CallType, Cause, Content, Direction, Document, Ending, EndpointName,
    MetadataFilter, PhoneNumberName, Range, State, Status, Timestamp,
};
use uuid::Uuid;

use super::*;
use crate::{
    Basis, Store,
    sqlite::{
        Sqlite,
        connect::{Readers, open_reader},
        ways::FEW,
    },
};

const OURS: OrganizationNumber = OrganizationNumber(1);

/// What SQLite says that it would do.
fn plan(connection: &Connection, (sql, values): &(String, Vec<Value>)) -> String {
    let explain = format!("EXPLAIN QUERY PLAN {sql}");
    let steps = many(connection, &explain, params_from_iter(values), |row| Ok(row.get::<_, String>(3)?));
    steps.unwrap_or_else(|fault| panic!("{sql}: {:?}", crate::StoreError::from(fault))).join("; ")
}

/// The statements that give a list, read this way, each with its plan.
fn plans(connection: &Connection, query: &CallQuery, way: Option<Way>, begin: Begin) -> Vec<String> {
    let list = Parts { organization: OURS, query, way, begin };
    let parts = Part::of(query).into_iter().filter_map(|part| {
        let (rows, meant, offset) = list.part(part)?;
        let sql = part.statement(&rows, &meant, query.sort.ascending);
        let bounds = [Value::from(20), Value::from(i64::try_from(offset).unwrap())];
        Some((sql, meant.values().iter().cloned().chain(bounds).collect()))
    });
    parts.map(|statement| plan(connection, &statement)).collect()
}

async fn store(folder: &tempfile::TempDir) -> (Sqlite, Connection) {
    let path = folder.path().join("calls.db");
    let store = Sqlite::open(&path, None).unwrap();
    let connection = open_reader(&path, &Default::default()).unwrap();
    (store, connection)
}

fn all() -> CallQuery {
    CallQuery::default()
}

fn range() -> Range {
    Range { from: Some(5), to: Some(90) }
}

fn sorts() -> impl Iterator<Item = Sort> {
    let keys = [SortKey::CreatedAt, SortKey::EndedAt, SortKey::TotalTime];
    keys.into_iter().flat_map(|key| [false, true].map(|ascending| Sort { key, ascending }))
}

/// Every filter, in its plain form.
fn filters() -> Vec<CallQuery> {
    let numbers = |numbers: &[&str]| numbers.iter().map(|number| (*number).to_owned()).collect();
    let meta = |values: &[&str]| MetadataFilter { key: "team".to_owned(), values: numbers(values) };
    vec![
        all(),
        CallQuery { from_numbers: numbers(&["+1"]), ..all() },
        CallQuery { from_numbers: numbers(&["+1", "+2", "+9"]), ..all() },
        CallQuery { to_numbers: numbers(&["+1"]), created: range(), ..all() },
        CallQuery { to_numbers: numbers(&["+1", "+2"]), from_numbers: numbers(&["+2"]), ..all() },
        CallQuery { endpoints: vec![EndpointName::new("ep_1").unwrap()], ..all() },
        CallQuery { phone_numbers: vec![PhoneNumberName::new("pn_1").unwrap()], ..all() },
        CallQuery { statuses: vec![Status::Completed], ..all() },
        CallQuery { statuses: vec![Status::Initiated, Status::InProgress], ..all() },
        CallQuery {
            statuses: vec![Status::Busy, Status::Initiated],
            directions: vec![Direction::Inbound],
            ..all()
        },
        CallQuery { created: range(), ..all() },
        CallQuery { ended: range(), ..all() },
        CallQuery { total_millis: Range { from: None, to: Some(30) }, ..all() },
        CallQuery { metadata: vec![meta(&["north"])], ..all() },
        CallQuery { metadata: vec![meta(&["north", "south"]), meta(&["south"])], ..all() },
        CallQuery { transcript: Some("alpha".to_owned()), ..all() },
        CallQuery { transcript: Some("alpha beta".to_owned()), metadata: vec![meta(&["north"])], ..all() },
        CallQuery { transcript: Some("?".to_owned()), ..all() },
    ]
}

#[tokio::test]
async fn a_list_in_its_own_order_is_walked_in_the_index_of_that_order() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, connection) = store(&folder).await;
    for sort in sorts() {
        for filter in filters() {
            let query = CallQuery { sort, ..filter };
            let middle = Cursor { value: Some(50), arrival: 7 };
            for begin in
                [Begin::Offset(0), Begin::After(middle), Begin::After(Cursor { value: None, ..middle })]
            {
                for plan in plans(&connection, &query, None, begin) {
                    let (index, bound) = match (sort.key, plan.contains("calls_unended")) {
                        (SortKey::CreatedAt, _) => ("calls_start", ""),
                        (_, true) => ("calls_unended", ""),
                        (SortKey::EndedAt, false) => ("calls_ended", ""),
                        (_, false) => ("calls_total", ""),
                    };
                    let wanted = format!("INDEX {index} (org=?{bound}");
                    assert!(plan.contains(&wanted), "{query:?}: {plan}");
                    // Ties alone are sorted, and only where they lie against the index.
                    let sorted = plan.contains("USE TEMP B-TREE FOR ORDER BY");
                    assert!(!sorted, "{query:?}: {plan}");
                    let ties = plan.contains("FOR LAST TERM OF ORDER BY");
                    assert_eq!(ties, sort.ascending && index != "calls_unended", "{query:?}: {plan}");
                }
            }
        }
    }
}

#[tokio::test]
async fn words_that_many_have_are_looked_for_in_the_first_calls_of_a_list_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, connection) = store(&folder).await;
    for sort in sorts() {
        let query = CallQuery { sort, ..all() };
        let list = Parts { organization: OURS, query: &query, way: None, begin: Begin::Offset(0) };
        let part = Part::of(&query)[0];
        let (rows, meant, _) = list.part(part).unwrap();
        let (said, words) = said(OURS, "alpha");
        let sql = early_statement(part, &rows, &meant, sort.ascending, &said);
        let values = meant.values().iter().cloned().chain([FIRST.into()]).chain(words);
        let values = values.chain([Value::from(20), Value::from(0)]).collect();
        let plan = plan(&connection, &(sql, values));
        assert!(plan.contains("MATERIALIZE first") && plan.contains(part.index()), "{plan}");
        // Between two keys: the index of words is not walked beyond.
        assert!(plan.contains("SCAN transcripts VIRTUAL TABLE INDEX") && plan.contains("><"), "{plan}");
    }
}

#[tokio::test]
async fn a_filter_by_one_value_has_its_calls_in_the_order_of_creation() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, connection) = store(&folder).await;
    for (place, index, column) in [
        (1, "calls_from", "from_number"),
        (3, "calls_to", "to_number"),
        (5, "calls_endpoint", "endpoint"),
        (6, "calls_phone_number", "phone_number"),
        (7, "calls_status", "status"),
    ] {
        let query = filters().swap_remove(place);
        let way =
            ways::of_list(&connection, OURS, &CallQuery { created: Range::default(), ..query.clone() }, None);
        assert_eq!(way.unwrap(), Some(Way::Index(index)), "{query:?}");
        let after = Begin::After(Cursor { value: Some(50), arrival: 7 });
        for begin in [Begin::Offset(0), after] {
            for plan in plans(&connection, &query, Some(Way::Index(index)), begin) {
                let wanted = format!("USING COVERING INDEX {index} (org=? AND {column}=? AND start_ms");
                assert!(plan.contains(&wanted) && !plan.contains("TEMP B-TREE"), "{query:?}: {plan}");
            }
        }
    }
}

#[tokio::test]
async fn what_no_count_knows_is_counted_in_the_index_of_its_filter() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, connection) = store(&folder).await;
    for (place, wanted) in [
        (1, "COVERING INDEX calls_from (org=? AND from_number=? AND start_ms"),
        (2, "COVERING INDEX calls_from (org=? AND from_number=? AND start_ms"),
        (3, "COVERING INDEX calls_to (org=? AND to_number=? AND start_ms"),
        (11, "COVERING INDEX calls_ended (org=? AND ended_ms>? AND ended_ms<?)"),
        (12, "COVERING INDEX calls_total (org=? AND total_ms<?)"),
        (13, "SEARCH call_meta USING PRIMARY KEY (org=? AND key=? AND value=?)"),
        (14, "SEARCH calls USING INTEGER PRIMARY KEY (rowid=?)"),
        (15, "SCAN transcripts VIRTUAL TABLE INDEX"),
    ] {
        let query = &filters()[place];
        let statement = counting(&connection, OURS, query).unwrap();
        let plan = plan(&connection, &statement);
        assert!(plan.contains(wanted), "{query:?}: {plan}");
    }
}

/// A call of many kinds; the number decides of which.
fn made_up(number: i64) -> (Call, Option<PhoneNumberName>) {
    let created = number * 7 % 100;
    let ended = created + number % 5 * 10;
    let ending = |cause, answered: Option<i64>| {
        State::Ended(Ending {
            answered_at: answered.map(Timestamp::from_millis),
            ended_at: Timestamp::from_millis(ended),
            cause,
            by: None,
            transfer: false,
            failed: false,
            inferred: false,
        })
    };
    let state = match number % 6 {
        0 => State::Initiated,
        1 => State::Answered { answered_at: Timestamp::from_millis(created) },
        2 | 3 => ending(Cause::Busy, None),
        _ => ending(Cause::UserHangup, Some(created)),
    };
    let team = if number % 2 == 0 { r#""north""# } else { r#""south""# };
    let words = ["alpha", "beta", "alpha beta", "gamma"];
    let content = Content {
        metadata: [("team".to_owned(), Document::from_json_text(team))].into(),
        transcript_text: words.get(usize::try_from(number % 4).unwrap()).map(|text| (*text).to_owned()),
        ..Content::default()
    };
    let call = Call {
        created_at: Timestamp::from_millis(created),
        ringing_at: None,
        state,
        direction: if number % 3 == 0 { Direction::Outbound } else { Direction::Inbound },
        call_type: CallType::Phone,
        from_number: (number % 4 != 0).then(|| format!("+{}", number % 4)),
        to_number: (number % 5 != 0).then(|| format!("+{}", number % 3)),
        endpoint: (number % 7 != 0).then(|| EndpointName::new(format!("ep_{}", number % 2)).unwrap()),
        phone_number: None,
        opt_out: false,
        content,
    };
    (call, (number % 2 == 1).then(|| PhoneNumberName::new("pn_1").unwrap()))
}

async fn fill(store: &Sqlite, calls: i64) {
    let mut transaction = store.begin().await.unwrap();
    for number in 0..calls {
        let (call, phone_number) = made_up(number);
        for organization in [OURS, OrganizationNumber(2)] {
            let name = CallName::new(format!("c{number}")).unwrap();
            let head = transaction.open_call(organization, &name, Uuid::now_v7()).await.unwrap();
            let basis = Basis { phone_number: phone_number.clone(), ..Basis::default() };
            transaction.save(head.key, &call, &Bill::default(), &basis).await.unwrap();
        }
    }
    // Opened and never saved.
    transaction.open_call(OURS, &CallName::new("opened").unwrap(), Uuid::now_v7()).await.unwrap();
    transaction.commit().await.unwrap();
    store.indexer.caught_up().await.unwrap();
}

#[tokio::test]
async fn a_list_is_the_same_by_whatever_it_is_read_and_as_long_as_its_total() {
    let folder = tempfile::tempdir().unwrap();
    let (store, connection) = store(&folder).await;
    fill(&store, 120).await;
    let filters = filters();
    // Every filter with every other one.
    let pairs = filters.iter().flat_map(|one| filters.iter().map(move |other| both(one, other)));
    for (number, filter) in pairs.enumerate() {
        let sort = sorts().nth(number % 6).unwrap();
        let paging = pegcount_calls::Paging { limit: 1_000, ..Default::default() };
        let query = CallQuery { sort, paging, ..filter };
        let read = |way, begin| {
            let list = Parts { organization: OURS, query: &query, way, begin };
            places(&connection, &list).map_err(crate::StoreError::from).unwrap()
        };
        let whole = read(None, Begin::Offset(0));
        let total = store.calls(OURS, &query).await.unwrap().total;
        assert_eq!(total, Some(whole.len() as u64), "{query:?}");
        // The first calls of a list, as a short part of it is looked for.
        for offset in [0, whole.len() / 2] {
            let paging = pegcount_calls::Paging { limit: 2, ..Default::default() };
            let query = CallQuery { paging, ..query.clone() };
            let begin = Begin::Offset(u64::try_from(offset).unwrap());
            let list = Parts { organization: OURS, query: &query, way: None, begin };
            let found = places(&connection, &list).map_err(crate::StoreError::from).unwrap();
            assert_eq!(found, whole[offset..whole.len().min(offset + 3)], "{query:?}");
        }
        for candidate in ways::every(OURS, &query) {
            assert_eq!(read(Some(candidate), Begin::Offset(0)), whole, "{candidate:?} {query:?}");
            for place in [0, whole.len() / 2, whole.len().saturating_sub(1)] {
                let (Some(cursor), Some(rest)) = (whole.get(place), whole.get(place + 1..)) else { continue };
                assert_eq!(read(Some(candidate), Begin::After(*cursor)), rest, "{candidate:?} {query:?}");
                let offset = u64::try_from(place + 1).unwrap();
                assert_eq!(read(Some(candidate), Begin::Offset(offset)), rest, "{candidate:?} {query:?}");
                assert_eq!(read(None, Begin::Offset(offset)), rest, "{query:?}");
            }
        }
    }
}

/// What passes both filters; where both ask about the same, what passes the second.
fn both(one: &CallQuery, other: &CallQuery) -> CallQuery {
    fn either<T: Clone>(one: &[T], other: &[T]) -> Vec<T> {
        if other.is_empty() { one.to_vec() } else { other.to_vec() }
    }
    let range = |one: Range, other: Range| if other.is_open() { one } else { other };
    CallQuery {
        from_numbers: either(&one.from_numbers, &other.from_numbers),
        to_numbers: either(&one.to_numbers, &other.to_numbers),
        endpoints: either(&one.endpoints, &other.endpoints),
        phone_numbers: either(&one.phone_numbers, &other.phone_numbers),
        statuses: either(&one.statuses, &other.statuses),
        directions: either(&one.directions, &other.directions),
        metadata: either(&one.metadata, &other.metadata),
        transcript: other.transcript.clone().or_else(|| one.transcript.clone()),
        created: range(one.created, other.created),
        ended: range(one.ended, other.ended),
        total_millis: range(one.total_millis, other.total_millis),
        ..all()
    }
}

#[tokio::test]
async fn what_few_calls_have_is_looked_up_and_what_many_have_is_walked() {
    let folder = tempfile::tempdir().unwrap();
    let (store, connection) = store(&folder).await;
    let writer = store.writer.lock().await;
    let many = i64::try_from(FEW).unwrap() + 1;
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO calls (org, name, uuid, start_ms, ended_ms, total_ms, status, from_number, to_number)
        SELECT 1, 'c' || i, randomblob(16), i, i, 0, 4, '+1', iif(i % 100 = 0, '+2', '+1') FROM n";
    writer.connection.execute(rows, [many]).unwrap();
    drop(writer);
    let numbers = |numbers: &[&str]| numbers.iter().map(|number| (*number).to_owned()).collect::<Vec<_>>();
    let way = |query: &CallQuery| ways::of_list(&connection, OURS, query, None).unwrap();
    let by_end = Sort { key: SortKey::EndedAt, ascending: true };

    let often = CallQuery { from_numbers: numbers(&["+1", "+3"]), ..all() };
    assert_eq!(way(&often), None);
    let seldom = CallQuery { to_numbers: numbers(&["+2", "+3"]), ..often };
    assert_eq!(way(&seldom), Some(Way::Index("calls_to")));
    assert_eq!(way(&CallQuery { sort: by_end, ..seldom }), Some(Way::Index("calls_to")));
    let one = CallQuery { from_numbers: numbers(&["+1"]), ..all() };
    assert_eq!(way(&one), Some(Way::Index("calls_from")));
    assert_eq!(way(&CallQuery { sort: by_end, ..one.clone() }), None);
    let completed = CallQuery { statuses: vec![Status::Completed, Status::Busy], ..all() };
    assert_eq!(way(&CallQuery { sort: by_end, ..completed }), None);
    let both = CallQuery { to_numbers: numbers(&["+2"]), ..one };
    assert_eq!(ways::of_count(&connection, OURS, &both).unwrap(), Way::Index("calls_to"));
}

#[tokio::test]
async fn a_list_that_takes_longer_than_a_read_may_is_cut_and_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _connection) = store(&folder).await;
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO calls (org, name, uuid, start_ms, status, direction)
        SELECT 1, 'c' || i, randomblob(16), i, 1, 0 FROM n";
    store.writer.lock().await.connection.execute_batch(rows).unwrap();
    store.readers = Readers::new(
        store.path.clone(),
        Default::default(),
        std::time::Duration::ZERO,
        std::sync::Arc::default(),
    );
    let query = CallQuery { call_types: vec![CallType::Web], ..all() };
    let mut cut = store.calls(OURS, &query).await;
    // The first look at the clock may come within the first millisecond.
    while cut.is_ok() {
        cut = store.calls(OURS, &query).await;
    }
    assert!(matches!(cut, Err(crate::StoreError::TooLong)), "{cut:?}");
}
