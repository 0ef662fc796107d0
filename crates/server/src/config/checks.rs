//! Checks of the configuration's values, alone and in combination, after keys and types were read.

use tracing_subscriber::EnvFilter;

use super::{Config, LogConfig};
use crate::dialects::{agent, tenant};

impl Config {
    /// Refuses values that cannot be, alone or together.
    ///
    /// # Errors
    /// A sentence for each, in lines: it names the key and says what it takes.
    pub(super) fn check(&self) -> Result<(), String> {
        let checks = [
            self.log.filter().map(drop),
            self.tariffs().map(drop),
            self.masks().map(drop),
            self.retention().map(drop),
            self.analysis().map(drop),
            self.sip.settings(&self.data).map(drop),
            self.recordings.bucket().map(drop),
            self.recordings.fetching().map(drop),
            self.transcription().map(drop),
            self.cors.layer().map(drop),
            self.check_places(),
            self.check_connections(),
            self.check_listening(),
            self.check_tls(),
            self.check_public_url(),
            self.check_open_access(),
        ];
        let problems: Vec<String> = checks.into_iter().filter_map(Result::err).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }

    /// An empty path would put everything into the folder that the program is started in.
    fn check_places(&self) -> Result<(), String> {
        if self.data.as_os_str().is_empty() {
            return Err("data: it is empty: name a folder, such as ./pegcount-data".into());
        }
        let path = self.store.strip_prefix("sqlite:").filter(|path| path.is_empty() || path.starts_with(':'));
        match path {
            Some(_) => Err(format!("store: {:?} names no file: give sqlite:PATH", self.store)),
            None => Ok(()),
        }
    }

    fn check_connections(&self) -> Result<(), String> {
        let limits = &self.limits;
        for (key, value) in
            [("connections", limits.connections), ("connections_per_address", limits.connections_per_address)]
        {
            if value == 0 {
                return Err(format!("limits.{key}: 0 would let nobody in: give at least 1"));
            }
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), String> {
        if self.tls.cert.as_os_str().is_empty() == self.tls.key.as_os_str().is_empty() {
            return Ok(());
        }
        Err("tls: set both cert and key, or neither".into())
    }

    fn check_public_url(&self) -> Result<(), String> {
        if self.public_url.is_empty() {
            return Ok(());
        }
        let url = url::Url::parse(&self.public_url).ok();
        let is_base = url.is_some_and(|url| {
            let is_bare = url.query().is_none() && url.fragment().is_none();
            let has_login = !url.username().is_empty() || url.password().is_some();
            matches!(url.scheme(), "http" | "https") && is_bare && !has_login
        });
        if is_base && self.public_url.trim() == self.public_url {
            return Ok(());
        }
        Err(format!(
            "public_url: {:?} is no URL that links could begin with: give it as https://calls.example.com",
            self.public_url
        ))
    }

    fn check_open_access(&self) -> Result<(), String> {
        let tenant = self.tenant.access == tenant::AccessMode::Open;
        let agent = self.agent.access == agent::AccessMode::Open;
        for (dialect, is_open, listens) in
            [("tenant", tenant, vec![self.listen, self.live_listen]), ("agent", agent, vec![self.listen])]
        {
            let public = listens.into_iter().find(|listen| !listen.ip().is_loopback());
            if let Some(listen) = public.filter(|_| is_open && !self.allow_open_access_on_public_address) {
                return Err(format!(
                    "{dialect}.access is \"open\", and {listen} can be reached by others: anybody could read every \
                     organization's calls. Set it to \"key\", listen on a loopback address, or set \
                     allow_open_access_on_public_address = true"
                ));
            }
        }
        Ok(())
    }

    /// The organizations that the configuration names, with the key that names each. `default` is none.
    pub fn named_organizations(&self) -> Vec<(String, String)> {
        let named = |key: &str, ids: Vec<&String>| -> Vec<(String, String)> {
            let ids = ids.into_iter().filter(|id| *id != "default");
            ids.map(|id| (format!("{key}.{id}"), id.clone())).collect()
        };
        let mut all = [
            named("rates", self.rates.keys().collect()),
            named("retention", self.retention.keys().collect()),
            named("redaction", self.redaction.keys().collect()),
            named("transcription", self.transcription.keys().collect()),
            named("analysis", self.analysis.keys().collect()),
            named("recordings.fetch", self.recordings.fetch.keys().collect()),
            named("sip.recording.organizations", self.sip.recording.organizations.keys().collect()),
            named("sip.opt_out_organizations", self.sip.opt_out_organizations.iter().collect()),
        ]
        .concat();
        for (place, trunk) in self.sip.trunks.iter().enumerate() {
            all.push((format!("sip.trunks[{place}].organization"), trunk.organization.clone()));
        }
        for (place, user) in self.sip.users.iter().enumerate() {
            all.push((format!("sip.users[{place}].organization"), user.organization.clone()));
        }
        all
    }
}

impl LogConfig {
    /// What is logged.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn filter(&self) -> Result<EnvFilter, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let wrong = |cause: String| {
            format!(
                "log.level: {:?} {cause}: give error, warn, info, debug or trace, or a filter such as \
                 info,pegcount::intake=debug",
                self.level
            )
        };
        // A word alone would be taken for a part of the program, and nothing of the rest be logged.
        let is_word = self.level.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_word && !LEVELS.iter().any(|level| self.level.eq_ignore_ascii_case(level)) {
            return Err(wrong("is no level".to_owned()));
        }
        EnvFilter::try_new(&self.level).map_err(|error| wrong(format!("is no filter ({error})")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(level: &str) -> bool {
        LogConfig { level: level.into(), json: false }.filter().is_err()
    }

    #[test]
    fn a_level_that_would_silence_the_log_is_refused() {
        for level in ["info", "INFO", "off", "info,pegcount::intake=debug", "pegcount::intake=trace"] {
            assert!(!refused(level), "{level}");
        }
        for level in ["", "verbose", "warning", "pegcount", "info,pegcount=loud"] {
            assert!(refused(level), "{level}");
        }
    }
    #[test]
    fn places_that_hold_nothing_are_refused() {
        let refusal = |config: Config| config.check_places().unwrap_err();
        assert!(refusal(Config { data: "".into(), ..Config::default() }).contains("data"));
        for store in ["sqlite:", "sqlite::memory:"] {
            assert!(refusal(Config { store: store.into(), ..Config::default() }).contains("sqlite:PATH"));
        }
        assert!(Config::default().check_places().is_ok());
    }
}
