//! Folding calls again from their events: to show what would differ, and to repair it.

use pegcount_calls::{Bill, Call, fold, open_end};
use pegcount_store::{Basis, CallHead, Filed, Store, StoreError, Transaction};
use tokio::time::Instant;

use super::{
    Outside,
    basis::{Occasion, Renewal, Settler, VERSION, kept_basis},
    batch::{Standing, read_kept},
    outside::wanted,
    room::LONGEST_BATCH,
};

/// What came of folding calls again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refolded {
    /// How many calls were folded.
    pub examined: u64,
    /// Those that came out other than they were kept.
    pub differing: Vec<Differing>,
    /// Those whose events cannot be read, each with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// A call that came out other than it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The call's name.
    pub call: String,
    /// The fields that differ.
    pub fields: Vec<&'static str>,
    /// Why they differ, each reason once.
    pub because: Vec<Reason>,
}

/// Why a call came out other than it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not what its events make: the store is damaged.
    Damage,
    /// Another version of the program folded it, and read events or made calls of them in another way.
    OtherVersion,
    /// An operator asked for it to be priced by other rates.
    Rates,
    /// An operator asked for its number to be looked up again.
    Numbers,
}

/// What is to be done with calls that are folded again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refold {
    /// Nothing is kept.
    pub check_only: bool,
    /// What is settled again.
    pub renewal: Renewal,
}

impl Refolded {
    /// Adds what came of other calls.
    pub fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.differing.extend(other.differing);
        self.unreadable.extend(other.unreadable);
    }

    /// How many calls differ for this reason, among others maybe.
    pub fn because_of(&self, reason: Reason) -> usize {
        self.differing.iter().filter(|one| one.because.contains(&reason)).count()
    }
}

/// Folds these calls again in one transaction, as many as it has time for, and tells how many it looked at. It keeps what
/// came out unless it was only to be checked. A call that is left open is concluded as a new one is: an earlier program may not have asked for that.
pub(super) async fn refold(
    store: &dyn Store,
    settler: &mut Settler,
    outside: &[Box<dyn Outside>],
    heads: &[CallHead],
    order: Refold,
) -> Result<(Refolded, Standing, usize), StoreError> {
    let mut refolded = Refolded::default();
    let mut standing = Vec::new();
    let mut transaction = store.begin().await?;
    settler.begin();
    let begun = Instant::now();
    let mut looked_at = 0;
    for head in heads {
        if looked_at > 0 && begun.elapsed() >= LONGEST_BATCH {
            break;
        }
        looked_at += 1;
        let reports = transaction.reports(head.key).await;
        let kept = match reports.and_then(|reports| read_kept(head, &reports)) {
            Ok(kept) => kept,
            Err(error @ StoreError::Unreadable { .. }) => {
                refolded.unreadable.push((head.name.to_string(), error.to_string()));
                continue;
            }
            Err(error) => return Err(error),
        };
        // Its events are gone: it stays as it was last folded.
        if kept.is_sealed() {
            continue;
        }
        let Some(call) = kept.history().map(fold) else { continue };
        let open =
            kept.history().filter(|_| !order.check_only && !call.status().is_ended()).and_then(open_end);
        for job in open.iter().flat_map(|open| wanted(outside, |one| one.left_open(head, open))) {
            transaction.enqueue(&job).await?;
        }
        refolded.examined += 1;
        let saved = saved(transaction.as_mut(), head).await?;
        let made = fold_again(settler, transaction.as_mut(), head, call, saved.as_ref(), order.renewal).await;
        let made = match made {
            Err(error @ StoreError::Unreadable { .. }) => {
                refolded.unreadable.push((head.name.to_string(), error.to_string()));
                continue;
            }
            made => made?,
        };
        let changes = !made.fields.is_empty();
        if !order.check_only && (changes || saved.as_ref().map(Filed::basis) != Some(made.basis.clone())) {
            if saved.is_none_or(|saved| saved.call != made.call) {
                settler.note_directory(transaction.as_mut(), head.organization, &made.call).await?;
            }
            transaction.save(head.key, &made.call, &made.bill, &made.basis).await?;
            standing.push((head.organization, head.key, Some(made.call.status())));
        }
        if changes {
            let (fields, because) = (made.fields, made.because);
            refolded.differing.push(Differing { call: head.name.to_string(), fields, because });
        }
    }
    if !order.check_only {
        transaction.commit().await?;
        settler.committed();
    }
    Ok((refolded, standing, looked_at))
}

