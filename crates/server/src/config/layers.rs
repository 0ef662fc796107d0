//! The layers of the configuration, the later wins: defaults, the file, the environment, the command line.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use figment::{
    Figment, Metadata, Profile, Provider, Source,
    error::{Actual, Kind},
    providers::{Env, Format, Serialized, Toml},
    value::{Dict, Map, Tag, Value},
};

use super::{Config, Overrides};

/// What the name of an environment variable begins with.
const PREFIX: &str = "PEGCOUNT_";
/// Variables that stand for flags of the command line: `--config`, `--key`, `--url`.
const FLAGS: [&str; 3] = ["config", "key", "url"];
/// Kubernetes gives every pod variables that are named after each service: these, for a service called `pegcount`.
const OF_KUBERNETES: [&str; 2] = ["port", "service_"];
/// Sections whose settings stand below an organization's id.
const OF_EACH_ORGANIZATION: [&str; 5] = ["transcription", "analysis", "redaction", "retention", "rates"];
/// Names that are less alike are not proposed, on the scale of [`strsim::jaro_winkler`].
const ALIKE: f64 = 0.8;

/// The file that is read where none is named, if it is there.
pub const USUAL_FILE: &str = "pegcount.toml";

impl Config {
    /// Reads the configuration: `file`, or [`USUAL_FILE`] of the current folder if there is one.
    ///
    /// # Errors
    /// A sentence for each problem, in lines: it names the key and says what it takes.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, String> {
        let usual = Path::new(USUAL_FILE);
        if let Some(file) = file {
            readable(file)?;
        }
        let file = file.or(usual.is_file().then_some(usual));
        let settings = Env::prefixed(PREFIX).filter(|name| !is_reserved(&name.as_str().to_lowercase()));
        let of_file = file.map(|file| Layer::of(&Toml::file_exact(file)));
        let later = [Layer::of(&settings.split("__")), Layer::of(&Serialized::defaults(overrides))];
        let config = read(of_file.into_iter().chain(later).collect())?;
        config.check()?;
        Ok(config)
    }
}

/// Reads a configuration from its layers. A value that cannot be read is left out, so that the next one is found too.
fn read(mut layers: Vec<Layer>) -> Result<Config, String> {
    let mut problems = Vec::new();
    let mut left_out = LeftOut::default();
    loop {
        let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
        let error = match figment.extract() {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => break,
            Err(error) => error,
        };
        let path = path_of(&error);
        let named = left_out.as_written(&path);
        let is_of_earlier =
            matches!(&error.kind, Kind::MissingField(field) if left_out.has(&named, field.as_ref()));
        if !is_of_earlier {
            problems.push(explain(&error, &named));
        }
        let taken = layers.iter_mut().filter_map(|layer| layer.leave_out(&path)).max();
        let Some(items) = taken else { break };
        left_out.add(named, items);
    }
    Err(problems.join("\n"))
}

/// What was left out of the layers to find the next problem.
#[derive(Default)]
struct LeftOut {
    /// Keys as they are written.
    keys: BTreeSet<Vec<String>>,
    /// How many of the first items of a list are gone, by the key of the list as it is written.
    items: BTreeMap<Vec<String>, usize>,
}

impl LeftOut {
    /// A path of what is left, as it is written.
    fn as_written(&self, path: &[String]) -> Vec<String> {
        path.iter().fold(Vec::new(), |mut written, part| {
            let gone = self.items.get(&written).copied().unwrap_or_default();
            let place = part.parse::<usize>().ok().filter(|_| gone > 0);
            written.push(place.map_or_else(|| part.clone(), |place| (place + gone).to_string()));
            written
        })
    }

    fn has(&self, table: &[String], field: &str) -> bool {
        self.keys.contains(&[table, &[field.to_owned()]].concat())
    }

    fn add(&mut self, written: Vec<String>, items: usize) {
        if let Some((_, list)) = written.split_last() {
            *self.items.entry(list.to_vec()).or_default() += items;
        }
        self.keys.insert(written);
    }
}

/// Whether a list stands where the settings of an organization belong, such as `[[rates.calls]]`: the items of the list are
/// taken for the settings, so the error names a place in it.
fn is_list_for_organization(path: &[String]) -> bool {
    matches!(path, [section, _, place, ..]
        if OF_EACH_ORGANIZATION.contains(&section.as_str()) && place.parse::<usize>().is_ok())
}

/// The key that an error is about. That of an unknown setting holds the setting.
fn path_of(error: &figment::Error) -> Vec<String> {
    let mut path = error.path.clone();
    if let Kind::UnknownField(name, _) = &error.kind
        && path.last() != Some(name)
    {
        path.push(name.clone());
    }
    if is_list_for_organization(&path) {
        path.truncate(2);
    }
    path
}

