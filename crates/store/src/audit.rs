//! The shapes of the audit log: who did what, each entry bound to the one before it by a hash.

use pegcount_calls::{Document, Range, Timestamp};
use sha2::{Digest, Sha256};

use crate::OrganizationNumber;

/// A SHA-256.
pub type AuditHash = [u8; 32];

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Whose things it was done to; `None`: the whole server's.
    pub organization: Option<OrganizationNumber>,
    /// Who did it: the id of a key, or a word for those who have none.
    pub actor: String,
    /// What, in a word.
    pub action: String,
    /// To what: the UUID of a call, the id of a key. Nothing that must be erased one day.
    pub subject: Option<String>,
    /// What else is to be known: a small JSON object without personal data.
    pub details: Document,
}

/// A deed on file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the log, from 1; none is left out.
    pub number: i64,
    /// What was done.
    pub deed: Deed,
    /// SHA-256 of the hash of the entry before it (32 zero bytes before the first) and of what this one says.
    pub hash: AuditHash,
}

/// A place in the log as it is listed, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// When that entry was made.
    pub at: Timestamp,
    /// Its number.
    pub number: i64,
}

/// Which entries a list is of, newest first. Several conditions must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this organization.
    pub organization: OrganizationNumber,
    /// Of this action only.
    pub action: Option<String>,
    /// By this actor only.
    pub actor: Option<String>,
    /// About this only.
    pub subject: Option<String>,
    /// Made then.
    pub at: Range,
    /// How many at most.
    pub limit: u32,
    /// Those behind this one only.
    pub after: Option<AuditPlace>,
}

/// One part of a list of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// After which one the next part begins; `None` at the end.
    pub next: Option<AuditPlace>,
}

/// What a look at every entry found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditVerdict {
    /// How many entries fit, from the first that is kept.
    pub entries: u64,
    /// The number of the last one that fits; 0 when there is none.
    pub last: i64,
    /// Its hash. Whoever has kept an earlier one elsewhere can compare.
    pub hash: AuditHash,
    /// What does not fit, in a sentence; `None` when everything does.
    pub fault: Option<String>,
}

/// The hash of the entry of this number, which comes after one of that hash. Every part goes in with its length, so that
/// nothing can move from one into the next.
pub(crate) fn chained(before: &AuditHash, number: i64, deed: &Deed) -> AuditHash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(number.to_be_bytes());
    hash.update(deed.at.millis().to_be_bytes());
    let organization = deed.organization.map(|one| one.0.to_string());
    let texts = [
        organization.as_deref(),
        Some(deed.actor.as_str()),
        Some(deed.action.as_str()),
        deed.subject.as_deref(),
        Some(deed.details.as_json_text()),
    ];
    for text in texts {
        // What is not there differs from what is empty.
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(text.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed() -> Deed {
        Deed {
            at: Timestamp::from_millis(1),
            organization: Some(OrganizationNumber(1)),
            actor: "ab".to_owned(),
            action: "c".to_owned(),
            subject: None,
            details: Document::from_json_text("{}"),
        }
    }

    #[test]
    fn a_hash_depends_on_every_part_and_on_where_one_ends() {
        let zero = [0; 32];
        let one = chained(&zero, 1, &deed());
        assert_eq!(one, chained(&zero, 1, &deed()));
        let others = [
            chained(&one, 1, &deed()),
            chained(&zero, 2, &deed()),
            chained(&zero, 1, &Deed { at: Timestamp::from_millis(2), ..deed() }),
            chained(&zero, 1, &Deed { organization: None, ..deed() }),
            chained(&zero, 1, &Deed { organization: Some(OrganizationNumber(2)), ..deed() }),
            chained(&zero, 1, &Deed { actor: "a".to_owned(), action: "bc".to_owned(), ..deed() }),
            chained(&zero, 1, &Deed { subject: Some(String::new()), ..deed() }),
            chained(&zero, 1, &Deed { details: Document::from_json_text("{ }"), ..deed() }),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(*other, one, "{place}");
        }
    }
}
