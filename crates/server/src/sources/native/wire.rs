//! The bodies that `POST /v1/events` takes, and what it answers.

use std::{collections::BTreeMap, fmt};

use pegcount_calls::{CallName, End, EventId, Fact, SourceName, Timestamp};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Number, value::RawValue};
use utoipa::{ToSchema, openapi::Object};

use crate::{
    sources::mapped::given_id,
    vocabulary::{self, Rejection, Telling, Told, json, time},
    web::json::integer,
    web::schemas::{EventTime, EventType, one_of},
};

/// Most events in one request (contract, events.md).
pub(super) const MOST_EVENTS: usize = 10_000;

/// Largest event in bytes as it is sent: room for the largest data with spaces between its tokens. Checked before the event
/// is read.
const LARGEST_EVENT: usize = 4 * vocabulary::LARGEST_DATA;

/// How the events lie in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One object or an array.
    Json,
    /// One object a line.
    Lines,
    /// CloudEvents 1.0, one or a batch.
    CloudEvents,
}

impl Form {
    /// The media types that are taken, for messages.
    pub(super) const TAKEN: &'static str = "application/json, application/x-ndjson, application/cloudevents+json or application/cloudevents-batch+json";

    /// The form that a media type means; without one JSON is expected.
    pub(super) fn of(media_type: Option<&str>) -> Option<Self> {
        match media_type {
            None | Some("application/json") => Some(Self::Json),
            Some(
                "application/x-ndjson"
                | "application/ndjson"
                | "application/jsonl"
                | "application/x-jsonlines",
            ) => Some(Self::Lines),
            Some("application/cloudevents+json" | "application/cloudevents-batch+json") => {
                Some(Self::CloudEvents)
            }
            Some(_) => None,
        }
    }
}

/// Why a body as a whole is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not JSON.
    NotJson(String),
    /// Too many events.
    TooMany(usize),
}

/// One event of a body: the call it belongs to and what was told, or why not.
pub(super) type Read = Result<(CallName, Told), Rejection>;

/// Reads every event of a body. One that is wrong does not take its neighbours along.
///
/// # Errors
/// [`Unreadable`] when there is nothing to read one by one.
pub(super) fn read(
    form: Form,
    body: &[u8],
    source: &SourceName,
    received_at: Timestamp,
) -> Result<Vec<Read>, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson("the body is not UTF-8".into()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let events = split(form, text)?;
    // Events without a time get consecutive milliseconds, so that they keep their order.
    let mut next_default = received_at;
    let read_one = |event: &str| {
        check_size(event)?;
        let mut event = match form {
            Form::Json | Form::Lines => read_event(event),
            Form::CloudEvents => read_cloud_event(event),
        }?;
        if event.at.is_none() {
            event.default_at = next_default;
            next_default = next_default.plus_millis(1);
        }
        event.told(source, received_at)
    };
    Ok(events.into_iter().map(read_one).collect())
}

fn check_size(event: &str) -> Result<(), Rejection> {
    if event.len() <= LARGEST_EVENT {
        return Ok(());
    }
    let message = format!("the event has {} bytes, at most {LARGEST_EVENT} are taken", event.len());
    Err(Rejection::new(Rejection::EVENT_TOO_LARGE, message))
}

/// What to do with an array, or an object over several lines, that came as one object a line.
const NOT_LINES: &str = "the body is no JSON object a line, which is what application/x-ndjson means: send an array, or an object \
                         over several lines, with the Content-Type application/json";
/// What to do with one object a line that came as JSON.
const MANY_OBJECTS: &str =
    "Send one object a line with the Content-Type application/x-ndjson, or make an array of them";

fn split(form: Form, text: &str) -> Result<Vec<&str>, Unreadable> {
    let not_json = |error: serde_json::Error| {
        Unreadable::NotJson(format!("the body is not JSON: {}", json::in_plain_words(&error.to_string())))
    };
    if form == Form::Lines {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines.clone().next().is_some_and(|first| first.starts_with('[') || first == "{") {
            return Err(Unreadable::NotJson(NOT_LINES.into()));
        }
        // One more than is taken shows that there are too many; the count is for the message.
        let events: Vec<&str> = lines.clone().take(MOST_EVENTS + 1).collect();
        return if events.len() > MOST_EVENTS { Err(Unreadable::TooMany(lines.count())) } else { Ok(events) };
    }
    match text.trim_start().bytes().next() {
        Some(b'[') => {
            let Batch { events, count } = serde_json::from_str(text).map_err(not_json)?;
            if count > MOST_EVENTS { Err(Unreadable::TooMany(count)) } else { Ok(events) }
        }
        Some(b'{') => {
            let event: serde_json::Result<&RawValue> = serde_json::from_str(text);
            event.map(|event| vec![event.get()]).map_err(|error| {
                let goes_on = error.to_string().starts_with("trailing characters");
                match not_json(error) {
                    Unreadable::NotJson(told) if goes_on => {
                        Unreadable::NotJson(format!("{told}. {MANY_OBJECTS}"))
                    }
                    unreadable => unreadable,
                }
            })
        }
        _ => Err(Unreadable::NotJson("the body must be a JSON object or an array of them".into())),
    }
}

