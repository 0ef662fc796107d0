//! From the words of all events of a call to the call.

use pegcount_calls::{Call, Event, History, fold};
use pegcount_store::{BoxError, Report};

use super::read_report;

/// Folds a call from its reports.
///
/// # Errors
/// The first report that cannot be read: it was kept, so it is damaged.
pub fn fold_reports(reports: &[Report]) -> Result<Call, BoxError> {
    let read = |report: &Report| {
        read_report(report).map_err(|error| format!("event {} cannot be read: {error}", report.id))
    };
    let events: Vec<Event> = reports.iter().map(read).collect::<Result<_, _>>()?;
    Ok(fold(&History::of(events).ok_or("it has no events")?))
}
