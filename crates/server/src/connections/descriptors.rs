//! How the files that the process may have open are divided: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::admission::RESERVE;

/// Kept for the store, its readers and logs, recordings, jobs and their connections to others.
const OF_STORE: usize = 112;
/// Kept for the operator's socket.
const OF_OPERATOR: usize = 16;
/// What a SIP call takes: two sockets for each side's media, and the files of its recording.
const OF_CALL: usize = 6;

/// What the configuration wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// HTTP and WebSocket connections.
    pub connections: usize,
    /// SIP calls; none without a gateway.
    pub sip_calls: usize,
    /// SIP connections over TCP and TLS.
    pub sip_connections: usize,
}

/// What each part of the program may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// HTTP and WebSocket connections.
    pub connections: usize,
    /// SIP calls.
    pub sip_calls: usize,
    /// SIP connections over TCP and TLS.
    pub sip_connections: usize,
}

impl Descriptors {
    /// Raises the limit of open files as far as it may be, and divides what there is.
    pub fn of_process(wanted: Wanted) -> Self {
        let most = getrlimit(Resource::Nofile).maximum;
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }) {
            tracing::warn!(%error, "the limit of open files stays as it was");
        }
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let divided = Self::divide(limit, wanted);
        if divided != Self::all(wanted) {
            tracing::warn!("{}", divided.shortage(limit, wanted));
        }
        divided
    }

    /// What is served instead of what is wanted, of what is on, and what to do.
    fn shortage(self, limit: usize, wanted: Wanted) -> String {
        let mut less = vec![format!("{} HTTP connections (limits.connections)", self.connections)];
        if wanted.sip_calls > 0 {
            less.push(format!("{} SIP calls (sip.most_calls)", self.sip_calls));
        }
        if wanted.sip_connections > 0 {
            less.push(format!("{} SIP connections (sip.guard.most_connections)", self.sip_connections));
        }
        format!(
            "this process may open {limit} files, fewer than the configuration needs: it serves at most {}. For a trial \
             that is enough. To serve more, raise the limit (ulimit -Hn, LimitNOFILE); to end this warning, lower the \
             settings",
            less.join(", ")
        )
    }

    fn all(wanted: Wanted) -> Self {
        let Wanted { connections, sip_calls, sip_connections } = wanted;
        Self { connections, sip_calls, sip_connections }
    }

    /// Everybody gets the same part of what was wanted, and SIP connections at least a fifth of what SIP gets: without them
    /// phones that use TCP are not reached.
    fn divide(limit: usize, wanted: Wanted) -> Self {
        let left = limit.saturating_sub(OF_STORE + OF_OPERATOR + 2 * RESERVE);
        let sip = wanted.sip_calls.saturating_mul(OF_CALL).saturating_add(wanted.sip_connections);
        let all = sip.saturating_add(wanted.connections);
        if all <= left {
            return Self::all(wanted);
        }
        let part = |of: usize| (left as u128 * of as u128 / all as u128) as usize;
        let sip_connections = wanted.sip_connections.min(part(sip) / 5);
        Self {
            connections: part(wanted.connections).max(1),
            sip_calls: wanted.sip_calls.min(((part(sip) - sip_connections) / OF_CALL).max(1)),
            sip_connections: wanted.sip_connections.min(sip_connections.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { connections: 24_000, sip_calls: 2_000, sip_connections: 1_000 };

    #[test]
    fn everybody_gets_what_is_wanted_where_there_is_room() {
        assert_eq!(Descriptors::divide(262_144, WANTED), Descriptors::all(WANTED));
    }

    #[test]
    fn little_room_is_divided_and_the_store_keeps_its_part() {
        for limit in [256, 512, 1024, 4096] {
            let divided = Descriptors::divide(limit, WANTED);
            let Descriptors { connections, sip_calls, sip_connections } = divided;
            let used = connections + sip_calls * OF_CALL + sip_connections;
            assert!(used + OF_STORE + OF_OPERATOR + 2 * RESERVE <= limit, "{limit}: {divided:?}");
            assert!(connections * 3 > used && sip_calls > 0 && sip_connections > 0, "{limit}: {divided:?}");
        }
        let without = Wanted { sip_calls: 0, sip_connections: 0, ..WANTED };
        let divided = Descriptors::divide(512, without);
        assert_eq!(divided.connections, 512 - OF_STORE - OF_OPERATOR - 2 * RESERVE);
        assert_eq!((divided.sip_calls, divided.sip_connections), (0, 0));
    }

    #[test]
    fn the_warning_names_only_what_is_on() {
        let without = Wanted { sip_calls: 0, sip_connections: 0, ..WANTED };
        let sentence = |wanted| Descriptors::divide(512, wanted).shortage(512, wanted);
        assert!(sentence(WANTED).contains("sip.most_calls"), "{}", sentence(WANTED));
        assert!(!sentence(without).contains("SIP"), "{}", sentence(without));
        assert!(sentence(without).contains("limits.connections"), "{}", sentence(without));
    }
}
