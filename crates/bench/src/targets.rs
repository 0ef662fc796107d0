//! What the figures are to reach, as ratios in one run, so that they hold on any machine.

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Against {
    /// Another figure, of as many calls (or of none, where it has none).
    Figure(&'static str),
    /// The same figure in a store of so many calls.
    ItselfAt(u64),
    /// Nothing: the bound is in the figure's own unit.
    Nothing,
}

/// A bound of the ratio, or of the figure itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reach {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
    /// The ratio is told, and not judged.
    Anything,
}

/// One line of what is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The figure.
    pub figure: &'static str,
    /// What it is held against.
    pub against: Against,
    /// The bound.
    pub reach: Reach,
    /// In a store of at least so many calls, or with so many; with fewer the ratio is told and not judged.
    pub from_calls: u64,
}

impl Reach {
    /// Whether a ratio, or a figure, reaches it; `None` when it is not judged.
    pub fn is_met_by(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::Anything => None,
        }
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {}", short(*most)),
            Self::AtLeast(least) => write!(f, ">= {}", short(*least)),
            Self::Anything => f.write_str("none"),
        }
    }
}

/// A number as a person would write it.
pub fn short(value: f64) -> String {
    let written = match value.abs() {
        0.0 => return "0".to_owned(),
        size if size >= 100.0 => return format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    };
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Shortens the table below.
const fn target(figure: &'static str, against: Against, reach: Reach) -> Target {
    Target { figure, against, reach, from_calls: 0 }
}

/// The same, for what only a large store shows.
const fn target_at(from_calls: u64, figure: &'static str, against: Against, reach: Reach) -> Target {
    Target { figure, against, reach, from_calls }
}

const LARGE: u64 = 10_000_000;

/// Everything that is to be reached.
pub const TARGETS: &[Target] = &[
    target("ingest", Against::Figure("ingest, PostgreSQL"), Reach::AtLeast(1.0)),
    target_at(LARGE, "year statistics", Against::Figure("year statistics, DuckDB"), Reach::AtMost(0.002)),
    target("year statistics", Against::ItselfAt(1_000_000), Reach::AtMost(1.5)),
    target_at(
        LARGE,
        "odd range statistics",
        Against::Figure("odd range statistics, DuckDB"),
        Reach::AtMost(0.05),
    ),
    target("odd range statistics, difference to the raw count", Against::Nothing, Reach::AtMost(0.0)),
    target("page at a deep offset", Against::Figure("first page"), Reach::AtMost(3.0)),
    target("last page", Against::Figure("first page"), Reach::AtMost(3.0)),
    target("exact total", Against::Figure("first page"), Reach::AtMost(1.0)),
    target("exact total of one status", Against::Figure("first page"), Reach::AtMost(1.0)),
    target(
        "acknowledgement at 500 events/s, p50",
        Against::Figure("append and fdatasync, p50"),
        Reach::AtMost(3.0),
    ),
    target("acknowledgement at 5,000 events/s, p99", Against::Nothing, Reach::AtMost(10_000.0)),
    target(
        "acknowledgement at 500 events/s beside 8 readers, p99",
        Against::Figure("acknowledgement at 500 events/s, p99"),
        Reach::AtMost(2.0),
    ),
    target("GET one call", Against::Figure("hello: /healthz"), Reach::AtLeast(0.5)),
    target("GET list of 20", Against::Figure("hello: /healthz"), Reach::AtLeast(0.12)),
    target("live count at 1000 sockets, p99", Against::Nothing, Reach::AtMost(20.0)),
    target("live count at 10000 sockets, p99", Against::Nothing, Reach::AtMost(100.0)),
    target("start to the first answer", Against::Nothing, Reach::AtMost(1_000_000.0)),
    target("calls at 1000 a second, failed", Against::Nothing, Reach::AtMost(0.0)),
    target("calls at 1000 a second, not completed in the ledger", Against::Nothing, Reach::AtMost(0.0)),
    target("CPU a call", Against::Figure("CPU a call, Kamailio"), Reach::AtMost(1.2)),
    target("CPU a call with the ledger", Against::Figure("CPU a call, Kamailio"), Reach::Anything),
    target_at(5_000, "calls at once", Against::Nothing, Reach::AtLeast(5_000.0)),
    target("calls at once, failed", Against::Nothing, Reach::AtMost(0.0)),
    target("calls at once, not completed in the ledger", Against::Nothing, Reach::AtMost(0.0)),
    target("recorded calls, packets lost", Against::Nothing, Reach::AtMost(0.0)),
    target("recorded calls, lost to the journals", Against::Nothing, Reach::AtMost(0.0)),
    target("recorded calls, not completed in the ledger", Against::Nothing, Reach::AtMost(0.0)),
    target("recorded calls without a recording", Against::Nothing, Reach::AtMost(0.0)),
    target_at(300, "memory of a recorded call", Against::Nothing, Reach::AtMost(64.0)),
    target("hang-up of 1000 live calls", Against::Nothing, Reach::AtMost(1_000.0)),
    target("hang-up of 1000 live calls, not completed in the ledger", Against::Nothing, Reach::AtMost(0.0)),
    target("MP3 of a call of 180 s", Against::Nothing, Reach::AtMost(2_000.0)),
];
