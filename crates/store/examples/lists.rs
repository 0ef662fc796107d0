//! Measures lists and searches: `cargo run --release -p pegcount-store --example lists`.
//!
//! Takes how many calls there are (a million) and the folder they go to (a new one). Organization 1 has three of ten.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{error::Error, path::PathBuf, time::Instant};

use pegcount_calls::{
    Analysis, Bill, Call, CallName, CallQuery, CallType, Cause, Content, Direction, Ending, EndpointName,
    Paging, PhoneNumberName, Sort, SortKey, State, Status, Timestamp,
};
use pegcount_store::{CallKey, OrganizationNumber, Store};
use uuid::Uuid;

const YEAR_BEGIN: i64 = 1_767_225_600_000;
const DAY: i64 = 86_400_000;
const BATCH: u64 = 1_000;
const REPEATS: usize = 21;
/// Words of a transcript, and how many there are to choose from.
const WORDS: u64 = 40;
const VOCABULARY: u64 = 20_000;

/// Splitmix64: enough for made-up calls, and the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A number from 1, the n-th n times as seldom as the first.
    fn zipf(&mut self, most: u64) -> u64 {
        let share = self.below(1 << 32) as f64 / f64::from(u32::MAX);
        ((most as f64 + 1.0).powf(share) as u64).clamp(1, most)
    }
}

fn word(number: u64) -> String {
    format!("w{:x}", number * 7_919)
}

fn made_up(
    random: &mut Random,
    number: u64,
    of: u64,
) -> Result<(i64, Call, PhoneNumberName), Box<dyn Error>> {
    let organization = if random.below(10) < 3 { 1 } else { random.zipf(1_000) };
    let created = YEAR_BEGIN + i64::try_from(number * (365 * DAY as u64) / of)?;
    let answered = (random.below(10) < 7).then_some(created + 4_000 + i64::try_from(random.below(9_000))?);
    let ended = answered.unwrap_or(created + 20_000) + i64::try_from(random.below(300_000))?;
    let ending = Ending {
        answered_at: answered.map(Timestamp::from_millis),
        ended_at: Timestamp::from_millis(ended),
        cause: Cause::UserHangup,
        by: None,
        transfer: false,
        failed: random.below(50) == 0,
        inferred: false,
    };
    let mut words = |count: u64| -> String {
        let words: Vec<String> = (0..count).map(|_| word(random.zipf(VOCABULARY))).collect();
        words.join(" ")
    };
    let content = Content {
        transcript_text: Some(words(WORDS)),
        analysis: Some(Analysis { summary: Some(words(WORDS / 8)), ..Analysis::default() }),
        ..Content::default()
    };
    let phone_number = PhoneNumberName::new(format!("pn_{organization}_{}", random.zipf(200)))?;
    let call = Call {
        created_at: Timestamp::from_millis(created),
        ringing_at: Some(Timestamp::from_millis(created + 1_500)),
        state: State::Ended(ending),
        direction: if random.below(3) == 0 { Direction::Outbound } else { Direction::Inbound },
        call_type: CallType::Phone,
        from_number: Some(format!("+49301{}", random.zipf(1_000_000))),
        to_number: Some(format!("+49302{}", random.zipf(200))),
        endpoint: Some(EndpointName::new(format!("ep_{organization}_{}", random.zipf(50)))?),
        phone_number: None,
        opt_out: false,
        content,
    };
    Ok((i64::try_from(organization)?, call, phone_number))
}

async fn fill(store: &dyn Store, calls: u64) -> Result<(), Box<dyn Error>> {
    let mut random = Random(7);
    let mut keeping = std::time::Duration::ZERO;
    for batch in 0..calls / BATCH {
        let made_up: Result<Vec<_>, _> =
            (batch * BATCH..(batch + 1) * BATCH).map(|number| made_up(&mut random, number, calls)).collect();
        let made_up = made_up?;
        let begun = Instant::now();
        let mut transaction = store.begin().await?;
        for ((organization, call, phone_number), number) in made_up.into_iter().zip(batch * BATCH..) {
            let name = CallName::new(format!("call_{number}"))?;
            let organization = OrganizationNumber(organization);
            let head = transaction.open_call(organization, &name, Uuid::now_v7()).await?;
            // As it is with a live call: it is saved more than once.
            let rings = Call { state: State::Ringing, content: Content::default(), ..call.clone() };
            transaction.save(head.key, &rings, &Bill::default(), Some(&phone_number)).await?;
            transaction.save(head.key, &call, &Bill::default(), Some(&phone_number)).await?;
        }
        transaction.commit().await?;
        keeping += begun.elapsed();
    }
    println!("{calls} calls kept, two saves each: {:.0} calls/s", calls as f64 / keeping.as_secs_f64());
    Ok(())
}

