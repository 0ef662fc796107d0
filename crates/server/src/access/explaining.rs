//! Explaining a call, aside from the workers of the runtime where it takes long.

use std::time::Duration;

use pegcount_calls::{Explanation, History, Note, explain, notes};
use pegcount_store::{Report, stand_back};
use tokio::sync::Semaphore;

use super::refusal::{Answer, Refusal};
use crate::vocabulary;

/// A call of more events is explained aside: it takes longer than to change the thread.
const EXPLAIN_ASIDE_EVENTS: usize = 200;
/// Calls that are explained aside at one time; others wait. They share the processors with everything else.
const MOST_EXPLAINED: usize = 2;

static EXPLAINED: Semaphore = Semaphore::const_new(MOST_EXPLAINED);

type FromReports = (Vec<Explanation>, Vec<Note>, Vec<Report>);

/// What the events of a call say about its fields, and those events.
pub(super) async fn explain_reports(reports: Vec<Report>) -> Answer<FromReports> {
    if reports.len() <= EXPLAIN_ASIDE_EVENTS {
        return Ok(explain_here(reports));
    }
    // The semaphore is never closed.
    let turn = EXPLAINED.acquire().await.ok();
    let aside = move || {
        // It is not given back before the work is done, whoever has gone meanwhile.
        let _turn = turn;
        stand_back();
        explain_here(reports)
    };
    tokio::task::spawn_blocking(aside).await.map_err(|error| Refusal::Unavailable {
        reason: format!("the call cannot be explained: {error}"),
        retry_after: Duration::from_secs(1),
    })
}

fn explain_here(reports: Vec<Report>) -> FromReports {
    let events = reports.iter().filter_map(|report| vocabulary::read_report(report).ok());
    let explained = History::of(events).map(|history| {
        let (call, explanations) = explain(&history);
        (explanations, notes(&history, &call))
    });
    let (explanations, notes) = explained.unwrap_or_default();
    (explanations, notes, reports)
}
