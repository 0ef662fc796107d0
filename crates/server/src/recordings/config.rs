//! What can be said of recordings: the object store that they go to, and how they are had from there.

use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};

use object_store::{
    ClientConfigKey, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path,
    signer::Signer,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Bucket, Fetching, FetchingConfig, Patience};
use crate::{organizations::PerOrganization, secrets::Hidden};

/// How long one request to the store may take, unless an option says so: a part of 8 MiB at 140 kB a second.
const REQUEST_TIMEOUT: &str = "60s";

/// Where recordings go.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The object store, `s3://bucket/prefix`, `gs://...` or `az://...`; empty: recordings stay in the data folder.
    pub store: String,
    /// Where links to recordings in the object store lead.
    pub links: LinksWord,
    /// What else the store is told, by the names that its clients use: `region`, `endpoint`, `access_key_id`.
    pub options: BTreeMap<String, Hidden>,
    /// Whether and how recordings of others are fetched, by the ids of organizations; `default` is for everybody else.
    pub fetch: BTreeMap<String, FetchingConfig>,
    /// Minutes after the end of a call until a recording that should come of it is missing.
    pub missing_after_minutes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: String::new(),
            links: LinksWord::default(),
            options: BTreeMap::new(),
            fetch: BTreeMap::new(),
            missing_after_minutes: 15,
        }
    }
}

/// Where links to recordings in the object store lead.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinksWord {
    /// To the store, signed with its credentials.
    #[default]
    Presigned,
    /// To this server, which reads from the store.
    Own,
}

/// A client of a store, whatever the store.
type Client = (Arc<dyn ObjectStore>, Arc<dyn Signer>);

impl Config {
    /// How long recordings may take to come.
    pub fn patience(&self) -> Patience {
        Patience::minutes(self.missing_after_minutes)
    }