/// The call as it is kept; `None` where it was never kept, or cannot be read.
async fn saved(transaction: &mut dyn Transaction, head: &CallHead) -> Result<Option<Filed>, StoreError> {
    match transaction.saved(head.key).await {
        Err(StoreError::Unreadable { what, .. }) => {
            tracing::warn!(call = %head.name, what, "the kept call cannot be read; it is folded again");
            Ok(None)
        }
        saved => saved,
    }
}

/// A call that was folded again, and how it differs.
struct Made {
    call: Call,
    bill: Bill,
    basis: Basis,
    fields: Vec<&'static str>,
    because: Vec<Reason>,
}

/// First with what the call was folded with: where that differs, it does not follow from its events. Then with what is to
/// be settled again.
async fn fold_again(
    settler: &mut Settler,
    transaction: &mut dyn Transaction,
    head: &CallHead,
    call: Call,
    saved: Option<&Filed>,
    renewal: Renewal,
) -> Result<Made, StoreError> {
    let kept = kept_basis(transaction, head).await?;
    let as_kept = Occasion::Refold(Renewal::default());
    let (bill, basis) = settler.settle(transaction, head, &call, kept.as_ref(), as_kept).await?;
    let mut fields = match saved {
        None => vec!["everything"],
        Some(saved) => differences(saved, &call, &bill, &basis),
    };
    let mut because = Vec::new();
    if !fields.is_empty() {
        let is_own = saved.is_none_or(|saved| saved.folded_by == Some(*VERSION));
        because.push(if is_own { Reason::Damage } else { Reason::OtherVersion });
    }
    let mut made = Made { call, bill, basis, fields: Vec::new(), because: Vec::new() };
    if renewal != Renewal::default() {
        let asked = Occasion::Refold(renewal);
        let (bill, basis) = settler.settle(transaction, head, &made.call, kept.as_ref(), asked).await?;
        for (differs, field, reason) in [
            (bill != made.bill, "bill", Reason::Rates),
            (basis.phone_number != made.basis.phone_number, "phone_number", Reason::Numbers),
        ] {
            if differs {
                because.push(reason);
                if !fields.contains(&field) {
                    fields.push(field);
                }
            }
        }
        (made.bill, made.basis) = (bill, basis);
    }
    Ok(Made { fields, because, ..made })
}

/// The fields in which a call that was folded again differs from the one that is kept.
fn differences(saved: &Filed, is: &Call, bill: &Bill, basis: &Basis) -> Vec<&'static str> {
    let was = &saved.call;
    let compared = [
        (was.created_at == is.created_at, "created_at"),
        (was.ringing_at == is.ringing_at, "ringing_at"),
        (was.state == is.state, "state"),
        (was.direction == is.direction, "direction"),
        (was.call_type == is.call_type, "call_type"),
        (was.from_number == is.from_number, "from_number"),
        (was.to_number == is.to_number, "to_number"),
        (was.endpoint == is.endpoint, "endpoint"),
        (was.opt_out == is.opt_out, "opt_out"),
        (was.content == is.content, "content"),
        (saved.bill == *bill, "bill"),
        (saved.phone_number_id == basis.phone_number, "phone_number"),
    ];
    compared.into_iter().filter(|(same, _)| !same).map(|(_, field)| field).collect()
}