/// An array of events: no more of them are kept than are taken, for 16 MiB hold millions of numbers.
struct Batch<'a> {
    events: Vec<&'a str>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Batch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BatchVisitor)
    }
}

struct BatchVisitor;

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = Batch<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Batch<'de>, A::Error> {
        let mut batch = Batch { events: Vec::new(), count: 0 };
        while let Some(event) = items.next_element::<&RawValue>()? {
            batch.count += 1;
            if batch.count <= MOST_EVENTS {
                batch.events.push(event.get());
            }
        }
        Ok(batch)
    }
}

/// RFC 3339, or integer epoch milliseconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum TimeWord {
    Millis(Number),
    Text(String),
}

#[derive(Deserialize)]
struct EventWire<'a> {
    call_id: String,
    id: Option<String>,
    event_type: String,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    event_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CloudEventWire<'a> {
    specversion: String,
    id: String,
    source: Option<String>,
    subject: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    time: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
}

/// An event whose frame was read.
struct Framed {
    call: CallName,
    id: EventId,
    at: Option<Timestamp>,
    default_at: Timestamp,
    kind: String,
    data: String,
}

impl Framed {
    fn told(self, source: &SourceName, received_at: Timestamp) -> Read {
        let mut told = vocabulary::tell(Telling {
            id: self.id,
            at: self.at.unwrap_or(self.default_at),
            at_given: self.at.is_some(),
            received_at,
            source: source.clone(),
            kind: self.kind,
            data: self.data,
        })?;
        // When a record of a call came says nothing of when the call ended, if the record itself does.
        if let Fact::Ended(end) = &told.event.fact
            && self.at.is_none()
            && let Some(at) = stated_end(end)
        {
            time::check_event_time("the end by event_data.duration", at, received_at)?;
            // A source's clock may run ahead a little: then it ended when it came.
            if at <= received_at {
                (told.report.at, told.event.at) = (at, at);
            }
        }
        Ok((self.call, told))
    }
}

