//! What is asked for: an agent, and which of its calls.

use pegcount_calls::Range;
use pegcount_store::EndpointNumber;

use super::wire::{Mistake, Place};
use crate::{access::Refusal, web::query::Params};

/// Most calls that `limit` may ask for.
const LARGEST_LIMIT: i64 = 10_000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// The agent.
    pub(super) agent: EndpointNumber,
    /// Which of its calls.
    pub(super) part: Part,
}

/// Which calls of an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Part {
    /// Created within.
    pub(super) created: Range,
    /// How many of the newest to pass over.
    pub(super) offset: u64,
    /// How many at most; `None`: all.
    pub(super) limit: Option<u64>,
}

impl Asked {
    /// Reads path and query.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub(super) fn read(agent: &str, query: &str) -> Result<Self, Vec<Mistake>> {
        let params = Params::parse(query);
        let mut mistakes = Vec::new();
        let agent = integer(Place::Path, "agent_id", agent, i64::MIN, i64::MAX);
        let mut number = |name, least, most| match params.get(name) {
            None => None,
            Some(text) => {
                integer(Place::Query, name, text, least, most).map_err(|mistake| mistakes.push(mistake)).ok()
            }
        };
        let limit = number("limit", 1, LARGEST_LIMIT);
        let offset = number("offset", 0, i64::MAX);
        let created = params.created().map_err(|refusal| mistakes.push(of_refusal(refusal, &params)));
        match (agent, created) {
            (Ok(agent), Ok(created)) if mistakes.is_empty() => Ok(Self {
                agent: EndpointNumber(agent),
                part: Part {
                    created,
                    offset: offset.unwrap_or(0).unsigned_abs(),
                    limit: limit.map(i64::unsigned_abs),
                },
            }),
            (agent, _) => Err(agent.err().into_iter().chain(mistakes).collect()),
        }
    }
}

/// Reads an integer. One that no 64 bits hold lies beyond the bounds of a parameter; in the path it stands for the last
/// that they do, so that a number too large to be an agent's is an unknown one and not a mistake.
fn integer(place: Place, name: &'static str, text: &str, least: i64, most: i64) -> Result<i64, Mistake> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Mistake::no_integer(place, name, text));
    }
    match (trimmed.parse(), trimmed.starts_with('-')) {
        (Ok(value), _) if value < least => Err(Mistake::below(place, name, text, least)),
        (Ok(value), _) if value > most => Err(Mistake::above(place, name, text, most)),
        (Ok(value), _) => Ok(value),
        (Err(_), is_negative) if place == Place::Path => Ok(if is_negative { i64::MIN } else { i64::MAX }),
        (Err(_), true) => Err(Mistake::below(place, name, text, least)),
        (Err(_), false) => Err(Mistake::above(place, name, text, most)),
    }
}

fn of_refusal(refusal: Refusal, params: &Params) -> Mistake {
    match refusal {
        Refusal::Invalid { parameter, message } => {
            let input = params.get(&parameter).unwrap_or_default().to_owned();
            Mistake::bad_value(Place::Query, parameter, &message, input)
        }
        other => Mistake::bad_value(Place::Query, String::new(), &other.to_string(), String::new()),
    }
}