fn queries() -> Vec<(&'static str, CallQuery)> {
    let numbers = |numbers: &[&str]| numbers.iter().map(|number| (*number).to_owned()).collect::<Vec<_>>();
    let all = || CallQuery { paging: Paging { limit: 20, ..Paging::default() }, ..CallQuery::default() };
    let by = |key, ascending| Sort { key, ascending };
    let deep = Paging { limit: 20, offset: 100_000, after: None };
    let said =
        |words: &str, key| CallQuery { transcript: Some(words.to_owned()), sort: by(key, false), ..all() };
    // The commonest word, one of the middle, and a seldom one.
    let [common, middle, seldom] = [1, 200, 15_000].map(word);
    vec![
        ("page 1", all()),
        ("by one calling number, common", CallQuery { from_numbers: numbers(&["+493011"]), ..all() }),
        ("by one calling number, seldom", CallQuery { from_numbers: numbers(&["+49301900000"]), ..all() }),
        (
            "by three called numbers",
            CallQuery { to_numbers: numbers(&["+493021", "+493022", "+493029"]), ..all() },
        ),
        ("by end", CallQuery { sort: by(SortKey::EndedAt, false), ..all() }),
        ("by end, ascending", CallQuery { sort: by(SortKey::EndedAt, true), ..all() }),
        ("by total time", CallQuery { sort: by(SortKey::TotalTime, false), ..all() }),
        (
            "by end, completed",
            CallQuery { sort: by(SortKey::EndedAt, false), statuses: vec![Status::Completed], ..all() },
        ),
        (
            "by end, canceled",
            CallQuery { sort: by(SortKey::EndedAt, false), statuses: vec![Status::Canceled], ..all() },
        ),
        (
            "by total time, one called number",
            CallQuery { sort: by(SortKey::TotalTime, false), to_numbers: numbers(&["+493021"]), ..all() },
        ),
        (
            "by end, 100,000 passed over",
            CallQuery { sort: by(SortKey::EndedAt, false), paging: deep, ..all() },
        ),
        ("search, common word, newest", said(&common, SortKey::CreatedAt)),
        ("search, common word, relevance", said(&common, SortKey::Relevance)),
        ("search, two words, relevance", said(&format!("{common} {middle}"), SortKey::Relevance)),
        ("search, middling word, relevance", said(&middle, SortKey::Relevance)),
        ("search, seldom word, newest", said(&seldom, SortKey::CreatedAt)),
        ("search, seldom word, relevance", said(&seldom, SortKey::Relevance)),
        (
            "search, common word and status, relevance",
            CallQuery { statuses: vec![Status::Canceled], ..said(&common, SortKey::Relevance) },
        ),
    ]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let calls: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("pegcount-lists"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("calls.db");
    let begun = Instant::now();
    let store = pegcount_store::open(&path.to_string_lossy())?;
    println!("opened in {:.2} s", begun.elapsed().as_secs_f64());
    if store.calls_after(None, CallKey(0), 1).await?.is_empty() {
        fill(&*store, calls).await?;
    }
    store.close().await?;
    println!("file: {} MB", std::fs::metadata(&path)?.len() / 1_000_000);
    for (what, query) in queries() {
        let mut times = Vec::new();
        let mut total = None;
        for _ in 0..REPEATS {
            let begun = Instant::now();
            total = store.calls(OrganizationNumber(1), &query).await?.total;
            times.push(begun.elapsed());
        }
        times.sort();
        let middle = times.get(REPEATS / 2).copied().unwrap_or_default();
        println!("{what:44} {:>10.1} us, of {}", middle.as_secs_f64() * 1e6, total.unwrap_or(0));
    }
    Ok(())
}