/// When a call ended by the answer, or else the start, and the length that its end states.
pub(super) fn stated_end(end: &End) -> Option<Timestamp> {
    let begin = end.answered_at.or(end.started_at)?;
    Some(begin.plus_millis(end.talk_millis.filter(|&talk| talk > 0)?))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Rejection> {
    json::check(text).map_err(|error| Rejection::new(Rejection::INVALID_JSON, error))?;
    // Serde would take an array of its values for an object.
    if !text.starts_with('{') {
        return Err(Rejection::invalid("an event must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let message = message.split_once(" at line ").map_or(message.as_str(), |(sentence, _)| sentence);
        Rejection::invalid(if path == "." { message.to_owned() } else { format!("{path}: {message}") })
    })
}

fn read_event(text: &str) -> Result<Framed, Rejection> {
    let event: EventWire<'_> = parse(text)?;
    if event.created_at.is_none() {
        check_misnamed(text, &TIME_NAMES, "created_at")?;
    }
    if event.event_data.is_none() {
        check_misnamed(text, &DATA_NAMES, "event_data")?;
    }
    let call =
        CallName::new(&event.call_id).map_err(|error| Rejection::invalid(format!("call_id {error}")))?;
    check_given("call_id", &event.call_id)?;
    let id = match &event.id {
        Some(id) => EventId::new(id).map_err(|error| Rejection::invalid(format!("id {error}")))?,
        // Of the event as it was sent, so that sending it again is no second event.
        None => vocabulary::event_id_of(&json::compact(text)),
    };
    Ok(Framed {
        call,
        id,
        at: event.created_at.map(|at| read_time(at.get())).transpose()?,
        default_at: Timestamp::from_millis(0),
        kind: event.event_type,
        data: read_data(event.event_data, "event_data")?,
    })
}

fn read_cloud_event(text: &str) -> Result<Framed, Rejection> {
    let event: CloudEventWire<'_> = parse(text)?;
    if event.specversion != "1.0" {
        return Err(Rejection::invalid("specversion must be 1.0"));
    }
    if event.data_base64.is_some() {
        return Err(Rejection::invalid("data_base64 is not taken: send data as a JSON object"));
    }
    if event.time.is_none() {
        check_misnamed(text, &TIME_NAMES, "time")?;
    }
    let subject = event.subject.ok_or_else(|| Rejection::invalid("subject is missing: it names the call"))?;
    check_given("subject", &subject)?;
    // A CloudEvent is unique by source and id, and its id may be any text.
    let id = EventId::new(&event.id).unwrap_or_else(|_| {
        vocabulary::event_id_of(&format!("{} {}", event.source.unwrap_or_default(), event.id))
    });
    let at = event.time.map(|time| {
        time::parse_rfc3339(&time).ok_or_else(|| Rejection::invalid("time must be an RFC 3339 time"))
    });
    Ok(Framed {
        call: vocabulary::call_name(&subject),
        id,
        at: at.transpose()?,
        default_at: Timestamp::from_millis(0),
        kind: event.kind,
        data: read_data(event.data, "data")?,
    })
}

/// What other programs call the time of an event, in lower case without what parts words.
const TIME_NAMES: [&str; 16] = [
    "at",
    "created",
    "createdat",
    "date",
    "datetime",
    "endedat",
    "eventat",
    "eventtime",
    "eventtimestamp",
    "happenedat",
    "occurredat",
    "sentat",
    "startedat",
    "time",
    "timestamp",
    "ts",
];
/// What other programs call the data of an event.
const DATA_NAMES: [&str; 4] = ["data", "eventdata", "eventpayload", "payload"];

/// Refuses an event that has a field under another name: without it the event would be kept with a wrong time, or without
/// its data.
fn check_misnamed(text: &str, names: &[&str], right: &str) -> Result<(), Rejection> {
    let fields: BTreeMap<String, IgnoredAny> = parse(text)?;
    let plain = |field: &str| field.replace(['_', '-'], "").to_ascii_lowercase();
    match fields.keys().find(|field| *field != right && names.contains(&plain(field).as_str())) {
        Some(field) => Err(Rejection::invalid(format!("{field} is no field of an event: name it {right}"))),
        None => Ok(()),
    }
}

/// Refuses a name that programs write where they have none: every call without an id would become one call.
fn check_given(field: &str, name: &str) -> Result<(), Rejection> {
    // A count from 0 is a name.
    if given_id(name).is_some() || name == "0" {
        return Ok(());
    }
    Err(Rejection::invalid(format!("{field} {name:?} stands for no id: give each call one of its own")))
}

fn read_time(text: &str) -> Result<Timestamp, Rejection> {
    let at = match serde_json::from_str(text) {
        Ok(TimeWord::Millis(millis)) => integer(&millis).map(Timestamp::from_millis),
        Ok(TimeWord::Text(text)) => time::parse_rfc3339(&text),
        Err(_) => None,
    };
    at.ok_or_else(|| Rejection::invalid("created_at must be an RFC 3339 time or integer epoch milliseconds"))
}

fn read_data(data: Option<&RawValue>, field: &str) -> Result<String, Rejection> {
    match data.map(RawValue::get) {
        None | Some("null") => Ok("{}".to_owned()),
        Some(text) if text.starts_with('{') => Ok(json::compact(text)),
        Some(_) => Err(Rejection::invalid(format!("{field} must be an object"))),
    }
}

/// One event, or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is never made: events are read one by one")]
pub(super) enum NewEvents {
    One(NewEvent),
    Several(Vec<NewEvent>),
}

/// An event to be taken in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is never made: events are read one by one")]
pub(super) struct NewEvent {
    /// The call's string id. The first event of an unknown call creates the call.
    #[schema(example = "call_abc123", min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_.:@+~=-]+$")]
    call_id: String,
    /// The event's id, unique within its call; derived from the event when absent.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_.:@+~=-]+$")]
    id: Option<String>,
    /// A documented type, or one that begins with `x_`.
    #[schema(example = "call_answered", value_type = EventType)]
    event_type: String,
    /// When it happened; when absent, the time of receipt.
    created_at: Option<EventTime>,
    /// The fields of the type, and any others.
    #[schema(value_type = Option<Object>)]
    event_data: Option<Box<RawValue>>,
}

/// The version of CloudEvents that is taken.
fn specversion() -> Object {
    one_of(["1.0"]).build()
}

/// An event as CloudEvents 1.0 has it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is never made: events are read one by one")]
pub(super) struct NewCloudEvent {
    /// `1.0`
    #[schema(schema_with = specversion)]
    specversion: String,
    /// The event's id.
    id: String,
    source: Option<String>,
    /// The call's string id.
    #[schema(example = "call_abc123", min_length = 1)]
    subject: String,
    /// The event's type.
    #[schema(example = "call_answered", value_type = EventType)]
    r#type: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    time: Option<String>,
    /// The fields of the type.
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
}

/// What became of the events of a request.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    /// How many were new. They are on disk.
    pub accepted: usize,
    /// How many were known already, word for word.
    pub duplicates: usize,
    /// Those that were turned away.
    pub rejected: Vec<RejectedEvent>,
}

/// An event that was turned away.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RejectedEvent {
    /// Its place in the request, from 0.
    pub index: usize,
    /// A word for programs.
    #[schema(example = "INVALID_EVENT")]
    pub code: &'static str,
    /// What is wrong with it.
    pub message: String,
}

/// Where hang-up orders are posted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlUrlRequest {
    /// An https URL.
    #[schema(example = "https://calls.example.com/hangup", format = "uri", max_length = 2048)]
    pub url: String,
    /// `whsec_` and the base64 of 24 to 64 bytes; made when absent.
    #[schema(
        pattern = "^whsec_([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/]{4}([A-Za-z0-9+/][AQgw]==)?|[A-Za-z0-9+/][AQgw]==)?$"
    )]
    pub secret: Option<String>,
}

/// Where hang-up orders are posted, and what they are signed with.
#[derive(Serialize, ToSchema)]
pub struct ControlUrlBody {
    /// The URL.
    #[schema(format = "uri")]
    pub url: String,
    /// The secret of the signature (Standard Webhooks); only shown when it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub secret: Option<String>,
}
