//! The whole array, however long, a part at a time: what lies in memory is one part.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use pegcount_calls::{CallQuery, Cursor, Paging};
use pegcount_store::{Endpoint, Page};

use super::{query::Part, wire::CallStats};
use crate::{
    access::{Access, Answer},
    web::aside,
};

/// Calls in one part. Each comes with all its events, so a part is to be counted in megabytes, not in calls.
const PART: u64 = 50;

/// The array as a body. Its first part is made here, so that what can be refused is refused with a status; when a
/// later one fails, the connection breaks, and nobody takes what he has for the whole.
///
/// # Errors
/// [`Refusal`] of the first part.
pub(super) async fn body(access: Access, agent: Endpoint, part: Part) -> Answer<Body> {
    let mut walk = Walk { access, agent, part, position: Position::Begin, separator: "[" };
    let first = walk.next_part().await?;
    let parts = stream::try_unfold((first, walk), |(ready, mut walk)| async move {
        let bytes = match ready {
            Some(bytes) => Some(bytes),
            None => walk.next_part().await.map_err(io::Error::other)?,
        };
        Ok::<_, io::Error>(bytes.map(|bytes| (bytes, (None, walk))))
    });
    Ok(Body::from_stream(parts))
}

/// How far the array has come.
struct Walk {
    access: Access,
    agent: Endpoint,
    /// What is still to come.
    part: Part,
    position: Position,
    /// What goes before the next call.
    separator: &'static str,
}

/// Where the next part begins.
#[derive(Clone, Copy)]
enum Position {
    Begin,
    After(Cursor),
    End,
}

impl Walk {
    /// The next part; `None` after the last.
    async fn next_part(&mut self) -> Answer<Option<Bytes>> {
        let (offset, after) = match self.position {
            Position::Begin => (self.part.offset, None),
            Position::After(place) => (0, Some(place)),
            Position::End => return Ok(None),
        };
        let most = self.part.limit.map_or(PART, |left| left.min(PART));
        let query = CallQuery {
            endpoints: vec![self.agent.id.clone()],
            created: self.part.created,
            paging: Paging { limit: u32::try_from(most).unwrap_or(u32::MAX), offset, after },
            ..CallQuery::default()
        };
        let page = self.access.calls(&query).await?;
        self.part.limit = self.part.limit.map(|left| left.saturating_sub(page.calls.len() as u64));
        self.position = match page.next {
            Some(place) if self.part.limit != Some(0) => Position::After(place),
            _ => Position::End,
        };
        let end = match (self.position, self.separator, page.calls.is_empty()) {
            (Position::Begin | Position::After(_), ..) => "",
            (Position::End, "[", true) => "[]",
            (Position::End, ..) => "]",
        };
        self.write(page, end).await.map(Some)
    }

    /// These calls, and what comes after them.
    async fn write(&mut self, page: Page, end: &'static str) -> Answer<Bytes> {
        let keys: Vec<_> = page.calls.iter().map(|filed| filed.head.key).collect();
        let mut reports = self.access.reports(&keys).await?.into_iter();
        let (access, agent, mut separator) = (self.access.clone(), self.agent.number, self.separator);
        if !page.calls.is_empty() {
            self.separator = ",";
        }
        aside::written(move || {
            let mut json = Vec::new();
            for filed in &page.calls {
                let reports = reports.next().unwrap_or_default();
                let url = access.recording_url(filed);
                json.extend_from_slice(separator.as_bytes());
                serde_json::to_writer(&mut json, &CallStats::of(filed, &reports, agent, url))?;
                separator = ",";
            }
            json.extend_from_slice(end.as_bytes());
            Ok(json)
        })
        .await
    }
}
