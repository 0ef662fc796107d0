//! What must be true whenever nothing is under way.

use std::collections::{BTreeMap, BTreeSet};

use pegcount::vocabulary::{
    self,
    kinds::{CALL_COMPLETED, CALL_FAILED},
};
use pegcount_calls::{Call, CallQuery, History, Stats, Status, fold, open_end};
use pegcount_store::{CallKey, Filed, OrganizationNumber, Report, Severity, StatsQuery, StoreError};

use crate::{
    client::{Client, WORDS},
    errands::Peer,
    machine::Machine,
};

/// What is wrong.
pub type Verdict<T = ()> = Result<T, String>;

const ORGANIZATIONS: [OrganizationNumber; 2] = [OrganizationNumber(1), OrganizationNumber(2)];

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn unreadable(error: StoreError) -> String {
    format!("the store cannot be read: {error:?}")
}

macro_rules! must {
    ($holds:expr, $($wrong:tt)+) => {
        if !$holds {
            return Err(format!($($wrong)+));
        }
    };
}

/// Everything that can be told of calls: their events, documents, statistics and the live set.
pub fn calls(machine: &Machine, client: &Client) -> Verdict {
    machine.runtime.block_on(async {
        let mut found = BTreeSet::new();
        for organization in ORGANIZATIONS {
            let calls = calls_of(machine, organization).await?;
            for (filed, reports) in &calls {
                events(client, filed, reports, &mut found)?;
                document(filed, reports)?;
            }
            counts(machine, organization, &calls).await?;
        }
        for (place, saying) in client.sayings.iter().enumerate() {
            let (id, call) = (&saying.id, &saying.call);
            must!(!saying.is_kept || found.contains(&place), "{id} of {call} was acknowledged, and is lost");
        }
        Ok(())
    })
}

async fn calls_of(machine: &Machine, organization: OrganizationNumber) -> Verdict<Vec<(Filed, Vec<Report>)>> {
    let store = &machine.store;
    let heads = store.calls_after(Some(organization), CallKey(0), 1_000).await.map_err(unreadable)?;
    let mut calls = Vec::new();
    for head in heads {
        let filed = store.call(organization, head.name.as_str()).await.map_err(unreadable)?;
        let filed = filed.ok_or_else(|| format!("{} is listed, and cannot be found", head.name))?;
        let reports = store.reports(&[head.key]).await.map_err(unreadable)?;
        calls.push((filed, reports.into_iter().flatten().collect()));
    }
    Ok(calls)
}

/// Each event was said, to the letter, and is there once.
fn events(client: &Client, filed: &Filed, reports: &[Report], found: &mut BTreeSet<usize>) -> Verdict {
    let head = &filed.head;
    let mut concluded = BTreeSet::new();
    for report in reports {
        let (id, call) = (&report.id, &head.name);
        if report.source.as_str() == "reconciliation" {
            must!(concluded.insert(report.at), "the end of {call} was concluded twice");
            continue;
        }
        let said = client.sayings.iter().position(|saying| {
            (saying.organization, &saying.call, &saying.id) == (head.organization, call, id)
        });
        let said = said.ok_or_else(|| format!("{id} of {call} was never said"))?;
        let saying = &client.sayings[said];
        must!(saying.was_sent && saying.is(report), "{id} of {call} is not what was said: {report:?}");
        must!(found.insert(said), "{id} of {call} is there twice");
    }
    Ok(())
}

/// The call is the fold of its events.
fn document(filed: &Filed, reports: &[Report]) -> Verdict {
    let name = &filed.head.name;
    let history = history_of(reports)?.ok_or_else(|| format!("{name} is there without an event"))?;
    let folded = fold(&history);
    must!(folded == filed.call, "{name} is not the fold of its events:\n{:#?}\n{folded:#?}", filed.call);
    Ok(())
}

fn history_of(reports: &[Report]) -> Verdict<Option<History>> {
    let read = |report| vocabulary::read_report(report).map_err(|error| format!("an event is none: {error}"));
    Ok(History::of(reports.iter().map(read).collect::<Verdict<Vec<_>>>()?))
}

