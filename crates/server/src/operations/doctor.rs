//! Looking for damage, and for what somebody should see to.

use pegcount_store::Severity;
use serde_json::{Value, json};

use super::{Done, Operator, sentence};
use crate::{
    intake::{Reason, Refold, Refolded},
    privacy, recordings,
};

/// How many calls without their recording are named.
const MISSING_NAMED: u32 = 5;
/// How many calls whose events cannot be read are named.
const UNREADABLE_NAMED: usize = 5;

impl Operator {
    /// Findings of the store, and how its calls compare with their events. What cannot be looked at is a finding too.
    pub(super) async fn doctor(&self) -> Done {
        let mut findings: Vec<Value> = match self.store.check().await {
            Ok(findings) => findings
                .into_iter()
                .map(|finding| finding_value(finding.severity, &finding.subject, &finding.message))
                .collect(),
            Err(error) => vec![finding_value(Severity::Damage, "store", &sentence(&error))],
        };
        findings.push(match self.refold_all(Refold { check_only: true, ..Refold::default() }, None).await {
            Ok(refolded) => compared(&refolded),
            Err(sentence) => finding_value(Severity::Damage, "calls", &sentence),
        });
        findings.push(self.aged().await);
        findings.push(self.missing().await);
        findings.push(self.lost().await);
        findings.push(match self.store.writable().await {
            Ok(()) => finding_value(Severity::Fine, "store", "takes writes"),
            Err(error) => finding_value(Severity::Damage, "store", &format!("takes no writes: {error}")),
        });
        Ok(Value::Array(findings))
    }

    /// Whether recordings are missing.
    async fn missing(&self) -> Value {
        let found =
            recordings::missing(self.store.as_ref(), self.patience, self.clock.now(), MISSING_NAMED).await;
        match found {
            Err(error) => finding_value(Severity::Warning, "missing recordings", &sentence(&error)),
            Ok((_, 0)) => {
                finding_value(Severity::Fine, "missing recordings", "none of the last 24 hours is missing")
            }
            Ok((heads, count)) => {
                let newest: Vec<String> = heads.iter().map(|head| head.name.to_string()).collect();
                let message = format!(
                    "{count} of the last 24 hours are missing: those calls were recorded, and no recording came. The newest: \
                     {}. `GET /v1/calls/ID/events` may say why (`recording_failed`)",
                    newest.join(", ")
                );
                finding_value(Severity::Warning, "missing recordings", &message)
            }
        }
    }

    /// Whether recordings that calls name are gone.
    async fn lost(&self) -> Value {
        const SUBJECT: &str = "lost recordings";
        match recordings::lost(self.store.as_ref(), &self.shelf).await {
            Err(error) => finding_value(Severity::Warning, SUBJECT, &error.to_string()),
            Ok(lost) => match lost.sentence(&self.shelf) {
                None => finding_value(Severity::Fine, SUBJECT, "every recording that a call names is there"),
                Some(sentence) => finding_value(Severity::Damage, SUBJECT, &sentence),
            },
        }
    }

    /// Whether something is kept longer than it should be. A day or two late is no wonder: calls come in late.
    async fn aged(&self) -> Value {
        let found = privacy::overdue(self.store.as_ref(), &self.retention, self.clock.now()).await;
        match found {
            Err(error) => finding_value(Severity::Warning, "retention", &sentence(&error)),
            Ok(found) if found.is_empty() => {
                finding_value(Severity::Fine, "retention", "nothing is kept longer than it should be")
            }
            Ok(found) => {
                let found = found.iter().map(|(kind, calls)| format!("{kind} of {calls} calls"));
                let message = format!(
                    "kept longer than it should be: {} (or more). A server that runs deletes it by itself, by jobs of \
                     kind `retention`: see `pegcount jobs list`",
                    found.collect::<Vec<_>>().join(", ")
                );
                finding_value(Severity::Warning, "retention", &message)
            }
        }
    }
}

/// How calls compare with their events.
fn compared(refolded: &Refolded) -> Value {
    let (damaged, unreadable) = (refolded.because_of(Reason::Damage), refolded.unreadable.len());
    let older = refolded.because_of(Reason::OtherVersion);
    let of_older = match older {
        0 => String::new(),
        _ => format!(
            "; {older} calls that another version of the program folded would come out otherwise now: `pegcount refold \
             --check` shows how, `pegcount refold` changes them"
        ),
    };
    if damaged == 0 && unreadable == 0 {
        let severity = if older == 0 { Severity::Fine } else { Severity::Warning };
        let equal = refolded.examined.saturating_sub(older as u64);
        return finding_value(severity, "calls", &format!("{equal} calls equal their events{of_older}"));
    }
    let named: Vec<&str> =
        refolded.unreadable.iter().take(UNREADABLE_NAMED).map(|(call, _)| call.as_str()).collect();
    let named = match named.as_slice() {
        [] => String::new(),
        named => format!(": {}. Restore a backup to have them back", named.join(", ")),
    };
    let message = format!(
        "{damaged} calls differ from their events (`pegcount refold` repairs them), {unreadable} have events that cannot be \
         read{named}{of_older}"
    );
    finding_value(Severity::Damage, "calls", &message)
}

/// A finding as `--json` prints it.
pub fn finding_value(severity: Severity, subject: &str, message: &str) -> Value {
    let severity = match severity {
        Severity::Fine => "ok",
        Severity::Warning => "warning",
        Severity::Damage => "damage",
    };
    json!({ "severity": severity, "subject": subject, "message": message })
}
