//! What is asked of a filled store, through the store's own door.

use std::time::{Duration, Instant};

use pegcount_calls::{CallQuery, EndpointName, MetadataFilter, Paging, Range, Stats, Status};
use pegcount_store::{OrganizationNumber, StatsQuery, Store};

use super::{
    chain,
    filled::{Filled, SEED, difference},
};
use crate::{
    calls::{Maker, Plan, name, user_number, whole::Calls, year},
    table::{FEWEST_RUNS, Figure, Results},
};

/// The organization that is asked for: the largest.
pub const ASKED: OrganizationNumber = OrganizationNumber(1);
/// How many calls a page has.
pub const PAGE: u32 = 20;
const DEEP: u64 = 1_000_000;
const MOST_RUNS: usize = 101;
/// No figure takes much longer, once it has runs enough.
const LONGEST: Duration = Duration::from_secs(5);
/// Ranks of words: said in nearly every talk, and in few of a hundred thousand.
const COMMON_WORD: usize = 30;
const RARE_WORD: usize = 15_000;

/// A range whose ends lie within hours: about a tenth of a year.
pub fn odd_range() -> Range {
    Range {
        from: Some(year::BEGIN + 100 * year::DAY + 4_321_987),
        to: Some(year::BEGIN + 136 * year::DAY + 54_321_123),
    }
}

/// Every call of the year.
pub fn whole_year() -> Range {
    Range { from: Some(year::BEGIN), to: Some(year::END - 1) }
}

/// Where a deep page lies in a list of so many.
pub fn deep_offset(total: u64) -> u64 {
    DEEP.min(total * 9 / 10)
}

/// What the plain rows come to: for the year, and for the odd range.
pub struct Raw {
    /// Of the year.
    pub year: Stats,
    /// Of the odd range.
    pub odd: Stats,
}

impl Raw {
    /// Counts the rows of the largest organization one by one.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn of(filled: &Filled) -> Result<Self, String> {
        let mut raw = Self { year: Stats::default(), odd: Stats::default() };
        let odd = odd_range();
        for row in filled.rows()? {
            let row = row?;
            if row.organization != ASKED.0 {
                continue;
            }
            row.add_to(&mut raw.year);
            let start = Some(row.start.millis());
            if start >= odd.from && start <= odd.to {
                row.add_to(&mut raw.odd);
            }
        }
        Ok(raw)
    }

    /// How many calls the largest organization has.
    pub fn total(&self) -> u64 {
        self.year.sum(|_, _| true).calls
    }
}

/// A store that is asked.
struct Asked<'a> {
    store: &'a dyn Store,
    results: &'a Results,
    calls: u64,
}

/// Asks everything.
///
/// # Errors
/// When the store is not filled, or answers otherwise than the rows do.
pub async fn run(filled: &Filled, results: &Results) -> Result<(), String> {
    if filled.known().is_none() {
        return Err("the store is not filled: run `load` first".to_owned());
    }
    let raw = Raw::of(filled)?;
    let begun = Instant::now();
    let store = pegcount_store::open(&filled.path().to_string_lossy()).map_err(|error| chain(&error))?;
    let asked = Asked { store: &*store, results, calls: filled.calls };
    let opened = Figure::of_times("opening the store", &[begun.elapsed()]);
    results.put(opened.at(filled.calls))?;
    asked.statistics(&raw).await?;
    asked.pages(&raw).await?;
    let maker = Maker::new(SEED, filled.text_bytes);
    asked.single_calls(&maker).await?;
    asked.filters(&maker).await?;
    store.close().await.map_err(|error| chain(&error))
}

