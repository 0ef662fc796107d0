//! Links to what is kept of a call.

use pegcount_calls::{Document, Fact, Timestamp};
use pegcount_store::{Filed, Report};

use super::{Access, Answer, Object, Refusal, Thing};
use crate::{
    auth::Scope,
    links::{Link, Target},
    vocabulary::{self, kinds},
};

/// Where a recording can be had.
struct RecordingLink {
    url: String,
    /// `None`: the source did not say.
    expires_at: Option<Timestamp>,
    /// `here`; `away`, to the object store; `source`, to where the source said.
    leads: &'static str,
}

impl Access {
    /// A signed link to the call's log that expires; `None` for a call that opted out.
    pub fn log_url(&self, filed: &Filed) -> Option<String> {
        let call = filed.head.uuid.to_string();
        let target = Target::Log { organization: filed.head.organization, call: &call };
        (!filed.call.opt_out).then(|| self.link(target).url)
    }

    fn link(&self, target: Target<'_>) -> Link {
        self.ledger.links.to(target, self.now(), self.reached_at.as_ref())
    }

    /// Where the recording can be had. A key that may not hear recordings is shown none; a dialect that was opened to everybody
    /// shows them.
    pub fn recording_url(&self, filed: &Filed) -> Option<String> {
        if !self.may_hear() {
            return None;
        }
        self.recording_link(filed).map(|link| link.url)
    }

    /// Whether this access may be told where recordings are.
    fn may_hear(&self) -> bool {
        match self.principal {
            Some(_) => self.need(Scope::RecordingsRead).is_ok(),
            // A link to a log leads to that log alone.
            None => !self.is_by_link,
        }
    }

    /// Takes out of these events where others keep recordings, unless this access may be told that.
    pub(super) fn without_recordings(&self, reports: &mut [Report]) {
        if self.may_hear() {
            return;
        }
        for report in reports.iter_mut().filter(|report| report.kind == kinds::RECORDING_READY) {
            let data = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(
                report.data.as_json_text(),
            );
            // What a recording is told by is an object; nothing is shown of anything else.
            let mut data = data.unwrap_or_default();
            data.remove("url");
            report.data = Document::from_json_text(serde_json::Value::Object(data).to_string());
        }
    }

    /// Where the recording can be had, and until when: a signed link to one of our own, here or in the object store, the
    /// source's word for another.
    fn recording_link(&self, filed: &Filed) -> Option<RecordingLink> {
        let recording = filed.call.content.recording.as_ref()?;
        if let Some(url) = &recording.url {
            return Some(RecordingLink { url: url.clone(), expires_at: None, leads: "source" });
        }
        let object = Object::of(filed)?;
        if let Some((url, expires_at)) = self.ledger.shelf.link_away(&object, self.now()) {
            return Some(RecordingLink { url, expires_at: Some(expires_at), leads: "away" });
        }
        let link = self.link(Target::Recording(&object.to_string()));
        Some(RecordingLink { url: link.url, expires_at: Some(link.expires_at), leads: "here" })
    }

    /// Whether a call that keeps a recording was told of this one of ours before: of two calls that were merged each may
    /// have had one.
    pub(super) async fn named_before(&self, filed: &Filed, name: &str) -> Answer<bool> {
        if filed.former_names.is_empty() || !filed.call.content.keeps_recording() {
            return Ok(false);
        }
        let found = self.ledger.store.reports(&[filed.head.key]).await;
        let reports = self.ledger.read(found)?.pop().unwrap_or_default();
        let events = reports.iter().filter(|report| report.kind == kinds::RECORDING_READY);
        let mut facts = events.filter_map(|report| Some(vocabulary::read_report(report).ok()?.fact));
        Ok(facts.any(|fact| match fact {
            Fact::RecordingReady(recording) => recording.object.as_deref() == Some(name),
            _ => false,
        }))
    }

    /// The call with this name or UUID that has a recording, where that can be had, and until when the link is good.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] also for a call without a recording.
    pub async fn recording(&self, id: &str) -> Answer<(Filed, String, Option<Timestamp>)> {
        self.need(Scope::RecordingsRead)?;
        self.need(Scope::CallsRead)?;
        let filed = self.find_call(id).await?;
        let link = self.recording_link(&filed).ok_or(Refusal::NotFound(Thing::Recording))?;
        self.note_recording(&filed, link.leads).await?;
        Ok((filed, link.url, link.expires_at))
    }
}
