//! What an event says of who calls, beside the number.

use indexmap::IndexMap;
use pegcount_calls::{Attestation, CallerIdentity, Diversion};

use super::{
    Rejection,
    data::{AttestationData, DiversionData, Fields, SetupData},
    read::{LONGEST_SHORT_TEXT, Read, short},
};

/// Most forwardings of a call.
const MOST_DIVERSIONS: usize = 32;
/// Most headers of a call.
const MOST_HEADERS: usize = 64;
/// Longest value of a header in bytes.
const LONGEST_HEADER: usize = 8192;

/// Takes out what the fields of a call's setup say of the caller; `None` where they say nothing.
pub(super) fn read_caller(said: &mut SetupData<'_>) -> Read<Option<Box<CallerIdentity>>> {
    let caller = CallerIdentity {
        name: short("caller_name", said.caller_name.take())?,
        asserted_number: short("asserted_number", said.asserted_number.take())?,
        privacy: said.privacy,
        diversion: said.diversion.take().map(read_diversion).transpose()?,
        attestation: said.attestation.take().map(|Fields(said)| read_attestation(said)).transpose()?,
        headers: said.headers.take().map(read_headers).transpose()?,
    };
    Ok((!caller.is_empty()).then(|| Box::new(caller)))
}

fn read_diversion(said: Vec<Fields<DiversionData>>) -> Read<Vec<Diversion>> {
    if said.len() > MOST_DIVERSIONS {
        let message = format!("event_data.diversion has more than {MOST_DIVERSIONS} entries");
        return Err(Rejection::invalid(message));
    }
    let read = |Fields(said): Fields<DiversionData>| {
        let number = short("diversion.number", Some(said.number))?.unwrap_or_default();
        Ok(Diversion { number, reason: short("diversion.reason", said.reason)? })
    };
    said.into_iter().map(read).collect()
}

fn read_attestation(said: AttestationData) -> Read<Attestation> {
    let reason = short("attestation.reason", said.reason)?;
    Ok(Attestation { level: said.level.map(Into::into), passed: said.passed, reason })
}

fn read_headers(said: IndexMap<String, String>) -> Read<IndexMap<String, String>> {
    if said.len() > MOST_HEADERS {
        return Err(Rejection::invalid(format!("event_data.headers has more than {MOST_HEADERS} keys")));
    }
    for (name, value) in &said {
        if name.is_empty() || name.len() > LONGEST_SHORT_TEXT || value.len() > LONGEST_HEADER {
            let message = format!(
                "event_data.headers: a name must have 1 to {LONGEST_SHORT_TEXT} bytes, a value at most {LONGEST_HEADER}"
            );
            return Err(Rejection::invalid(message));
        }
    }
    Ok(said)
}
