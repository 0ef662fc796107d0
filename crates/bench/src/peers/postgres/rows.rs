//! The rows of one transaction, column by column, as unnest takes them.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use pegcount_calls::{Amount, Bill, Call, Direction, History, PhoneNumberName, Status, Timestamp};
use tokio_postgres::types::ToSql;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// Counters of a row of counts, as schema.sql has them.
const COUNTERS: usize = 13;

/// What is kept of a call between two commits.
pub(super) struct Kept {
    pub(super) key: i64,
    pub(super) history: Option<History>,
    /// Whether this commit has met it already.
    pub(super) touched: bool,
    counted: Option<(Vec<Series>, Counters)>,
    document: Option<u64>,
}

/// Whose counts, and of which day or hour: organization, dimension, name, bucket.
type Series = (i64, i16, String, i64);
type Counters = [i64; COUNTERS];

/// One cell of a row.
enum Cell {
    Number(Option<i64>),
    Small(i16),
    Text(Option<String>),
}

/// One column of many rows.
pub(super) enum Column {
    Numbers(Vec<Option<i64>>),
    Smalls(Vec<i16>),
    Texts(Vec<Option<String>>),
}

/// Columns of one table.
#[derive(Default)]
pub(super) struct Columns(pub(super) Vec<Column>);

impl Column {
    pub(super) fn as_parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Numbers(cells) => cells,
            Self::Smalls(cells) => cells,
            Self::Texts(cells) => cells,
        }
    }
}

impl Columns {
    /// Adds a row; the first one decides what the columns are of.
    fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        for (place, cell) in row.into_iter().enumerate() {
            match (self.0.get_mut(place), cell) {
                (Some(Column::Numbers(cells)), Cell::Number(number)) => cells.push(number),
                (Some(Column::Smalls(cells)), Cell::Small(number)) => cells.push(number),
                (Some(Column::Texts(cells)), Cell::Text(text)) => cells.push(text),
                (_, Cell::Number(number)) => self.0.push(Column::Numbers(vec![number])),
                (_, Cell::Small(number)) => self.0.push(Column::Smalls(vec![number])),
                (_, Cell::Text(text)) => self.0.push(Column::Texts(vec![text])),
            }
        }
    }
}

/// What one transaction writes beside the events.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) calls: Columns,
    pub(super) documents: Columns,
    pub(super) meta: Columns,
    with_words: bool,
    /// Changes of counts, each key once and in order.
    counts: BTreeMap<Series, Counters>,
}

impl Kept {
    pub(super) fn new(key: i64) -> Self {
        Self { key, history: None, touched: false, counted: None, document: None }
    }
}

impl Rows {
    /// None yet; with or without the words that a text index holds.
    pub(super) fn new(with_words: bool) -> Self {
        Self { with_words, ..Self::default() }
    }

    /// Adds what has changed of a call.
    ///
    /// # Errors
    /// When it cannot be put into JSON.
    pub(super) fn add(
        &mut self,
        kept: &mut Kept,
        (organization, name): (i64, &str),
        call: &Call,
        bill: &Bill,
    ) -> Result<(), String> {
        let uuid = uuid::Uuid::from_u128(u128::from(kept.key.unsigned_abs()));
        let head = [
            Cell::Number(Some(kept.key)),
            Cell::Number(Some(organization)),
            Cell::Text(Some(name.to_owned())),
            Cell::Text(Some(uuid.to_string())),
        ];
        self.calls.push(
            head.into_iter().chain(numbers(call, bill).map(Cell::Number)).chain(texts(call).map(Cell::Text)),
        );
        let body = serde_json::to_string(&(&call.content, bill)).map_err(|error| error.to_string())?;
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let digest = hasher.finish();
        if kept.document.replace(digest) != Some(digest) {
            let words = self.with_words.then(|| words(call));
            self.documents.push([Cell::Number(Some(kept.key)), Cell::Text(Some(body)), Cell::Text(words)]);
        }
        if kept.counted.is_none() {
            for (key, value) in &call.content.metadata {
                let value = value.as_json_text().trim_matches('"').to_owned();
                let start = call.created_at.millis();
                self.meta.push([
                    Cell::Number(Some(organization)),
                    Cell::Text(Some(key.clone())),
                    Cell::Text(Some(value)),
                    Cell::Number(Some(start)),
                    Cell::Number(Some(kept.key)),
                ]);
            }
        }
        self.count(kept, organization, call, bill);
        Ok(())
    }