impl Asked<'_> {
    async fn statistics(&self, raw: &Raw) -> Result<(), String> {
        let endpoint = EndpointName::new("ep_1_1").map_err(|error| error.to_string())?;
        let of = |created, endpoint: Option<&EndpointName>| StatsQuery {
            endpoint: endpoint.cloned(),
            created,
            ..StatsQuery::default()
        };
        for (name, query, raw) in [
            ("year statistics", of(whole_year(), None), Some(&raw.year)),
            ("odd range statistics", of(odd_range(), None), Some(&raw.odd)),
            ("year statistics of an endpoint", of(whole_year(), Some(&endpoint)), None),
            ("odd range statistics of an endpoint", of(odd_range(), Some(&endpoint)), None),
        ] {
            self.measure(name, |_| async { self.store.stats(ASKED, &query).await.map(drop) }).await?;
            if let Some(raw) = raw {
                let stats = self.store.stats(ASKED, &query).await.map_err(|error| chain(&error))?;
                let apart = difference(&stats, raw) as f64;
                let name = format!("{name}, difference to the raw count");
                let note = format!("of {} calls", raw.sum(|_, _| true).calls);
                self.results.put(Figure::of(&name, "units", vec![apart]).at(self.calls).with_note(&note))?;
            }
        }
        Ok(())
    }

    async fn pages(&self, raw: &Raw) -> Result<(), String> {
        let total = raw.total();
        let of_status = raw.year.with_status(Status::Failed).calls;
        let page = |offset, limit, statuses: &[Status]| CallQuery {
            statuses: statuses.to_vec(),
            paging: Paging { limit, offset, after: None },
            ..CallQuery::default()
        };
        let deep = deep_offset(total);
        let failed = [Status::Failed];
        for (name, query, total) in [
            ("first page", page(0, PAGE, &[]), total),
            ("page at a deep offset", page(deep, PAGE, &[]), total),
            ("last page", page(total.saturating_sub(PAGE.into()), PAGE, &[]), total),
            ("exact total", page(0, 0, &[]), total),
            ("first page of one status", page(0, PAGE, &failed), of_status),
            (
                "last page of one status",
                page(of_status.saturating_sub(PAGE.into()), PAGE, &failed),
                of_status,
            ),
            ("exact total of one status", page(0, 0, &failed), of_status),
        ] {
            self.page(name, &query, Some(total)).await?;
        }
        Ok(())
    }

    async fn single_calls(&self, maker: &Maker) -> Result<(), String> {
        let calls = Calls::of(maker, self.calls);
        // Far apart, so that one does not warm the next.
        let step = (self.calls / 10_007).max(1);
        let ours: Vec<Plan> = (0..self.calls)
            .step_by(usize::try_from(step).unwrap_or(1))
            .map(|number| calls.plan(number))
            .filter(|plan| plan.organization == 1)
            .take(MOST_RUNS + 1)
            .collect();
        let ids = |id: &dyn Fn(&Plan) -> Result<String, String>| {
            ours.iter().map(id).collect::<Result<Vec<String>, String>>()
        };
        let by_name = ids(&|plan| Ok(name(plan.number)?.to_string()))?;
        let by_uuid = ids(&|plan| Ok(plan.uuid().to_string()))?;
        for (what, ids) in [("a call by its UUID", by_uuid), ("a call by its name", by_name)] {
            self.measure(what, |run| {
                let id = ids.get(run % ids.len()).map_or("", String::as_str);
                async move {
                    let found = self.store.call(ASKED, id).await?;
                    found.map(drop).ok_or_else(|| pegcount_store::StoreError::Unreadable {
                        what: format!("call {id}"),
                        cause: "it is not there".into(),
                    })
                }
            })
            .await?;
        }
        Ok(())
    }

    async fn filters(&self, maker: &Maker) -> Result<(), String> {
        let first =
            || CallQuery { paging: Paging { limit: PAGE, ..Paging::default() }, ..CallQuery::default() };
        let campaign = MetadataFilter { key: "campaign".to_owned(), values: vec!["c-17".to_owned()] };
        let saying = |rank| Some(maker.word(rank).to_owned());
        for (name, query) in [
            ("first page by metadata", CallQuery { metadata: vec![campaign], ..first() }),
            (
                "first page by calling number",
                CallQuery { from_numbers: vec![user_number(1, 100)], ..first() },
            ),
            ("text search, rare word", CallQuery { transcript: saying(RARE_WORD), ..first() }),
            ("text search, common word", CallQuery { transcript: saying(COMMON_WORD), ..first() }),
        ] {
            self.page(name, &query, None).await?;
        }
        Ok(())
    }

    /// Measures a page with its exact total; `total` is what that must be.
    async fn page(&self, name: &str, query: &CallQuery, total: Option<u64>) -> Result<(), String> {
        let page = match self.store.calls(ASKED, query).await {
            Ok(page) => page,
            Err(error) => return self.results.put(Figure::missing(name, &chain(&error)).at(self.calls)),
        };
        let (found, counted) = (page.calls.len(), page.total.unwrap_or_default());
        if total.is_some_and(|total| total != counted) {
            return Err(format!("{name}: the store counts {counted} calls, there are {total:?}"));
        }
        let offset = query.paging.offset;
        let expected = u64::from(query.paging.limit).min(counted.saturating_sub(offset));
        if found as u64 != expected {
            return Err(format!("{name}: {found} calls, not {expected}"));
        }
        let times = self.times(|_| async { self.store.calls(ASKED, query).await.map(drop) }).await?;
        let note = format!("{found} of {counted} from {offset} on");
        self.results.put(Figure::of_times(name, &times).at(self.calls).with_note(&note))
    }

    async fn measure<F: Future<Output = pegcount_store::Result<()>>>(
        &self,
        name: &str,
        ask: impl FnMut(usize) -> F,
    ) -> Result<(), String> {
        let times = self.times(ask).await.map_err(|error| format!("{name}: {error}"))?;
        self.results.put(Figure::of_times(name, &times).at(self.calls))
    }

    /// How long it takes, again and again; the first time is not counted.
    async fn times<F: Future<Output = pegcount_store::Result<()>>>(
        &self,
        mut ask: impl FnMut(usize) -> F,
    ) -> Result<Vec<Duration>, String> {
        ask(MOST_RUNS).await.map_err(|error| chain(&error))?;
        let mut times = Vec::with_capacity(MOST_RUNS);
        let all = Instant::now();
        for run in 0..MOST_RUNS {
            let begun = Instant::now();
            ask(run).await.map_err(|error| chain(&error))?;
            times.push(begun.elapsed());
            if all.elapsed() > LONGEST && times.len() >= FEWEST_RUNS {
                break;
            }
        }
        Ok(times)
    }
}
