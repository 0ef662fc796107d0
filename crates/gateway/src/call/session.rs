//! Session timers (RFC 4028): who refreshes a session, and when it is dead.

use std::time::Duration;

/// The smallest session interval there is, in seconds.
pub const LEAST: u32 = 90;
/// The longest that is asked for, whatever a peer says.
const MOST: u32 = 86_400;

/// Who refreshes, in the roles of the message that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who responded.
    Uas,
}

/// What a message says of session timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionAsk {
    /// `Session-Expires`, in seconds.
    pub expires: Option<u32>,
    /// Its `refresher`.
    pub refresher: Option<Refresher>,
    /// `Min-SE`, in seconds.
    pub least: Option<u32>,
    /// `Supported: timer`.
    pub supported: bool,
    /// `Allow` names UPDATE.
    pub updates: bool,
}

/// What a message of ours says of the session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The interval, in seconds.
    pub interval: u32,
    /// Who refreshes.
    pub refresher: Refresher,
    /// Whether the peer knows session timers, so that it may be told to require them.
    pub required: bool,
}

/// The session timer of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The interval, in seconds; at least [`LEAST`].
    pub interval: u32,
    /// Whether we have to refresh it; else the peer has to.
    pub ours: bool,
}

/// A peer asked for a shorter interval than may be.
#[derive(Debug, PartialEq, Eq)]
pub struct TooShort;

impl Session {
    /// What we respond to a request, and the timer it sets; `None` when the peer wants none and knows none.
    ///
    /// # Errors
    /// When the interval is too short and the peer would understand that we say so.
    pub fn respond(ask: &SessionAsk, wish: u32) -> Result<Option<(Self, Granted)>, TooShort> {
        if ask.supported && ask.expires.is_some_and(|expires| expires < LEAST) {
            return Err(TooShort);
        }
        if ask.expires.is_none() && !ask.supported {
            return Ok(None);
        }
        let least = ask.least.unwrap_or(LEAST).clamp(LEAST, MOST);
        let wish = wish.clamp(LEAST, MOST).max(least);
        let interval = ask.expires.map_or(wish, |expires| expires.clamp(LEAST, wish));
        let refresher = match (ask.supported, ask.refresher) {
            (true, Some(refresher)) => refresher,
            (true, None) => Refresher::Uac,
            (false, _) => Refresher::Uas,
        };
        let ours = refresher == Refresher::Uas;
        Ok(Some((Self { interval, ours }, Granted { interval, refresher, required: ask.supported })))
    }

    /// The timer that a 2xx to a request of ours sets.
    pub fn granted(response: &SessionAsk) -> Option<Self> {
        let interval = response.expires?.clamp(LEAST, MOST);
        Some(Self { interval, ours: response.refresher != Some(Refresher::Uas) })
    }

    /// What a refreshing request of ours says.
    pub const fn refreshing(self) -> Granted {
        let refresher = if self.ours { Refresher::Uac } else { Refresher::Uas };
        Granted { interval: self.interval, refresher, required: false }
    }

    /// When we refresh: after half the interval.
    pub const fn refresh_after(self) -> Duration {
        Duration::from_secs((self.interval / 2) as u64)
    }

    /// When a session that the peer did not refresh is dead: min(32 s, a third) before the interval ends.
    pub fn dead_after(self) -> Duration {
        Duration::from_secs(u64::from(self.interval - (self.interval / 3).min(32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_knows_timers_refreshes_what_it_asked_for() {
        let ask = SessionAsk { expires: Some(600), supported: true, ..SessionAsk::default() };
        let (session, granted) = Session::respond(&ask, 1_800).unwrap().unwrap();
        assert_eq!(session, Session { interval: 600, ours: false });
        assert_eq!(granted, Granted { interval: 600, refresher: Refresher::Uac, required: true });
        assert_eq!(session.refresh_after(), Duration::from_secs(300));
        assert_eq!(session.dead_after(), Duration::from_secs(568));
    }

    #[test]
    fn a_proxys_wish_for_a_peer_that_knows_no_timers_is_ours_to_fulfil() {
        let ask = SessionAsk { expires: Some(600), ..SessionAsk::default() };
        assert!(Session::respond(&ask, 1_800).unwrap().unwrap().0.ours);
        assert_eq!(Session::respond(&SessionAsk::default(), 1_800), Ok(None));
    }

    #[test]
    fn an_interval_is_shortened_to_ours_but_not_under_the_peers_least() {
        let ask =
            |least| SessionAsk { expires: Some(7_200), least, supported: true, ..SessionAsk::default() };
        let interval = |least| Session::respond(&ask(least), 1_800).unwrap().unwrap().0.interval;
        assert_eq!(interval(None), 1_800);
        assert_eq!(interval(Some(3_600)), 3_600);
        assert_eq!(interval(Some(u32::MAX)), 7_200);
    }

    #[test]
    fn an_interval_that_is_too_short_is_refused() {
        let ask = SessionAsk { expires: Some(30), supported: true, ..SessionAsk::default() };
        assert_eq!(Session::respond(&ask, 1_800), Err(TooShort));
    }

    #[test]
    fn a_response_says_who_refreshes() {
        let response = |refresher| SessionAsk { expires: Some(90), refresher, ..SessionAsk::default() };
        assert_eq!(
            Session::granted(&response(Some(Refresher::Uas))),
            Some(Session { interval: 90, ours: false })
        );
        assert_eq!(
            Session::granted(&response(Some(Refresher::Uac))),
            Some(Session { interval: 90, ours: true })
        );
        assert_eq!(Session::granted(&SessionAsk::default()), None);
    }
}
