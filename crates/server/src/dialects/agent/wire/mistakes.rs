//! What is wrong with a request, as FastAPI words it.

use serde::Serialize;
use utoipa::ToSchema;

/// Why there is no answer: a sentence, or every mistake in the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentFailure)]
#[serde(untagged)]
pub(in super::super) enum Detail {
    /// A sentence.
    Sentence {
        /// The sentence.
        detail: String,
    },
    /// What is wrong with path and query.
    Mistakes {
        /// Each mistake.
        detail: Vec<Mistake>,
    },
}

/// Which part of the request a mistake is in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentMistakePlace)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Place {
    /// The path.
    Path,
    /// The query.
    Query,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentMistake)]
pub(in super::super) struct Mistake {
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(value_type = Vec<String>)]
    loc: (Place, String),
    msg: String,
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Bound, required = false)]
    ctx: Option<Bound>,
}

/// The bound that a number lies beyond.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentMistakeBound)]
#[serde(rename_all = "lowercase")]
enum Bound {
    Ge(i64),
    Le(i64),
}

impl Mistake {
    /// Not an integer.
    pub(in super::super) fn no_integer(place: Place, name: &str, input: &str) -> Self {
        let msg = "Input should be a valid integer, unable to parse string as an integer".to_owned();
        Self { kind: "int_parsing", loc: (place, name.to_owned()), msg, input: input.to_owned(), ctx: None }
    }

    /// Too small.
    pub(in super::super) fn below(place: Place, name: &str, input: &str, least: i64) -> Self {
        Self {
            kind: "greater_than_equal",
            loc: (place, name.to_owned()),
            msg: format!("Input should be greater than or equal to {least}"),
            input: input.to_owned(),
            ctx: Some(Bound::Ge(least)),
        }
    }

    /// Too large.
    pub(in super::super) fn above(place: Place, name: &str, input: &str, most: i64) -> Self {
        Self {
            kind: "less_than_equal",
            loc: (place, name.to_owned()),
            msg: format!("Input should be less than or equal to {most}"),
            input: input.to_owned(),
            ctx: Some(Bound::Le(most)),
        }
    }

    /// Anything else; `message` goes on after the name.
    pub(in super::super) fn bad_value(place: Place, name: String, message: &str, input: String) -> Self {
        let msg = format!("Value error, {name} {message}");
        Self { kind: "value_error", loc: (place, name), msg, input, ctx: None }
    }
}
