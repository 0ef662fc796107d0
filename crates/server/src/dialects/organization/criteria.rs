//! What a request says it wants: the same pairs of names and values, from a query string or a JSON body.

use pegcount_calls::Range;
use serde_json::{Map, Value};

use crate::{
    access::{Answer, Refusal},
    web::query::Params,
};

/// Filters with several values, besides `metadata.KEY`.
const LISTS: [&str; 11] = [
    "call_status",
    "call_type",
    "direction",
    "agent_id",
    "from_number",
    "to_number",
    "disconnection_reason",
    "batch_call_id",
    "call_successful",
    "user_sentiment",
    "in_voicemail",
];
/// Those of them whose values are true and false.
const BOOLEANS: [&str; 2] = ["call_successful", "in_voicemail"];
/// Filters with two bounds.
pub(super) const RANGES: [&str; 3] = ["start_timestamp", "end_timestamp", "duration_ms"];
/// What the name of a metadata filter begins with.
pub(super) const METADATA: &str = "metadata.";
/// Most values of one filter: so many that nobody needs more, so few that every store takes them in one statement.
const MOST_VALUES: usize = 200;
/// Longest value in bytes.
const LONGEST_VALUE: usize = 512;

/// One value of one parameter.
struct Said {
    /// The parameter, as the query names it.
    name: String,
    /// The parameter as the asker wrote it, for error messages.
    shown: String,
    value: String,
}

/// Every parameter, lists taken apart, in the order they came.
#[derive(Default)]
pub(super) struct Criteria {
    said: Vec<Said>,
}

impl Criteria {
    /// Reads a query string.
    pub(super) fn of_query(query: &str) -> Self {
        let mut criteria = Self::default();
        for (name, value) in Params::parse(query).iter() {
            if is_list(name) {
                for part in value.split(',') {
                    criteria.say(name, name, &restored(name, part));
                }
            } else {
                criteria.say(name, name, value);
            }
        }
        criteria
    }