/// Lists, statistics and the live set say what a recount says.
async fn counts(
    machine: &Machine,
    organization: OrganizationNumber,
    calls: &[(Filed, Vec<Report>)],
) -> Verdict {
    let page = machine.store.calls(organization, &CallQuery::default()).await.map_err(unreadable)?;
    must!(page.total == Some(calls.len() as u64), "{} calls are listed as {:?}", calls.len(), page.total);
    let stats = machine.store.stats(organization, &StatsQuery::default()).await.map_err(unreadable)?;
    let costs = calls.iter().map(|(filed, _)| (&filed.call, filed.bill.total));
    let recounted = Stats::of(costs);
    must!(stats == recounted, "the statistics say {stats:?}, a recount says {recounted:?}");
    let mut live: BTreeMap<Status, usize> = BTreeMap::new();
    for status in calls.iter().map(|(filed, _)| filed.call.status()).filter(|status| status.is_live()) {
        *live.entry(status).or_default() += 1;
    }
    let told = machine.live.by_status(organization);
    must!(told == live, "the live set says {told:?}, the calls say {live:?}");
    let (told, count) = (machine.live.count(organization), live.values().sum::<usize>());
    must!(told == count, "{told} calls are counted as live, and {count} are");
    Ok(())
}

/// The engine's own look at all that it keeps: pages, indexes, recounts, what can be searched for.
pub fn store(machine: &mut Machine) -> Verdict {
    for _ in 0..10 {
        if machine.runtime.block_on(machine.store.unindexed()).map_err(unreadable)?.changes == 0 {
            break;
        }
        machine.chores.write_documents();
        machine.chores.take_words_in();
    }
    let findings = machine.runtime.block_on(machine.store.check()).map_err(unreadable)?;
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Fine).collect();
    must!(wrong.is_empty(), "the store says of itself: {wrong:?}");
    Ok(())
}

/// What must be true in the end, when all was said and all work is done.
pub fn end(machine: &Machine, client: &Client, peer: &Peer) -> Verdict {
    for saying in &client.sayings {
        must!(saying.is_kept, "{} of {} was never acknowledged", saying.id, saying.call);
    }
    machine.runtime.block_on(async {
        let (mut over, mut ended) = (BTreeSet::new(), BTreeSet::new());
        for organization in ORGANIZATIONS {
            let calls = calls_of(machine, organization).await?;
            for (Filed { head, call, .. }, reports) in &calls {
                let left_open = history_of(reports)?.as_ref().and_then(open_end);
                let is_over = call.status().is_ended();
                must!(left_open.is_none() || is_over, "{} was never concluded", head.name);
                let name = format!("{} {}", organization.0, head.name);
                if is_over {
                    over.insert(name.clone());
                }
                // An end that was concluded is undone by what is told later; what was done because of it is not.
                if reports.iter().any(|report| [CALL_COMPLETED, CALL_FAILED].contains(&report.kind.as_str()))
                {
                    ended.insert(name);
                }
            }
            words(machine, organization, &calls).await?;
        }
        let done = peer.done.lock().unwrap();
        must!(over.is_subset(&done), "errands were run for {done:?}, and these are over: {over:?}");
        must!(done.is_subset(&ended), "errands were run for {done:?}, and these have ends: {ended:?}");
        Ok(())
    })
}

/// A search finds the calls in which a word was said.
async fn words(
    machine: &Machine,
    organization: OrganizationNumber,
    calls: &[(Filed, Vec<Report>)],
) -> Verdict {
    for word in WORDS {
        let says = |call: &Call| call.status().is_ended() && format!("{:?}", call.content).contains(word);
        let said = calls.iter().filter(|(filed, _)| says(&filed.call)).count() as u64;
        let query = CallQuery { transcript: Some(word.to_owned()), ..CallQuery::default() };
        let found = machine.store.calls(organization, &query).await.map_err(unreadable)?.total;
        must!(found == Some(said), "{said} calls speak of {word}, and {found:?} are found");
    }
    Ok(())
}
