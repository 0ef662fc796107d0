//! What can be said of transcription: who hears the calls of an organization.

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    provider::{Command, Http, Provider},
    wire::Form,
};
use crate::secrets::Hidden;

/// The longest that one request, or one run of a command, may be given.
const LONGEST_TIMEOUT: u32 = 3600;

/// Who hears the calls of one organization.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `http`, `command`, or `off`.
    pub provider: Option<ProviderWord>,
    /// Where sound is sent, a URL of the form `https://api.openai.com/v1/audio/transcriptions`.
    pub url: String,
    /// The model to ask for; empty: the server has only one.
    pub model: String,
    /// The key that the server is shown, as a bearer token.
    pub api_key: Hidden,
    /// `verbose_json`, or `json` for a server that gives no times.
    pub response_format: FormatWord,
    /// Sound may go over the network as it is.
    pub allow_http: bool,
    /// The language that is spoken, such as `en`; empty: the recogniser finds out.
    pub language: String,
    /// How long one request, or one run of the command, may take.
    pub timeout_seconds: u32,
    /// The program and its arguments; `{wav}`, `{json}`, `{stem}` and `{language}` are replaced.
    pub command: Vec<String>,
    /// What the command writes.
    pub format: Option<FormWord>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            provider: None,
            url: String::new(),
            model: String::new(),
            api_key: Hidden::default(),
            response_format: FormatWord::default(),
            allow_http: false,
            language: String::new(),
            timeout_seconds: 600,
            command: Vec::new(),
            format: None,
        }
    }
}

/// What kind of recogniser it is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderWord {
    /// None.
    Off,
    /// A server.
    Http,
    /// A program here.
    Command,
}

/// What a server is asked to answer with.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum FormatWord {
    /// With the times of segments and words.
    #[default]
    #[serde(rename = "verbose_json")]
    VerboseJson,
    /// The text alone.
    #[serde(rename = "json")]
    Json,
}

/// What a command writes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum FormWord {
    /// As OpenAI's server answers.
    #[serde(rename = "openai")]
    OpenAi,
    /// As `whisper-cli -oj` or `-ojf` writes.
    #[serde(rename = "whisper.cpp")]
    WhisperCpp,
    /// As `pocketsphinx` writes, a line for each utterance.
    #[serde(rename = "pocketsphinx")]
    PocketSphinx,
}

/// Who hears the calls of an organization, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The language that is spoken, where it is known.
    pub(super) language: Option<String>,
    /// Who hears them.
    pub(super) provider: Provider,
}

impl Settings {
    /// By whom, for people: without keys and arguments.
    pub fn told(&self) -> String {
        self.provider.told()
    }
}

impl Config {
    /// Who is meant; `None`: nobody.
    ///
    /// # Errors
    /// The end of a sentence that begins with the key: what it takes.
    pub fn settings(&self) -> Result<Option<Settings>, String> {
        let provider = match self.provider {
            Some(ProviderWord::Off) => return Ok(None),
            Some(ProviderWord::Http) => self.http().map(Provider::Http)?,
            Some(ProviderWord::Command) => self.program().map(Provider::Command)?,
            None => return Err("provider: must be http, command or off".into()),
        };
        let is_tag = |text: &str| {
            text.len() <= 35 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !is_tag(&self.language) {
            return Err("language: must be a language such as en, or empty".into());
        }
        let language = (!self.language.is_empty()).then(|| self.language.clone());
        Ok(Some(Settings { language, provider }))
    }

    fn timeout(&self) -> Result<Duration, String> {
        if !(1..=LONGEST_TIMEOUT).contains(&self.timeout_seconds) {
            return Err(format!("timeout_seconds: must lie between 1 and {LONGEST_TIMEOUT}"));
        }
        Ok(Duration::from_secs(self.timeout_seconds.into()))
    }

    fn http(&self) -> Result<Http, String> {
        if !self.command.is_empty() || self.format.is_some() {
            return Err("command: command and format are of provider = \"command\"".into());
        }
        // What cannot be read is not repeated: somebody may have put a key into it.
        let wrong = "url: must be a URL such as https://api.openai.com/v1/audio/transcriptions";
        let url = Url::parse(&self.url).map_err(|_| wrong.to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("url: credentials belong into api_key".into());
        }
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(wrong.into()),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_here || self.allow_http => {}
            "http" => {
                return Err("url: is http://, so what was said would go over the network as it is. If that is meant, set \
                     allow_http = true"
                    .into());
            }
            _ => return Err(wrong.into()),
        }
        let key = self.api_key.reveal();
        if HeaderValue::from_str(&format!("Bearer {key}")).is_err() {
            return Err("api_key: holds a character that no key has".into());
        }
        Ok(Http {
            url,
            model: self.model.clone(),
            api_key: self.api_key.clone(),
            verbose: self.response_format == FormatWord::VerboseJson,
            timeout: self.timeout()?,
        })
    }

