//! Measures what the counts beside the calls cost and give: `cargo run --release -p pegcount-store --example rollups`.
//!
//! Takes how many calls there are (a million) and the folder they go to (a new one). Organization 1 has the most.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{error::Error, path::PathBuf, time::Instant};

use pegcount_calls::{
    Bill, Call, CallName, CallQuery, CallType, Cause, Content, Direction, Ending, EndpointName, Paging,
    PhoneNumberName, Range, State, Status, Timestamp,
};
use pegcount_store::{OrganizationNumber, StatsQuery, Store};
use uuid::Uuid;

const YEAR_BEGIN: i64 = 1_767_225_600_000;
const DAY: i64 = 86_400_000;
const ORGANIZATIONS: u64 = 1_000;
const BATCH: u64 = 1_000;
const REPEATS: u32 = 101;

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

fn made_up(
    random: &mut Random,
    number: u64,
    of: u64,
) -> Result<(i64, Call, PhoneNumberName), Box<dyn Error>> {
    // The first has two of five calls, so that it has deep pages.
    let organization = if random.below(10) < 3 { 1 } else { random.zipf(ORGANIZATIONS) };
    let created = YEAR_BEGIN + i64::try_from(number * (365 * DAY as u64) / of)?;
    let answered = (random.below(10) < 7).then_some(created + 4_000 + i64::try_from(random.below(9_000))?);
    let ended = answered.unwrap_or(created + 20_000) + i64::try_from(random.below(300_000))?;
    let causes = [Cause::UserHangup, Cause::AgentHangup, Cause::NoAnswer, Cause::Busy, Cause::NetworkError];
    let cause = causes.get(usize::try_from(random.below(5))?).copied().unwrap_or(Cause::Busy);
    let ending = Ending {
        answered_at: answered.map(Timestamp::from_millis),
        ended_at: Timestamp::from_millis(ended),
        cause,
        by: None,
        transfer: false,
        failed: false,
        inferred: false,
    };
    let phone_number = PhoneNumberName::new(format!("pn_{organization}_{}", random.zipf(200)))?;
    let call = Call {
        created_at: Timestamp::from_millis(created),
        ringing_at: Some(Timestamp::from_millis(created + 1_500)),
        state: State::Ended(ending),
        direction: if random.below(3) == 0 { Direction::Outbound } else { Direction::Inbound },
        call_type: CallType::Phone,
        from_number: Some("+4930123456".to_owned()),
        to_number: Some("+4930654321".to_owned()),
        endpoint: Some(EndpointName::new(format!("ep_{organization}_{}", random.zipf(50)))?),
        phone_number: None,
        opt_out: false,
        content: Content::default(),
    };
    Ok((i64::try_from(organization)?, call, phone_number))
}

async fn fill(store: &dyn Store, calls: u64) -> Result<(), Box<dyn Error>> {
    let mut random = Random(7);
    let begun = Instant::now();
    for batch in 0..calls / BATCH {
        let mut transaction = store.begin().await?;
        for number in batch * BATCH..(batch + 1) * BATCH {
            let (organization, call, phone_number) = made_up(&mut random, number, calls)?;
            let name = CallName::new(format!("call_{number}"))?;
            let organization = OrganizationNumber(organization);
            let head = transaction.open_call(organization, &name, Uuid::now_v7()).await?;
            // As it is with a live call: it is saved more than once.
            let rings = Call { state: State::Ringing, ..call.clone() };
            transaction.save(head.key, &rings, &Bill::default(), Some(&phone_number)).await?;
            transaction.save(head.key, &call, &Bill::default(), Some(&phone_number)).await?;
        }
        transaction.commit().await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{calls} calls kept, two saves each: {:.0} saves/s", 2.0 * calls as f64 / seconds);
    Ok(())
}

/// The median over repeats, in microseconds.
async fn median<F: Future<Output = pegcount_store::Result<()>>>(
    what: &str,
    mut run: impl FnMut() -> F,
) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let begun = Instant::now();
        run().await?;
        times.push(begun.elapsed());
    }
    times.sort();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    println!("{what:44} {:>9.1} us", middle.as_secs_f64() * 1e6);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let calls: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let folder =
        arguments.next().map_or_else(|| std::env::temp_dir().join("pegcount-rollups"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("calls.db");
    let is_new = !path.exists();
    let begun = Instant::now();
    let store = pegcount_store::open(&path.to_string_lossy())?;
    println!("opened in {:.2} s", begun.elapsed().as_secs_f64());
    if is_new {
        fill(&*store, calls).await?;
    }
    store.close().await?;
    println!("file: {} MB", std::fs::metadata(&path)?.len() / 1_000_000);

    let ours = OrganizationNumber(1);
    let created = |from, to| Range { from: Some(from), to: Some(to) };
    let odd = created(YEAR_BEGIN + 12 * DAY + 4_321_987, YEAR_BEGIN + 48 * DAY + 54_321_123);
    let endpoint = Some(EndpointName::new("ep_1_1")?);
    let of = |endpoint: &Option<EndpointName>, created| StatsQuery {
        endpoint: endpoint.clone(),
        created,
        ..StatsQuery::default()
    };
    let store = &*store;
    for (what, query) in [
        ("statistics of a year", of(&None, Range::default())),
        ("statistics of an odd range", of(&None, odd)),
        ("statistics of a year, one endpoint", of(&endpoint, Range::default())),
        ("statistics of an odd range, one endpoint", of(&endpoint, odd)),
    ] {
        println!("{} calls", store.stats(ours, &query).await?.sum(|_, _| true).calls);
        median(what, || async { store.stats(ours, &query).await.map(drop) }).await?;
    }
    let bounds: Vec<Timestamp> =
        (0..=30).map(|day| Timestamp::from_millis(YEAR_BEGIN + day * DAY - 2 * 3_600_000)).collect();
    for of_endpoint in [None, endpoint.clone()] {
        let query = of(&of_endpoint, Range::default());
        let run = || async { store.stats_between(ours, &query, &bounds).await.map(drop) };
        median(&format!("30 local days, endpoint: {}", of_endpoint.is_some()), run).await?;
    }

    let page = |offset, statuses: &[Status]| CallQuery {
        statuses: statuses.to_vec(),
        paging: Paging { limit: 20, offset, after: None },
        ..CallQuery::default()
    };
    let total = store.calls(ours, &page(0, &[])).await?.total.unwrap_or(0);
    println!("{total} calls in the list");
    let failed = [Status::Failed];
    let few = store.calls(ours, &page(0, &failed)).await?.total.unwrap_or(0);
    for (what, query) in [
        ("page 1 and total", page(0, &[])),
        ("page at 300,000 and total", page(300_000.min(total), &[])),
        ("page in the middle and total", page(total / 2, &[])),
        ("last page and total", page(total.saturating_sub(20), &[])),
        ("failed: page 1 and total", page(0, &failed)),
        ("failed: last page and total", page(few.saturating_sub(20), &failed)),
        ("total alone", CallQuery { paging: Paging { limit: 0, ..Paging::default() }, ..page(0, &[]) }),
    ] {
        median(what, || async { store.calls(ours, &query).await.map(drop) }).await?;
    }
    Ok(())
}