/// Takes the value at `path` out, if there is one. From a list it takes the items before it too, of which nothing is wrong:
/// the number of items that are gone from the list.
fn take_out(value: &mut Value, path: &[String]) -> Option<usize> {
    match (value, path) {
        (Value::Dict(_, table), [key]) => table.remove(key).map(|_| 0),
        (Value::Dict(_, table), [key, rest @ ..]) => take_out(table.get_mut(key)?, rest),
        (Value::Array(_, items), [place]) => {
            let place = place.parse::<usize>().ok().filter(|place| *place < items.len())?;
            Some(items.drain(..=place).count())
        }
        (Value::Array(_, items), [place, rest @ ..]) => {
            take_out(items.get_mut(place.parse::<usize>().ok()?)?, rest)
        }
        _ => None,
    }
}

/// Whether a variable with this name, in lower case and without the prefix, is no setting.
fn is_reserved(name: &str) -> bool {
    FLAGS.contains(&name) || OF_KUBERNETES.iter().any(|prefix| name.starts_with(prefix))
}

fn readable(file: &Path) -> Result<(), String> {
    let shown = file.display();
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("there is no configuration file {shown}"))
        }
        Err(error) => Err(format!("the configuration file {shown} cannot be read: {error}")),
        Ok(found) if found.is_dir() => {
            Err(format!("the configuration {shown} is a folder: name a file, such as {shown}/pegcount.toml"))
        }
        Ok(_) => match std::fs::read_to_string(file) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the configuration file {shown} cannot be read: {error}")),
        },
    }
}

/// What one provider says. In it `sip` may be said in short: an address or `off`, for `sip.listen`.
struct Layer {
    metadata: Metadata,
    data: Result<Map<Profile, Dict>, figment::Error>,
    profile: Option<Profile>,
}

impl Layer {
    fn of(provider: &impl Provider) -> Self {
        let data = provider.data().map(|mut data| {
            for dict in data.values_mut() {
                if let Some(short @ Value::String(..)) = dict.get("sip").cloned() {
                    let tag = short.tag();
                    dict.insert("sip".into(), Value::Dict(tag, Dict::from([("listen".into(), short)])));
                }
            }
            data
        });
        Self { metadata: provider.metadata(), data, profile: provider.profile() }
    }

    /// As [`take_out`].
    fn leave_out(&mut self, path: &[String]) -> Option<usize> {
        let tables = self.data.as_mut().ok()?.values_mut();
        tables
            .filter_map(|table| {
                let mut all = Value::Dict(Tag::Default, std::mem::take(table));
                let taken = take_out(&mut all, path);
                if let Value::Dict(_, left) = all {
                    *table = left;
                }
                taken
            })
            .max()
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.data.clone()
    }

    fn profile(&self) -> Option<Profile> {
        self.profile.clone()
    }
}

/// One sentence of a figment error: the key it is about, what is wrong, and where that was set.
fn explain(error: &figment::Error, path: &[String]) -> String {
    let text = match &error.kind {
        _ if is_list_for_organization(&error.path) => {
            let (section, key) = (&error.path[0], &error.path[1]);
            format!(
                "must be a table, not a list: settings stand below an organization's id, or below `default` for every \
                 other one: write [[{section}.default.{key}]]"
            )
        }
        Kind::UnknownField(name, known) => format!("there is no such setting{}", proposal(name, known)),
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            let words = in_words(expected);
            let advice = match (found, expected.as_str()) {
                (Actual::Map, "a sequence") => format!(": write [[{}]], with two brackets", shown(path)),
                _ => by_organization(path, expected).to_owned(),
            };
            format!("must be {words}, not {}{advice}", value_of(found, expected))
        }
        Kind::UnknownVariant(found, known) => {
            let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
            format!("must be {}, not {found:?}", known.join(" or "))
        }
        // The parser draws a picture of the line under its sentence.
        kind => {
            let drawn = |line: &&str| line.contains(" |") || line.trim().is_empty();
            let text = kind.to_string();
            let text = text.lines().filter(|line| !drawn(line)).map(str::trim).collect::<Vec<_>>().join(": ");
            let is_syntax = text.starts_with("TOML parse error") && !text.contains("duplicate");
            let advice = if text.contains("extend non-table") {
                let is_sip = text.contains("key `sip`");
                let short = "; instead of sip = \"off\" write listen = \"off\" below [sip]";
                if is_sip { short } else { "; a key has a value or settings below it, not both" }
            } else if is_syntax {
                "; a text stands in quotes, as in listen = \"127.0.0.1:8080\""
            } else {
                ""
            };
            format!("{text}{advice}")
        }
    };
    let place = if path.is_empty() { String::new() } else { format!("{}: ", shown(path)) };
    let source = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(Source::File(file)) => format!(" ({})", file.display()),
        _ if metadata.name.contains("environment") => {
            format!(" (the environment variable {PREFIX}{})", path.join("__").to_uppercase())
        }
        _ => format!(" ({})", metadata.name),
    });
    format!("{place}{text}{}", source.unwrap_or_default())
}

