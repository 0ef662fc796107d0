//! What was said, in this dialect's words.

use pegcount_calls::{Call, Content, Role, Timestamp, ToolEntry, Turn};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What the lines of a transcript begin with that came as one text (contract, events.md).
const LABELS: [&str; 2] = ["[Agent]:", "[Caller]:"];

/// The contents of the turns, joined by one space; without turns the text of the transcript without its labels.
pub(super) fn transcript(content: &Content) -> String {
    let mut transcript = String::new();
    if content.turns.is_empty() {
        content.transcript_text.iter().flat_map(|text| text.lines()).for_each(|line| {
            add(&mut transcript, unlabelled(line));
        });
    } else {
        content.turns.iter().for_each(|turn| add(&mut transcript, &turn.said.content));
    }
    transcript
}

fn add(transcript: &mut String, words: &str) {
    if words.is_empty() {
        return;
    }
    if !transcript.is_empty() {
        transcript.push(' ');
    }
    transcript.push_str(words);
}

fn unlabelled(line: &str) -> &str {
    let line = line.trim();
    LABELS.iter().find_map(|label| line.strip_prefix(label)).unwrap_or(line).trim()
}

/// Who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationSpeaker)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    Assistant,
    User,
}

impl From<Role> for Speaker {
    fn from(role: Role) -> Self {
        match role {
            Role::Agent => Self::Assistant,
            Role::User => Self::User,
        }
    }
}

/// One turn; times in epoch milliseconds.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationUtterance)]
pub(super) struct Utterance<'a> {
    role: Speaker,
    content: &'a str,
    timestamp: i64,
    words: Vec<Word<'a>>,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationWord)]
struct Word<'a> {
    word: &'a str,
    start: i64,
    end: i64,
}

impl<'a> Utterance<'a> {
    fn of(turn: &'a Turn, answered_at: Timestamp) -> Self {
        let words = turn.said.words.iter().map(|word| Word {
            word: &word.word,
            start: answered_at.plus_millis(word.start_millis).millis(),
            end: answered_at.plus_millis(word.end_millis).millis(),
        });
        Self {
            role: turn.said.role.into(),
            content: &turn.said.content,
            timestamp: turn.at.millis(),
            words: words.collect(),
        }
    }
}

/// What words are timed from: the answer, or the begin of a call that never had one.
fn zero(call: &Call) -> Timestamp {
    call.answered_at().unwrap_or(call.created_at)
}

/// The turns.
pub(super) fn utterances(call: &Call) -> Vec<Utterance<'_>> {
    call.content.turns.iter().map(|turn| Utterance::of(turn, zero(call))).collect()
}

/// A turn, or what happened between turns.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationSpoken)]
#[serde(untagged)]
pub(super) enum Spoken<'a> {
    /// A turn.
    Turn(Utterance<'a>),
    /// The agent called a tool.
    Invocation {
        /// Says that it is one.
        role: InvocationRole,
        /// Ties it to its result.
        tool_call_id: Option<&'a str>,
        /// The tool.
        name: Option<&'a str>,
        /// The arguments as JSON text.
        arguments: &'a str,
    },
    /// A tool answered.
    Result {
        /// Says that it is one.
        role: ResultRole,
        /// Ties it to its invocation.
        tool_call_id: Option<&'a str>,
        /// A text as it is, anything else as JSON text.
        content: String,
    },
}

/// The role of an invocation.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationInvocationRole)]
pub(super) enum InvocationRole {
    #[serde(rename = "tool_call_invocation")]
    Invocation,
}

/// The role of a result.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationResultRole)]
pub(super) enum ResultRole {
    #[serde(rename = "tool_call_result")]
    Result,
}

/// The turns with the calls of tools woven in by time; empty where no tool was called, as the document shows it.
pub(super) fn with_tool_calls(call: &Call) -> Vec<Spoken<'_>> {
    let Content { turns, tools, .. } = &call.content;
    if tools.is_empty() {
        return Vec::new();
    }
    let turns = turns.iter().map(|turn| (turn.at, Spoken::Turn(Utterance::of(turn, zero(call)))));
    let mut woven: Vec<(Timestamp, Spoken<'_>)> =
        turns.chain(tools.iter().map(|tool| (tool.at(), tool.into()))).collect();
    // Stable: within a millisecond the turn comes first, and a result after its invocation.
    woven.sort_by_key(|(at, _)| *at);
    woven.into_iter().map(|(_, spoken)| spoken).collect()
}

impl<'a> From<&'a ToolEntry> for Spoken<'a> {
    fn from(entry: &'a ToolEntry) -> Self {
        match entry {
            ToolEntry::Invocation { tool_call, name, arguments, .. } => Self::Invocation {
                role: InvocationRole::Invocation,
                tool_call_id: tool_call.as_deref(),
                name: name.as_deref(),
                arguments: arguments.as_ref().map_or("{}", |arguments| arguments.as_json_text()),
            },
            ToolEntry::Outcome { tool_call, result, .. } => Self::Result {
                role: ResultRole::Result,
                tool_call_id: tool_call.as_deref(),
                content: result.as_ref().map(|result| text_of(result.as_json_text())).unwrap_or_default(),
            },
        }
    }
}

fn text_of(json: &str) -> String {
    match serde_json::from_str(json) {
        Ok(Value::String(text)) => text,
        _ => json.to_owned(),
    }
}
