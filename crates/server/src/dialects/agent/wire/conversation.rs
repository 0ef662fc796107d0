//! What was said, and the tools that were called meanwhile.

use pegcount_calls::{Role, ToolEntry, Turn};
use serde::Serialize;
use utoipa::ToSchema;

use super::Verbatim;
use crate::vocabulary::time::format_rfc3339;

/// Who spoke, in the words of the native event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentSpeaker)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    Agent,
    Caller,
}

impl From<Role> for Speaker {
    fn from(role: Role) -> Self {
        match role {
            Role::Agent => Self::Agent,
            Role::User => Self::Caller,
        }
    }
}

/// One turn.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentUtterance)]
pub(super) struct Utterance<'a> {
    role: Speaker,
    content: &'a str,
    #[schema(format = DateTime)]
    timestamp: String,
    words: Vec<Word<'a>>,
}

/// One word; times in milliseconds from the answer, as reported.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentWord)]
struct Word<'a> {
    word: &'a str,
    start_ms: i64,
    end_ms: i64,
}

impl<'a> Utterance<'a> {
    /// The turn in this dialect's words.
    pub(super) fn of(turn: &'a Turn) -> Self {
        let words = turn.said.words.iter().map(|word| Word {
            word: &word.word,
            start_ms: word.start_millis,
            end_ms: word.end_millis,
        });
        Self {
            role: turn.said.role.into(),
            content: &turn.said.content,
            timestamp: format_rfc3339(turn.at),
            words: words.collect(),
        }
    }
}

/// A tool that was called, and what it answered.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = AgentToolUse)]
pub(super) struct ToolUse<'a> {
    tool_call_id: Option<&'a str>,
    name: Option<&'a str>,
    #[schema(value_type = Option<Object>)]
    arguments: Option<Verbatim<'a>>,
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    #[schema(value_type = serde_json::Value)]
    result: Option<Verbatim<'a>>,
    is_error: Option<bool>,
    #[schema(format = DateTime)]
    result_timestamp: Option<String>,
}

impl<'a> ToolUse<'a> {
    /// Each invocation with the next result of its id, in the order they were called. A result without an invocation
    /// stands for itself.
    pub(super) fn of_entries(entries: &'a [ToolEntry]) -> Vec<Self> {
        let mut uses: Vec<Self> = Vec::new();
        for entry in entries {
            match entry {
                ToolEntry::Invocation { at, tool_call, name, arguments } => uses.push(Self {
                    tool_call_id: tool_call.as_deref(),
                    name: name.as_deref(),
                    arguments: arguments.as_ref().map(|arguments| Verbatim(arguments.as_json_text())),
                    timestamp: Some(format_rfc3339(*at)),
                    ..Self::default()
                }),
                ToolEntry::Outcome { at, tool_call, result, is_error } => {
                    let id = tool_call.as_deref();
                    let answer = |tool: &mut Self| {
                        tool.result = result.as_ref().map(|result| Verbatim(result.as_json_text()));
                        tool.is_error = Some(*is_error);
                        tool.result_timestamp = Some(format_rfc3339(*at));
                    };
                    let asked = uses.iter_mut().find(|tool| id.is_some() && tool.awaits(id));
                    match asked {
                        Some(tool) => answer(tool),
                        None => {
                            let mut unasked = Self { tool_call_id: id, ..Self::default() };
                            answer(&mut unasked);
                            uses.push(unasked);
                        }
                    }
                }
            }
        }
        uses
    }

    fn awaits(&self, tool_call_id: Option<&str>) -> bool {
        self.tool_call_id == tool_call_id && self.result_timestamp.is_none()
    }
}