/// A value as it is written in the file. A text in the place of a table may be a secret that belongs into it.
fn value_of(found: &Actual, expected: &str) -> String {
    let is_of_many = expected.starts_with("struct ") || ["a map", "a sequence"].contains(&expected);
    match found {
        Actual::Str(_) if is_of_many => "a text".to_owned(),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// A key as the rest of the program writes it: `sip.users[0].name`.
fn shown(path: &[String]) -> String {
    path.iter().fold(String::new(), |key, part| match part.parse::<usize>() {
        Ok(place) => format!("{key}[{place}]"),
        Err(_) if key.is_empty() => part.clone(),
        Err(_) => format!("{key}.{part}"),
    })
}

/// What is missing where a setting was written that each organization has of its own.
fn by_organization(path: &[String], expected: &str) -> &'static str {
    let is_of_each = matches!(path, [section, _] if OF_EACH_ORGANIZATION.contains(&section.as_str()));
    match is_of_each && expected.starts_with("struct ") {
        true => ": settings stand below an organization's id, or below `default` for every other one",
        false => "",
    }
}

/// What a type of the program is to somebody who writes a configuration.
fn in_words(expected: &str) -> String {
    match expected {
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "path string" => "a text in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        table if table.starts_with("struct ") => "a table of settings".to_owned(),
        other => other.to_owned(),
    }
}

/// What was probably meant by a name that nobody knows.
fn proposal(name: &str, known: &[&str]) -> String {
    let alike = known.iter().map(|known| (strsim::jaro_winkler(name, known), known));
    match alike.max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((alike, known)) if alike >= ALIKE => format!("; did you mean {known:?}?"),
        _ => "; docs/configuration.md and config.example.toml list all of them".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_variables_of_kubernetes_are_no_settings() {
        for name in ["key", "url", "config", "service_host", "port", "port_8080_tcp_addr"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["listen", "public_url", "encryption__keys", "sip__listen"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    fn problems(text: &str) -> Vec<String> {
        let said = read(vec![Layer::of(&Toml::string(text))]).unwrap_err();
        said.lines().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn every_wrong_value_is_named_at_its_place() {
        let text = "lisen = \"a\"\nlisten = 7\n[limits]\nburst = \"many\"\nrate = 1\n\
                    [[rates.org-1.calls]]\nper_minute = \"0.1\"\n\
                    [[rates.org-1.calls]]\nprefix = \"+1\"\n\
                    [[rates.org-1.calls]]\nper_minute = 0.1\n\
                    [[rates.org-1.calls]]\nper_minute = \"0.1\"\nprefx = \"+2\"\n\
                    [sip]\nalso_listen = [\"127.0.0.1:1\", \"a\", \"127.0.0.1:2\", \"b\"]\n";
        assert_eq!(
            problems(text),
            [
                "limits.burst",
                "limits.rate",
                "lisen",
                "listen",
                "rates.org-1.calls[1]",
                "rates.org-1.calls[2].per_minute",
                "rates.org-1.calls[3].prefx",
                "sip.also_listen[1]",
                "sip.also_listen[3]",
            ]
        );
        assert_eq!(problems("listen =").len(), 1);
    }

    fn told(text: &str) -> String {
        read(vec![Layer::of(&Toml::string(text))]).unwrap_err()
    }

    #[test]
    fn a_table_in_the_place_of_a_list_is_told_its_brackets() {
        let single = told("[sip.users]\nname = \"alice\"\n");
        assert!(single.contains("sip.users: must be a list, not a table: write [[sip.users]]"), "{single}");
        let off = told("sip = \"off\"\n[[sip.users]]\nname = \"alice\"\n");
        assert!(off.contains("write listen = \"off\" below [sip]") && !off.contains("quotes"), "{off}");
    }

    #[test]
    fn a_list_in_the_place_of_an_organization_is_told_the_organization() {
        let rates = told("[[rates.calls]]\nper_minute = \"0.1\"\n[[rates.calls]]\nper_minute = \"0.2\"\n");
        assert!(rates.starts_with("rates.calls: must be a table, not a list"), "{rates}");
        assert!(rates.contains("write [[rates.default.calls]]") && rates.lines().count() == 1, "{rates}");
    }

    #[test]
    fn a_name_that_is_nearly_right_is_proposed() {
        assert_eq!(proposal("lisen", &["data", "listen", "live_listen"]), "; did you mean \"listen\"?");
        assert!(proposal("colour", &["data", "listen"]).contains("config.example.toml"));
    }
}