    /// Whether and how recordings of others are fetched.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn fetching(&self) -> Result<PerOrganization<Fetching>, String> {
        PerOrganization::read("recordings.fetch", &self.fetch, FetchingConfig::read)
    }

    /// The object store that is meant; `None` when there is none. Nothing is asked of it yet.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn bucket(&self) -> Result<Option<Bucket>, String> {
        if self.store.is_empty() {
            return match self.options.keys().next() {
                Some(key) => {
                    Err(format!("recordings.options.{key}: there is no recordings.store to tell it"))
                }
                None => Ok(None),
            };
        }
        // What cannot be read is not repeated: somebody may have put a password into it.
        let wrong = "recordings.store: must be s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX, or empty";
        let url = Url::parse(&self.store).map_err(|_| wrong.to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "recordings.store: credentials belong into recordings.options or the environment".into()
            );
        }
        if url.host_str().is_none_or(str::is_empty) || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong.into());
        }
        // No client is made without one. Whoever was first has decided; that is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = Path::from_url_path(url.path()).map_err(|_| wrong.to_owned())?;
        let (store, signer) = match url.scheme() {
            "s3" => self.s3(&url),
            "gs" => self.google(&url),
            "az" => self.azure(&url),
            _ => return Err(wrong.into()),
        }?;
        let signer = (self.links == LinksWord::Presigned).then_some(signer);
        Ok(Some(Bucket::new(self.store.trim_end_matches('/').to_owned(), store, signer, prefix)))
    }

    /// The options by their keys.
    fn known<K: FromStr>(&self) -> Result<Vec<(K, &str)>, String> {
        let read = |(name, value): &'_ (&String, &'_ Hidden)| -> Result<K, String> {
            let _ = value;
            let scheme = self.store.split(':').next().unwrap_or_default();
            name.to_ascii_lowercase().parse().map_err(|_| {
                format!("recordings.options.{name}: an object store {scheme}:// has no such option")
            })
        };
        self.options.iter().map(|pair| Ok((read(&pair)?, pair.1.reveal()))).collect()
    }

    /// Why a client cannot be made, without the values that it was told.
    fn refused(&self, error: &object_store::Error) -> String {
        let mut sentence = error.to_string();
        for value in self.options.values().filter(|value| value.reveal().len() > 5) {
            sentence = sentence.replace(value.reveal(), "(hidden)");
        }
        format!("recordings: {sentence}")
    }

    fn s3(&self, url: &Url) -> Result<Client, String> {
        use AmazonS3ConfigKey as Key;
        let mut builder = AmazonS3Builder::from_env()
            .with_config(Key::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
            // One at a time is all there is to delete, and every kind of S3 can do that.
            .with_config(Key::DisableBulkDelete, "true");
        for (key, value) in self.known::<Key>()? {
            builder = builder.with_config(key, value);
        }
        let told = |key: Key| builder.get_config_value(&key).unwrap_or_default();
        let plain = [Key::Endpoint, Key::S3Endpoint].into_iter().any(|key| told(key).starts_with("http://"));
        if plain && told(Key::Client(ClientConfigKey::AllowHttp)) != "true" {
            return Err(
                "recordings.options.endpoint: is http://, so recordings would go over the network as they \
                        are. If that is meant, set recordings.options.allow_http = true"
                    .into(),
            );
        }
        self.client(builder.with_url(url.as_str()).with_retry(retries()).build())
    }

    /// What was built, to be asked and to sign.
    fn client<S: ObjectStore + Signer>(
        &self,
        built: Result<S, object_store::Error>,
    ) -> Result<Client, String> {
        let store = Arc::new(built.map_err(|error| self.refused(&error))?);
        Ok((Arc::clone(&store) as Arc<dyn ObjectStore>, store))
    }

    fn google(&self, url: &Url) -> Result<Client, String> {
        use GoogleConfigKey as Key;
        let mut builder = GoogleCloudStorageBuilder::from_env()
            .with_config(Key::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
        for (key, value) in self.known::<Key>()? {
            builder = builder.with_config(key, value);
        }
        self.client(builder.with_url(url.as_str()).with_retry(retries()).build())
    }

    fn azure(&self, url: &Url) -> Result<Client, String> {
        use AzureConfigKey as Key;
        let mut builder = MicrosoftAzureBuilder::from_env()
            .with_config(Key::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
        for (key, value) in self.known::<Key>()? {
            builder = builder.with_config(key, value);
        }
        self.client(builder.with_url(url.as_str()).with_retry(retries()).build())
    }
}

/// A hiccup is got over at once; everything longer is for the job to try again.
fn retries() -> RetryConfig {
    RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn refused(text: &str) -> String {
        config(text).bucket().err().unwrap_or_else(|| unreachable!("{text} is taken"))
    }

    #[test]
    fn nothing_said_is_no_object_store() {
        assert!(config("").bucket().unwrap().is_none());
        assert!(refused("[options]\nregion = \"eu-1\"").contains("recordings.options.region"));
    }

    #[test]
    fn every_kind_of_store_is_taken_with_its_options() {
        for text in [
            "store = \"s3://calls\"",
            "store = \"s3://calls/a/b/\"\nlinks = \"own\"",
            "store = \"s3://calls\"\n[options]\nregion = \"eu-1\"\nendpoint = \"http://127.0.0.1:9000\"\nallow_http = true\n\
             access_key_id = \"key\"\nsecret_access_key = \"secret\"\nvirtual_hosted_style_request = false",
            "store = \"az://calls/a\"\n[options]\naccount_name = \"acme\"\naccess_key = \"c2VjcmV0\"",
            "store = \"gs://calls\"\n[options]\nskip_signature = true",
        ] {
            let bucket = config(text).bucket().unwrap_or_else(|error| unreachable!("{text}: {error}"));
            assert!(bucket.is_some());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name_and_without_its_value() {
        for (text, words) in [
            ("store = \"calls\"", "recordings.store"),
            ("store = \"ftp://calls\"", "recordings.store"),
            ("store = \"s3://\"", "recordings.store"),
            ("store = \"s3://calls?secret=hush-hush\"", "recordings.store"),
            ("store = \"s3://me:hush-hush@calls\"", "recordings.store"),
            ("store = \"s3://calls\"\n[options]\nsecret = \"hush-hush\"", "recordings.options.secret"),
            (
                "store = \"s3://calls\"\n[options]\nendpoint = \"http://127.0.0.1:9\"",
                "recordings.options.allow_http",
            ),
            ("store = \"s3://calls\"\n[options]\nallow_http = \"hush-hush\"", "(hidden)"),
            ("store = \"az://calls\"", "recordings:"),
            ("store = \"gs://calls\"\n[options]\nservice_account_key = \"hush-hush\"", "recordings:"),
        ] {
            let sentence = refused(text);
            assert!(sentence.contains(words) && !sentence.contains("hush"), "{text}: {sentence}");
        }
    }

    #[test]
    fn options_are_not_shown() {
        let config = config("store = \"s3://calls\"\n[options]\nsecret_access_key = \"hush-hush\"");
        assert!(!format!("{config:?}").contains("hush"));
        assert!(!toml::to_string(&config).unwrap().contains("hush"));
    }
}