    /// Takes back what the call was counted as, and counts it as it is now.
    fn count(&mut self, kept: &mut Kept, organization: i64, call: &Call, bill: &Bill) {
        let now = (series(organization, call), counters(call, bill));
        let Some((series, counters)) = kept.counted.replace(now.clone()) else {
            return self.change(now.0, now.1, 1);
        };
        if (&series, &counters) != (&now.0, &now.1) {
            self.change(series, counters, -1);
            self.change(now.0, now.1, 1);
        }
    }

    fn change(&mut self, all: Vec<Series>, counters: Counters, sign: i64) {
        for series in all {
            let sums = self.counts.entry(series).or_default();
            sums.iter_mut().zip(counters).for_each(|(sum, counter)| *sum += sign * counter);
        }
    }

    /// The changes of counts as columns.
    pub(super) fn counts(&self) -> Columns {
        let mut columns = Columns::default();
        for ((organization, dimension, name, bucket), counters) in &self.counts {
            let key = [
                Cell::Number(Some(*organization)),
                Cell::Small(*dimension),
                Cell::Text(Some(name.clone())),
                Cell::Number(Some(*bucket)),
            ];
            columns.push(key.into_iter().chain(counters.map(|counter| Cell::Number(Some(counter)))));
        }
        columns
    }
}

/// The numbers of a call's row, in the order of calls.sql.
fn numbers(call: &Call, bill: &Bill) -> [Option<i64>; 20] {
    let ending = call.ending();
    let analysis = call.content.analysis.as_ref();
    let whole = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
    let flag = |flag: bool| i64::from(flag);
    [
        Some(call.created_at.millis()),
        call.ringing_at.map(Timestamp::millis),
        call.answered_at().map(Timestamp::millis),
        call.ended_at().map(Timestamp::millis),
        Some(call.status() as i64),
        Some(call.direction as i64),
        Some(call.call_type as i64),
        ending.map(|ending| ending.cause as i64),
        ending.and_then(|ending| ending.by).map(|party| party as i64),
        ending.map(|ending| flag(ending.transfer)),
        ending.map(|ending| flag(ending.failed)),
        ending.map(|ending| flag(ending.inferred)),
        Some(flag(call.opt_out)),
        call.disconnection().map(|reason| reason as i64),
        call.talk_time().map(|time| whole(time.as_millis())),
        call.total_time().map(|time| whole(time.as_millis())),
        bill.billed_seconds.map(|seconds| whole(seconds.into())),
        bill.total.map(Amount::nanos),
        analysis.and_then(|analysis| analysis.successful).map(flag),
        analysis.and_then(|analysis| analysis.in_voicemail).map(flag),
    ]
}

/// The texts of a call's row, in the order of calls.sql.
fn texts(call: &Call) -> [Option<String>; 5] {
    let sentiment = call.content.analysis.as_ref().and_then(|analysis| analysis.sentiment.as_ref());
    [
        call.from_number.clone(),
        call.to_number.clone(),
        call.endpoint.as_ref().map(ToString::to_string),
        call.phone_number.as_ref().map(PhoneNumberName::to_string),
        sentiment.map(|sentiment| sentiment.to_lowercase()),
    ]
}

/// What a text index holds of a call: what was said, and the summary.
fn words(call: &Call) -> String {
    let turns = call.content.turns.iter().map(|turn| turn.said.content.as_str());
    let summary = call.content.analysis.as_ref().and_then(|analysis| analysis.summary.as_deref());
    turns.chain(summary).collect::<Vec<_>>().join("\n")
}

fn series(organization: i64, call: &Call) -> Vec<Series> {
    let start = call.created_at.millis();
    let day = start.div_euclid(DAY);
    let mut all =
        vec![(organization, 0, String::new(), day), (organization, 3, String::new(), start.div_euclid(HOUR))];
    all.extend(call.endpoint.as_ref().map(|id| (organization, 1, id.to_string(), day)));
    all.extend(call.phone_number.as_ref().map(|id| (organization, 2, id.to_string(), day)));
    all
}

fn counters(call: &Call, bill: &Bill) -> Counters {
    let mut counters = [0; COUNTERS];
    let of_status = Status::ALL.iter().map(|status| i64::from(*status == call.status()));
    let talk = call.talk_time().map_or(0, |talk| talk.as_secs());
    let rest = [
        i64::from(call.direction == Direction::Outbound),
        i64::from(call.answered_at().is_some()),
        i64::try_from(talk).unwrap_or(i64::MAX),
        bill.total.map_or(0, Amount::nanos),
    ];
    counters.iter_mut().zip(of_status.chain(rest)).for_each(|(counter, value)| *counter = value);
    counters
}