    /// Reads a JSON body. Its lists are not taken apart at commas: JSON has lists of its own.
    pub(super) fn of_json(body: &[u8]) -> Answer<Self> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid("body", format!("is not valid JSON: {error}")))?;
        let Value::Object(fields) = value else {
            return Err(Refusal::invalid("body", "must be a JSON object"));
        };
        let mut criteria = Self::default();
        for (name, value) in &fields {
            match (name.as_str(), value) {
                ("page" | "limit" | "sort_by" | "sort_order", value) => {
                    criteria.say_scalar(name, name, value)?;
                }
                ("filter_criteria", Value::Object(filters)) => criteria.say_filters(filters)?,
                ("filter_criteria", Value::Null) => {}
                ("filter_criteria", _) => return Err(Refusal::invalid(name, "must be a JSON object")),
                _ => {}
            }
        }
        Ok(criteria)
    }

    fn say(&mut self, name: &str, shown: &str, value: &str) {
        if !value.trim().is_empty() {
            self.push(name, shown, value);
        }
    }

    fn push(&mut self, name: &str, shown: &str, value: &str) {
        let (name, shown) = (name.to_owned(), shown.to_owned());
        self.said.push(Said { name, shown, value: value.trim().to_owned() });
    }

    fn say_filters(&mut self, filters: &Map<String, Value>) -> Answer<()> {
        for (name, value) in filters {
            let shown = format!("filter_criteria.{name}");
            if RANGES.contains(&name.as_str()) {
                self.say_range(name, &shown, value)?;
            } else if let ("metadata", Value::Object(keys)) = (name.as_str(), value) {
                for (key, value) in keys {
                    self.say_list(&format!("{METADATA}{key}"), &format!("{shown}.{key}"), value)?;
                }
            } else if is_list(name) {
                self.say_list(name, &shown, value)?;
            } else if name == "transcript_search" {
                self.say_text(name, &shown, value)?;
            } else if is_bound(name) {
                self.say_scalar(name, &shown, value)?;
            } else if name == "metadata" && !value.is_null() {
                return Err(Refusal::invalid(shown, "must be a JSON object"));
            }
        }
        Ok(())
    }

    fn say_range(&mut self, name: &str, shown: &str, value: &Value) -> Answer<()> {
        match value {
            Value::Null => Ok(()),
            Value::Object(bounds) => {
                for (bound, suffix) in [("lower_threshold", "from"), ("upper_threshold", "to")] {
                    if let Some(value) = bounds.get(bound) {
                        self.say_scalar(&format!("{name}_{suffix}"), &format!("{shown}.{bound}"), value)?;
                    }
                }
                Ok(())
            }
            _ => Err(Refusal::invalid(shown, "must be an object of lower_threshold and upper_threshold")),
        }
    }

    /// A filter of values. JSON has null for what is not there, so an empty text is a value, which a query has no way to say.
    fn say_list(&mut self, name: &str, shown: &str, value: &Value) -> Answer<()> {
        let values = match value {
            Value::Null => return Ok(()),
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        // The values of metadata and what an analysis says are of any kind; all other filters compare texts.
        let takes_any = name.starts_with(METADATA) || BOOLEANS.contains(&name);
        for value in values {
            match scalar(shown, value)? {
                Some(text) if takes_any || value.is_string() => self.push(name, shown, &text),
                Some(_) => return Err(Refusal::invalid(shown, "must hold texts only")),
                None => return Err(Refusal::invalid(shown, "must not hold null")),
            }
        }
        Ok(())
    }

    fn say_text(&mut self, name: &str, shown: &str, value: &Value) -> Answer<()> {
        match value {
            Value::Null | Value::String(_) => self.say_scalar(name, shown, value),
            _ => Err(Refusal::invalid(shown, "must be a text")),
        }
    }

    fn say_scalar(&mut self, name: &str, shown: &str, value: &Value) -> Answer<()> {
        if let Some(text) = scalar(shown, value)? {
            self.say(name, shown, &text);
        }
        Ok(())
    }

    /// The last value of a parameter, read by `read`, which says in the rest of a sentence what would be right.
    pub(super) fn one<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Answer<Option<T>> {
        let last = self.said.iter().rfind(|said| said.name == name);
        last.map(|said| said.read(&read)).transpose()
    }

    /// Every value of a parameter, each once.
    pub(super) fn every<T: PartialEq>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Answer<Vec<T>> {
        let mut values = Vec::new();
        for said in self.said.iter().filter(|said| said.name == name) {
            let value = said.read(&read)?;
            if !values.contains(&value) {
                values.push(value);
            }
            if values.len() > MOST_VALUES {
                return Err(Refusal::invalid(&said.shown, format!("takes at most {MOST_VALUES} values")));
            }
        }
        Ok(values)
    }

    /// Two bounds; the lower one must not lie above the upper one.
    pub(super) fn range(&self, name: &str, least: i64) -> Answer<Range> {
        let range = Range {
            from: self.integer(&format!("{name}_from"), least)?,
            to: self.integer(&format!("{name}_to"), least)?,
        };
        match (range.from, range.to) {
            (Some(from), Some(to)) if from > to => {
                Err(Refusal::invalid(name, "must not have a lower bound above its upper bound"))
            }
            _ => Ok(range),
        }
    }

    /// An integer that is not below `least`.
    pub(super) fn integer(&self, name: &str, least: i64) -> Answer<Option<i64>> {
        self.one(name, |text| {
            let value = text.strip_prefix('+').unwrap_or(text).parse().ok().filter(|value| *value >= least);
            value.ok_or_else(|| match least {
                i64::MIN => "must be an integer".to_owned(),
                _ => format!("must be an integer from {least}"),
            })
        })
    }

    /// The metadata keys that are asked about, each once, in the order they came.
    pub(super) fn metadata_keys(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        for key in self.said.iter().filter_map(|said| said.name.strip_prefix(METADATA)) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

impl Said {
    fn read<T>(&self, read: impl Fn(&str) -> Result<T, String>) -> Answer<T> {
        if self.value.len() > LONGEST_VALUE {
            return Err(Refusal::invalid(&self.shown, format!("must be at most {LONGEST_VALUE} bytes long")));
        }
        read(&self.value).map_err(|message| Refusal::invalid(&self.shown, message))
    }
}

/// The text of a JSON value that is neither an array nor an object; null has none.
fn scalar(shown: &str, value: &Value) -> Answer<Option<String>> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => {
            let text = number.to_string();
            // 30000.0 is as whole as 30000.
            text.strip_suffix(".0").unwrap_or(&text).to_owned()
        }
        Value::Array(_) | Value::Object(_) => {
            return Err(Refusal::invalid(shown, "must hold texts, numbers or booleans only"));
        }
    }))
}

fn is_list(name: &str) -> bool {
    LISTS.contains(&name) || name.len() > METADATA.len() && name.starts_with(METADATA)
}

fn is_bound(name: &str) -> bool {
    let range = name.strip_suffix("_from").or_else(|| name.strip_suffix("_to"));
    range.is_some_and(|range| RANGES.contains(&range))
}

/// In a number a space reads as `+`, which is what a query string makes of it (contract, all dialects).
fn restored(name: &str, value: &str) -> String {
    match value.strip_prefix(' ') {
        Some(digits) if matches!(name, "from_number" | "to_number") => format!("+{}", digits.trim()),
        _ => value.to_owned(),
    }
}
