//! What commands print: one JSON value, or lines for people.

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::{Value, json};

use crate::{address, operations::Ready};

/// Writes a line for people.
pub(super) fn to_stderr(line: &str) {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

fn to_stdout(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints as JSON or for people.
#[derive(Clone, Copy)]
pub(super) struct Printer {
    pub(super) json: bool,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

fn count(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

impl Printer {
    /// Prints JSON if that was asked for; else the caller prints for people.
    fn print_json(self, value: &Value) -> bool {
        if self.json {
            to_stdout(&value.to_string());
        }
        self.json
    }

    pub(super) fn organizations(self, value: &Value) {
        if self.print_json(value) {
            return;
        }
        let one = std::slice::from_ref(value);
        for organization in value.as_array().map_or(one, Vec::as_slice) {
            let number = count(organization, "number");
            to_stdout(&format!("{number}\t{}\t{}", text(organization, "id"), text(organization, "name")));
        }
    }

    pub(super) fn key(self, value: &Value) {
        if self.print_json(value) {
            return;
        }
        to_stdout(&format!("key     {}", text(value, "key")));
        to_stdout(&format!("key id  {}", text(value, "key_id")));
        to_stdout(&format!("secret  {}", text(value, "secret")));
        let scopes: Vec<&str> = items(value, "scopes").iter().filter_map(Value::as_str).collect();
        to_stdout(&format!("scopes  {}", scopes.join(",")));
        if let Some(old) = value.get("old_key_id").and_then(Value::as_str) {
            to_stdout(&format!("{old} works until {}", text(value, "old_key_expires_at")));
        }
        to_stderr("Keep the secret: it is not shown again.");
    }

    pub(super) fn keys(self, value: &Value) {
        if self.print_json(value) {
            return;
        }
        for key in value.as_array().map(Vec::as_slice).unwrap_or_default() {
            let scopes: Vec<&str> = items(key, "scopes").iter().filter_map(Value::as_str).collect();
            let (id, organization) = (text(key, "key_id"), text(key, "organization"));
            let mut line = format!("{id}\t{organization}\t{}\t{}", scopes.join(","), text(key, "name"));
            line.push_str(&format!("\tmade {}", text(key, "created_at")));
            match key.get("last_used_at").and_then(Value::as_str) {
                Some(used) => line.push_str(&format!("\tlast used {used}")),
                None => line.push_str("\tnever used"),
            }
            if let Some(expires_at) = key.get("expires_at").and_then(Value::as_str) {
                line.push_str(&format!("\texpires {expires_at}"));
            }
            to_stdout(&line);
        }
    }

    pub(super) fn revoked(self, value: &Value) {
        if !self.print_json(value) {
            to_stdout(&format!("revoked {}", text(value, "revoked")));
        }
    }

    pub(super) fn checked(self, file: Option<&Path>, warnings: &[String]) {
        let mut value = json!({ "ok": true });
        if !warnings.is_empty() {
            value["warnings"] = json!(warnings);
        }
        if !self.print_json(&value) {
            match file {
                Some(file) => to_stdout(&format!("{} is fine", file.display())),
                None => to_stdout("the settings without a file are fine: there is no pegcount.toml here"),
            }
            for warning in warnings {
                to_stdout(&format!("warning: {warning}"));
            }
        }
    }

    pub(super) fn recounted(self, value: &Value) {
        if !self.print_json(value) {
            to_stdout("all calls are counted anew");
        }
    }

    /// Returns whether every call could be read, and equals its events now.
    pub(super) fn refolded(self, value: &Value, check: bool) -> bool {
        let (differing, unreadable) = (items(value, "differing"), items(value, "unreadable"));
        if !self.print_json(value) {
            for one in differing {
                let words =
                    |key| items(one, key).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
                to_stdout(&format!("{}\t{}\t{}", text(one, "call"), words("fields"), words("because")));
            }
            for one in unreadable {
                to_stderr(&format!("{}: {}", text(one, "call"), text(one, "error")));
            }
            let done = if check { "would change" } else { "changed" };
            to_stderr(&format!("{} calls folded, {} {done}", count(value, "examined"), differing.len()));
        }
        unreadable.is_empty() && (!check || differing.is_empty())
    }

    /// Returns whether anything is damaged.
    pub(super) fn findings(self, value: &Value) -> bool {
        let findings = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if !self.print_json(value) {
            for finding in findings {
                let (severity, subject) = (text(finding, "severity"), text(finding, "subject"));
                to_stdout(&format!("{severity:8}{subject}: {}", text(finding, "message")));
            }
        }
        findings.iter().any(|finding| text(finding, "severity") == "damage")
    }

    /// Returns whether the audit log is whole.
    pub(super) fn verified(self, value: &Value) -> bool {
        if !self.print_json(value) {
            let (entries, last, hash) = (count(value, "entries"), count(value, "last"), text(value, "hash"));
            let last = format!("the last of them is {last} with the hash {hash}");
            match (value.get("fault").and_then(Value::as_str), entries) {
                (None, _) => to_stdout(&format!("{entries} entries fit, {last}")),
                (Some(fault), entries) => {
                    to_stderr(&format!("The audit log was changed: {fault}."));
                    to_stdout(&match entries {
                        0 => "no entry before that fits".to_owned(),
                        _ => format!("{entries} entries before that fit, {last}"),
                    });
                }
            }
        }
        value.get("whole").and_then(Value::as_bool).unwrap_or_default()
    }

    pub(super) fn new_key(self, value: &Value) {
        if !self.print_json(value) {
            to_stdout(text(value, "key"));
            let id = text(value, "id");
            to_stderr(&format!(
                "Its id is {id}. Keep a copy: what is sealed with a key that is lost is lost."
            ));
        }
    }

    pub(super) fn encryption(self, value: &Value) {
        if self.print_json(value) {
            return;
        }
        let counted = |count: &Value| {
            let number = |name| self::count(count, name);
            format!(
                "{} documents, {} events, {} recordings",
                number("documents"),
                number("events"),
                number("recordings")
            )
        };
        for key in value.get("keys").and_then(Value::as_array).into_iter().flatten() {
            let seals = key.get("seals").and_then(Value::as_bool).unwrap_or_default();
            let seals = if seals { " (seals)" } else { "" };
            to_stdout(&format!("{}{seals}: {}", text(key, "key"), counted(key)));
        }
        let clear = value.get("in_the_clear").unwrap_or(&Value::Null);
        to_stdout(&format!("in the clear: {}", counted(clear)));
        if value.get("on").and_then(Value::as_bool) == Some(false) {
            to_stderr("Encryption is off: docs/encryption.md says how it is switched on.");
        }
    }

    pub(super) fn resealed(self, value: &Value) {
        if self.print_json(value) {
            return;
        }
        let number = |name| count(value, name);
        to_stdout(&format!(
            "{} documents, {} events and {} recordings are sealed with {} now",
            number("documents"),
            number("events"),
            number("recordings"),
            text(value, "key")
        ));
        for key in value.get("unneeded_keys").and_then(Value::as_array).into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            to_stdout(&format!("nothing is sealed with {key} any more: it may be taken out of the keys"));
        }
        if value.get("log_emptied").and_then(Value::as_bool) == Some(false) {
            to_stderr("A long read kept the write-ahead log from being emptied: run this again.");
        }
    }

    pub(super) fn backed_up(self, value: &Value) {
        if self.print_json(value) {
            return;
        }
        to_stdout(&format!("{} ({} bytes)", text(value, "backup"), count(value, "bytes")));
        if let Some(words) = value.get("words").filter(|words| words.is_object()) {
            let (path, bytes) = (text(words, "path"), count(words, "bytes"));
            to_stdout(&format!("{path} ({bytes} bytes; the index of words, which can be made anew)"));
        }
        if let Some(recordings) = value.get("recordings").filter(|recordings| recordings.is_object()) {
            let number = |key| count(recordings, key);
            let linked = match number("linked") {
                0 => "",
                _ => "; hard links: no copies on another disk",
            };
            let (path, files, bytes) = (text(recordings, "path"), number("files"), number("bytes"));
            to_stdout(&format!("{path} ({files} recordings, {bytes} bytes{linked})"));
        }
        for left_out in items(value, "left_out").iter().filter_map(Value::as_str) {
            to_stderr(&format!("Not in it: {left_out}."));
        }
    }

    pub(super) fn jobs(self, value: &Value) {
        if self.print_json(value) {
            return;
        }
        let (jobs, total) = (items(value, "jobs"), count(value, "total"));
        for job in jobs {
            let (id, attempts) = (count(job, "id"), count(job, "attempts"));
            let words = ["state", "kind", "organization", "subject", "due_at"].map(|key| text(job, key));
            // In one line, whatever another machine has answered.
            let error = text(job, "error").replace(char::is_control, " ");
            to_stdout(&format!("{id}\t{}\t{attempts} attempts\t{error}", words.join("\t")));
        }
        if jobs.is_empty() {
            to_stderr("There are no such jobs.");
        }
        if total > jobs.len() as u64 {
            to_stderr(&format!("These are the newest {} of {total}: --limit shows more.", jobs.len()));
        }
    }

    pub(super) fn retried(self, value: &Value) {
        if !self.print_json(value) {
            to_stdout(&format!("{} jobs are due now", count(value, "retried")));
        }
    }

    pub(super) fn forgotten(self, value: &Value) {
        if !self.print_json(value) {
            to_stdout(&format!("job {} is forgotten", count(value, "forgotten")));
        }
    }

    pub(super) fn imported(self, value: &Value, zone_is_assumed: bool) {
        if self.print_json(value) {
            return;
        }
        to_stdout(&format!(
            "{} records: {} events taken in, {} known already, {} bad records",
            count(value, "records"),
            count(value, "accepted"),
            count(value, "duplicates"),
            items(value, "bad").len(),
        ));
        if count(value, "moved") != 0 {
            let first = value.get("first_moved").unwrap_or(&Value::Null);
            let text = |key: &str| first.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            to_stdout(&format!(
                "{} of those that are known would have another time now, as in another time zone. The first, {}:{}, is \
                 known at {} and reads as {}. They stay as they are. If the zone is wrong now, correct --tz. If it was wrong \
                 before, import into an organization of their own: \"A wrong time zone\" in docs/sources/asterisk.md.",
                count(value, "moved"),
                text("file"),
                count(first, "line"),
                text("known_at"),
                text("at"),
            ));
        }
        if zone_is_assumed && count(value, "records") != 0 {
            to_stdout("Times without a zone were read as UTC: give --tz where the switch writes local time.");
        }
    }
}

/// Says where the server is, and the first time with which key.
pub(super) fn served(ready: &Ready, scheme: &str, first_key: Option<&str>, data: &Path, json: bool) {
    let url = format!("{scheme}://{}", address::reachable(ready.http));
    if json {
        to_stdout(
            &json!({
                "url": url,
                "live": ready.live.to_string(),
                "sip": ready.sip.map(|sip| sip.to_string()),
                "pid": ready.pid,
                "first_key": first_key,
            })
            .to_string(),
        );
        return;
    }
    let live_scheme = if scheme == "https" { "wss" } else { "ws" };
    let everywhere =
        if ready.http.ip().is_unspecified() { "   (and every address of this machine)" } else { "" };
    to_stdout(&format!("Pegcount   {url}{everywhere}"));
    to_stdout(&format!("live       {live_scheme}://{}/", address::reachable(ready.live)));
    if let Some(sip) = ready.sip {
        to_stdout(&format!("SIP        {sip}"));
    }
    to_stdout(&format!("reference  {url}/docs/"));
    match first_key {
        Some(key) => {
            to_stdout(&format!("store      new, in {}", data.display()));
            first_key_line(key, data);
        }
        None if data.join("first-key").exists() => {
            to_stdout(&format!("key        see {}/first-key", data.display()));
        }
        None => to_stdout("key        make one with `pegcount keys create`"),
    }
}

/// Prints the first key where the server does not run after all.
pub(super) fn first_key(key: &str, data: &Path, json: bool) {
    if json {
        return to_stdout(&json!({ "first_key": key }).to_string());
    }
    first_key_line(key, data);
}

fn first_key_line(key: &str, data: &Path) {
    to_stdout(&format!("key        {key}   (kept in {}/first-key)", data.display()));
}
