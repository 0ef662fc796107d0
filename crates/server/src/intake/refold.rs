//! Folding calls again from their events: to show what would differ, and to repair it.

use pegcount_calls::{Bill, Call, fold};
use pegcount_store::{CallHead, Store, StoreError};

use super::batch::{Folder, Standing, read_kept};

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
}

impl Refolded {
    /// Adds what came of other calls.
    pub fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.differing.extend(other.differing);
        self.unreadable.extend(other.unreadable);
    }
}

/// Folds these calls again in one transaction, and keeps what came out unless it was only to be checked.
pub(super) async fn refold(
    store: &dyn Store,
    folder: &mut Folder,
    heads: &[CallHead],
    check_only: bool,
) -> Result<(Refolded, Standing), StoreError> {
    let mut refolded = Refolded::default();
    let mut standing = Vec::new();
    let mut transaction = store.begin().await?;
    for head in heads {
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
        let bill = folder.tariff(head.organization).await?.bill(&call);
        let phone_number = folder.note_directory(transaction.as_mut(), head.organization, &call).await?;
        refolded.examined += 1;
        let fields = match transaction.saved(head.key).await {
            Ok(Some(saved)) => {
                let mut fields = differences(&saved.call, &call, &saved.bill, &bill);
                if saved.phone_number_id != phone_number {
                    fields.push("phone_number");
                }
                fields
            }
            Ok(None) => vec!["everything"],
            Err(StoreError::Unreadable { what, .. }) => {
                tracing::warn!(call = %head.name, what, "the kept call cannot be read; it is folded anew");
                vec!["everything"]
            }
            Err(error) => return Err(error),
        };
        if fields.is_empty() {
            continue;
        }
        refolded.differing.push(Differing { call: head.name.to_string(), fields });
        if !check_only {
            transaction.save(head.key, &call, &bill, phone_number.as_ref()).await?;
            standing.push((head.organization, head.key, Some(call.status())));
        }
    }
    if !check_only {
        transaction.commit().await?;
    }
    Ok((refolded, standing))
}

/// The fields in which two foldings of one call differ.
fn differences(was: &Call, is: &Call, was_billed: &Bill, is_billed: &Bill) -> Vec<&'static str> {
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
        (was_billed == is_billed, "bill"),
    ];
    compared.into_iter().filter(|(same, _)| !same).map(|(_, field)| field).collect()
}
