//! The latest changes that one kind of watcher is told of.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::watch;

/// How many changes a watcher is told one by one; one that is further behind is told how things stand now.
pub(super) const MOST_TOLD_SINGLY: usize = 16;

/// One change, as the messages that tell it.
#[derive(Clone, Debug)]
pub(super) struct News {
    version: u64,
    /// The tenant's message.
    pub(super) tenant: Utf8Bytes,
    /// The system-wide message, if that count changed.
    pub(super) total: Option<Utf8Bytes>,
}

/// The latest changes, and the bell that rings for each.
pub(super) struct Trail {
    recent: VecDeque<News>,
    /// The version of the newest change that is no longer in `recent`; 0 for none.
    forgotten: u64,
    bell: watch::Sender<u64>,
}

impl Default for Trail {
    fn default() -> Self {
        Self { recent: VecDeque::new(), forgotten: 0, bell: watch::Sender::new(0) }
    }
}

impl Trail {
    /// Notes a change. The bell is left to the caller, who rings it when he holds no lock.
    pub(super) fn add(&mut self, version: u64, tenant: Utf8Bytes, total: Option<Utf8Bytes>) {
        if self.recent.len() >= MOST_TOLD_SINGLY
            && let Some(oldest) = self.recent.pop_front()
        {
            self.forgotten = oldest.version;
        }
        self.recent.push_back(News { version, tenant, total });
    }

    /// Every change after this version; `None` when some of them are no longer known one by one.
    pub(super) fn since(&self, seen: u64) -> Option<impl Iterator<Item = &News>> {
        (seen >= self.forgotten).then(|| self.recent.iter().filter(move |news| news.version > seen))
    }

    /// The latest change.
    pub(super) fn newest(&self) -> Option<&News> {
        self.recent.back()
    }

    /// The latest change, if it came after this version.
    pub(super) fn newest_after(&self, seen: u64) -> Option<&News> {
        self.newest().filter(|news| news.version > seen)
    }

    /// The bell, for who watches or rings.
    pub(super) fn bell(&self) -> &watch::Sender<u64> {
        &self.bell
    }
}

impl News {
    /// Its messages: the tenant's first.
    pub(super) fn messages(&self) -> impl Iterator<Item = Utf8Bytes> {
        [Some(self.tenant.clone()), self.total.clone()].into_iter().flatten()
    }
}
