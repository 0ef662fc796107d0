//! What is sealed with which key, and having it sealed with another.

use std::collections::BTreeMap;

use pegcount_sealed::{KeyId, Keys};
use pegcount_store::CallKey;
use serde_json::{Value, json};

use super::{Done, Operator, sentence};
use crate::recordings::on_disk;

/// How many calls are sealed anew in one transaction, so that new events need not wait long.
const CALLS_AT_ONCE: u32 = 100;

/// How much is sealed with a key.
#[derive(Clone, Copy, Default)]
struct Count {
    documents: u64,
    events: u64,
    recordings: u64,
}

impl Count {
    const fn is_none(self) -> bool {
        self.documents + self.events + self.recordings == 0
    }

    fn value(self) -> Value {
        json!({ "documents": self.documents, "events": self.events, "recordings": self.recordings })
    }
}

type Counts = BTreeMap<Option<KeyId>, Count>;

impl Operator {
    /// What is sealed with which key. It walks over everything.
    pub(super) async fn encryption_status(&self) -> Done {
        let mut counts = self.sealed_with().await?;
        let sealing = self.shelf.keys().map(Keys::sealing);
        let clear = counts.remove(&None).unwrap_or_default();
        let keys = counts.into_iter().filter_map(|(key, count)| {
            let mut value = count.value();
            value["key"] = key?.to_string().into();
            value["seals"] = (key == sealing).into();
            Some(value)
        });
        let keys: Vec<Value> = keys.collect();
        Ok(json!({ "on": sealing.is_some(), "in_the_clear": clear.value(), "keys": keys }))
    }

    async fn sealed_with(&self) -> Result<Counts, String> {
        let mut counts = Counts::new();
        for one in self.store.sealed_with().await.map_err(|error| sentence(&error))? {
            let count = counts.entry(one.key).or_default();
            (count.documents, count.events) = (one.documents, one.events);
        }
        let shelf = self.shelf.clone();
        let here = on_disk(move || shelf.sealed_here()).await;
        let mut found = vec![here.map_err(|error| format!("a recording cannot be looked at: {error}"))?];
        if let Some(desk) = &self.desk {
            let away = desk.sealed_away().await;
            found.push(away.map_err(|fault| format!("the object store cannot be looked through: {fault}"))?);
        }
        for (key, recordings) in found.into_iter().flatten() {
            counts.entry(key).or_default().recordings += recordings;
        }
        Ok(counts)
    }

    /// Seals everything with the key that seals, which must be the first of the configuration where that is known: a server
    /// reads its keys when it starts. A key that nothing is sealed with any more is needed no longer.
    pub(super) async fn reseal(&self, first_key: Option<&str>) -> Done {
        let Some(keys) = self.shelf.keys() else {
            return Err("encryption is off: name keys in `encryption`, and restart".into());
        };
        let sealing = keys.sealing().to_string();
        if let Some(first) = first_key.filter(|first| *first != sealing) {
            return Err(format!(
                "nothing was sealed: the server seals with {sealing}, and the first key of the configuration is {first}. \
                 Restart the server first, then run this again"
            ));
        }
        let (mut after, mut documents, mut events) = (CallKey(0), 0, 0);
        loop {
            let step = self.store.reseal(after, CALLS_AT_ONCE).await.map_err(|error| sentence(&error))?;
            documents += step.documents;
            events += step.events;
            let Some(last) = step.last else { break };
            after = last;
        }
        let recordings = self.reseal_recordings().await?;
        let mut unneeded = Vec::new();
        for (key, count) in self.sealed_with().await? {
            let Some(key) = key.filter(|key| *key != keys.sealing() && count.is_none()) else { continue };
            self.store.forget_sealing_key(key).await.map_err(|error| sentence(&error))?;
            unneeded.push(key.to_string());
        }
        // What was there before is in the log until it is emptied.
        let is_emptied = self.store.empty_log().await.map_err(|error| sentence(&error))?;
        Ok(json!({
            "documents": documents,
            "events": events,
            "recordings": recordings,
            "key": keys.sealing().to_string(),
            "unneeded_keys": unneeded,
            "log_emptied": is_emptied,
        }))
    }

    async fn reseal_recordings(&self) -> Result<u64, String> {
        let shelf = self.shelf.clone();
        let here = on_disk(move || shelf.reseal_all()).await;
        let here = here.map_err(|error| format!("a recording cannot be sealed: {error}"))?;
        Ok(match &self.desk {
            Some(desk) => here + desk.reseal_away().await?,
            None => here,
        })
    }
}