    fn program(&self) -> Result<Command, String> {
        if !self.url.is_empty() || !self.model.is_empty() || !self.api_key.reveal().is_empty() {
            return Err("url: url, model and api_key are of provider = \"http\"".into());
        }
        let names = |place: &str| self.command.iter().any(|word| word.contains(place));
        if self.command.first().is_none_or(String::is_empty) || !names("{wav}") {
            return Err("command: must be a program and its arguments, one of which holds {wav}".into());
        }
        if names("{language}") && self.language.is_empty() {
            return Err("language: must be set, since command holds {language}".into());
        }
        let form = match self.format {
            Some(FormWord::OpenAi) => Form::OpenAi,
            Some(FormWord::WhisperCpp) => Form::WhisperCpp,
            Some(FormWord::PocketSphinx) => Form::PocketSphinx,
            None => return Err("format: must be whisper.cpp, pocketsphinx or openai".into()),
        };
        Ok(Command { words: self.command.clone(), form, timeout: self.timeout()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Settings>, String> {
        toml::from_str::<Config>(text).map_err(|error| error.to_string())?.settings()
    }

    #[test]
    fn servers_and_commands_are_taken_and_told_without_their_secrets() {
        for (text, told) in [
            (
                "provider = \"http\"\nurl = \"https://api.openai.com/v1/audio/transcriptions\"\nmodel = \"whisper-1\"\n\
                 api_key = \"hush-hush\"",
                "https://api.openai.com with the model whisper-1",
            ),
            ("provider = \"http\"\nurl = \"http://127.0.0.1:8000/inference\"", "http://127.0.0.1:8000"),
            (
                "provider = \"http\"\nurl = \"http://asr.lan/x\"\nallow_http = true\nlanguage = \"de\"",
                "http://asr.lan",
            ),
            (
                "provider = \"command\"\nformat = \"whisper.cpp\"\nlanguage = \"en\"\n\
                 command = [\"/usr/bin/whisper-cli\", \"-l\", \"{language}\", \"-f\", \"{wav}\", \"--key=hush-hush\"]",
                "the command /usr/bin/whisper-cli",
            ),
        ] {
            let settings = read(text).unwrap_or_else(|error| unreachable!("{text}: {error}"));
            assert_eq!(settings.as_ref().map(Settings::told).as_deref(), Some(told), "{text}");
            let shown = format!("{:?}", toml::from_str::<Config>(text).map(|config| config.api_key));
            assert!(!shown.contains("hush"), "{shown}");
        }
        assert!(read("provider = \"off\"").unwrap().is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key_and_without_secrets() {
        for (text, key) in [
            ("", "provider"),
            ("provider = \"http\"", "url"),
            ("provider = \"http\"\nurl = \"ftp://x/\"", "url"),
            ("provider = \"http\"\nurl = \"http://asr.lan/x\"", "allow_http"),
            ("provider = \"http\"\nurl = \"https://me:hush-hush@asr.lan/x\"", "url"),
            ("provider = \"http\"\nurl = \"https://x/\"\napi_key = \"hush-hush\\n\"", "api_key"),
            ("provider = \"http\"\nurl = \"https://x/\"\nlanguage = \"English, please\"", "language"),
            ("provider = \"http\"\nurl = \"https://x/\"\ntimeout_seconds = 0", "timeout_seconds"),
            ("provider = \"http\"\nurl = \"https://x/\"\ncommand = [\"x\"]", "command"),
            ("provider = \"command\"\nformat = \"openai\"", "command"),
            ("provider = \"command\"\nformat = \"openai\"\ncommand = [\"x\"]", "{wav}"),
            ("provider = \"command\"\ncommand = [\"x\", \"{wav}\"]", "format"),
            (
                "provider = \"command\"\nformat = \"openai\"\ncommand = [\"x\", \"{wav}\", \"{language}\"]",
                "language",
            ),
            (
                "provider = \"command\"\nformat = \"openai\"\ncommand = [\"x\", \"{wav}\"]\nmodel = \"m\"",
                "model",
            ),
        ] {
            let error = read(text).err().unwrap_or_else(|| unreachable!("{text} is taken"));
            assert!(error.contains(key) && !error.contains("hush"), "{text}: {error}");
        }
    }
}
