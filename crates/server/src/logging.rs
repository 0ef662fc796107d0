//! The log on stderr, and how often one line may be in it: what others cause must not fill the disk.

use std::{
    collections::HashMap,
    fmt::{self, Write},
    hash::{DefaultHasher, Hash, Hasher},
    io::IsTerminal,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tracing::{
    Event, Level, Metadata,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::layer,
    layer::{Context, Filter, Layer, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::config::LogConfig;

/// How long lines are counted before they are summed up.
const WINDOW: Duration = Duration::from_secs(10);
/// Equal lines that are written in a window.
const MOST_EQUAL: u64 = 5;
/// Lines of one place of the program that are written in a window. Above what the gateway writes about strangers, which other
/// programs count.
const MOST_ALIKE: u64 = 500;

static REPEATS: Repeats = Repeats { are_summed_up: AtomicBool::new(false), places: Mutex::new(None) };

/// Logs to stderr from now on.
///
/// # Errors
/// A sentence that names the key of the configuration and says what it takes.
pub fn start(log: &LogConfig) -> Result<(), String> {
    let registry = tracing_subscriber::registry().with(log.filter()?);
    let done = if log.json {
        registry.with(layer().json().with_writer(std::io::stderr).with_filter(&REPEATS)).try_init()
    } else {
        let colours = std::io::stderr().is_terminal();
        let text = layer().with_writer(std::io::stderr).with_target(false).with_ansi(colours);
        registry.with(text.with_filter(&REPEATS)).try_init()
    };
    done.map_err(|error| error.to_string())
}

/// Writes repeated lines a few times only, and now and then how many there were. Runs as long as the server does; without it
/// every line is written.
pub async fn sum_up_repeats() {
    REPEATS.are_summed_up.store(true, Ordering::Relaxed);
    loop {
        tokio::time::sleep(WINDOW).await;
        for withheld in REPEATS.take() {
            withheld.log();
        }
    }
}

/// A place of the program that logs: its file and line.
type Place = (&'static str, u32);

/// How often each line was logged in this window.
struct Repeats {
    are_summed_up: AtomicBool,
    places: Mutex<Option<HashMap<Place, Lines>>>,
}

/// The lines of one place of the program.
#[derive(Default)]
struct Lines {
    written: u64,
    by_text: HashMap<u64, u64>,
    withheld: Option<Withheld>,
}

/// Lines that were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Withheld {
    level: Level,
    count: u64,
    /// The first of them.
    line: String,
}

impl Withheld {
    fn log(self) {
        let Self { level, count, line } = self;
        let seconds = WINDOW.as_secs();
        match level {
            Level::ERROR => tracing::error!("… and {count} more in {seconds} s: {line}"),
            Level::WARN => tracing::warn!("… and {count} more in {seconds} s: {line}"),
            _ => tracing::info!("… and {count} more in {seconds} s: {line}"),
        }
    }
}

impl Repeats {
    fn places(&self) -> MutexGuard<'_, Option<HashMap<Place, Lines>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the next window; what was withheld in the last one.
    fn take(&self) -> Vec<Withheld> {
        let places = self.places().take().unwrap_or_default();
        places.into_values().filter_map(|lines| lines.withheld).collect()
    }

    /// Whether a line is written; counts it.
    fn writes(&self, place: Place, level: Level, line: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let mut places = self.places();
        let lines = places.get_or_insert_default().entry(place).or_default();
        if lines.written < MOST_ALIKE {
            let equal = lines.by_text.entry(hasher.finish()).or_default();
            if *equal < MOST_EQUAL {
                *equal += 1;
                lines.written += 1;
                return true;
            }
        }
        let first = || Withheld { level, count: 0, line: line.to_owned() };
        lines.withheld.get_or_insert_with(first).count += 1;
        false
    }
}

impl<S> Filter<S> for &'static Repeats {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // Who asks for details gets them all.
        if *metadata.level() > Level::INFO || !self.are_summed_up.load(Ordering::Relaxed) {
            return true;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let place = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        self.writes(place, *metadata.level(), &line.0)
    }
}

/// A line as text: its message, then its fields.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = ("a.rs", 1);

    #[test]
    fn equal_lines_are_written_a_few_times_and_then_counted() {
        let repeats = Repeats { are_summed_up: AtomicBool::new(true), places: Mutex::new(None) };
        let written = |line: &str| (0..1_000).filter(|_| repeats.writes(PLACE, Level::WARN, line)).count();
        assert_eq!(written("one"), MOST_EQUAL as usize);
        assert_eq!(written("another"), MOST_EQUAL as usize);
        let count = 2 * (1_000 - MOST_EQUAL);
        assert_eq!(repeats.take(), [Withheld { level: Level::WARN, count, line: "one".into() }]);
        assert_eq!(repeats.take(), []);
        assert_eq!(written("one"), MOST_EQUAL as usize, "in the next window");
    }

    #[test]
    fn lines_of_one_place_are_bounded_however_they_differ() {
        let repeats = Repeats { are_summed_up: AtomicBool::new(true), places: Mutex::new(None) };
        let written =
            (0..5_000).filter(|number| repeats.writes(PLACE, Level::INFO, &number.to_string())).count();
        assert_eq!(written as u64, MOST_ALIKE);
        assert_eq!(repeats.take()[0].count, 5_000 - MOST_ALIKE);
    }
}
