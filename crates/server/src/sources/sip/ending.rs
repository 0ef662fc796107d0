//! How a call ended, in the domain's words. The table is that of contract/events.md.

use std::time::Duration;

use pegcount_calls::{Cause, Party};
use pegcount_gateway::{By, Cause as Seen, Direction, Ended, Side, Why};

use super::note::Note;

/// The end of a call in the domain's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Why.
    pub(super) cause: Cause,
    /// Who ended it.
    pub(super) by: Party,
    /// It failed rather than completed.
    pub(super) failed: bool,
}

impl Ending {
    const fn completed(cause: Cause, by: Party) -> Self {
        Self { cause, by, failed: false }
    }

    const fn failed(cause: Cause, by: Party) -> Self {
        Self { cause, by, failed: true }
    }
}

/// The end of a call that may have lasted so long from its answer.
pub(super) fn ending(ended: &Ended, note: &Note, longest: Duration) -> Ending {
    let Ended { why, by, talked_ms, .. } = ended;
    match (talked_ms, by) {
        (_, By::Api) => Ending::completed(Cause::NormalClearing, Party::Api),
        (Some(talked), _) => {
            let limit_reached = u128::from(*talked) >= longest.as_millis();
            after_answer(why.cause, *by, note, limit_reached)
        }
        (None, _) => unanswered(why, *by, note),
    }
}

fn after_answer(cause: Seen, by: By, note: &Note, limit_reached: bool) -> Ending {
    match (cause, side(by)) {
        (Seen::Timeout, None) if limit_reached => Ending::completed(Cause::Timeout, Party::System),
        // A session that nobody refreshed, an answer that nobody confirmed: who was there is gone.
        (Seen::Timeout, _) => Ending::failed(Cause::Timeout, Party::System),
        (Seen::Unreachable | Seen::MediaFailure | Seen::Failure, _) => {
            Ending::failed(Cause::NetworkError, Party::System)
        }
        (
            Seen::NormalClearing
            | Seen::Busy
            | Seen::Rejected
            | Seen::NoAnswer
            | Seen::Cancelled
            | Seen::InvalidNumber
            | Seen::NotAllowed,
            Some(side),
        ) => hung_up(side, note),
        (_, None) => Ending::completed(Cause::NormalClearing, Party::System),
    }
}

fn unanswered(why: &Why, by: By, note: &Note) -> Ending {
    match why.cause {
        Seen::Cancelled | Seen::NormalClearing => match side(by) {
            // A 487 that nobody asked for: that target rang no longer.
            Some(_) if why.status.is_some() => Ending::completed(Cause::NoAnswer, Party::System),
            Some(side) => hung_up(side, note),
            // The gateway stops while it rings.
            None => Ending::failed(Cause::NetworkError, Party::System),
        },
        Seen::Busy => Ending::failed(Cause::Busy, refuser(by)),
        Seen::Rejected | Seen::InvalidNumber | Seen::NotAllowed => {
            Ending::failed(Cause::Rejected, refuser(by))
        }
        Seen::NoAnswer => Ending::completed(Cause::NoAnswer, Party::System),
        // 408 says that nobody answered, unless its Reason says that a timer ran out.
        Seen::Timeout if why.status == Some(408) && why.q850 != Some(102) => {
            Ending::completed(Cause::NoAnswer, Party::System)
        }
        Seen::Timeout => Ending::failed(Cause::Timeout, Party::System),
        // 488 and its like: what was offered was refused.
        Seen::MediaFailure if why.status.is_some() => Ending::failed(Cause::Rejected, refuser(by)),
        Seen::Unreachable | Seen::MediaFailure | Seen::Failure => {
            Ending::failed(Cause::NetworkError, Party::System)
        }
    }
}

/// Who refused: the called side, unless it was the gateway.
const fn refuser(by: By) -> Party {
    match by {
        By::System => Party::System,
        By::Caller | By::Callee | By::Api => Party::Callee,
    }
}

/// Why the gateway refused a call before it began.
pub(super) fn refusal(why: &Why, note: &Note) -> Cause {
    unanswered(why, By::System, note).cause
}

/// A party hung up or gave up.
fn hung_up(side: Side, note: &Note) -> Ending {
    let cause = if side == note.outside() { Cause::UserHangup } else { Cause::AgentHangup };
    let by = if side == note.originator() { Party::Caller } else { Party::Callee };
    Ending::completed(cause, by)
}

/// The side on which somebody stands.
const fn side(by: By) -> Option<Side> {
    match by {
        By::Caller => Some(Side::Caller),
        By::Callee => Some(Side::Callee),
        By::Api | By::System => None,
    }
}

/// The domain's word for a direction.
pub(super) const fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

#[cfg(test)]
mod tests {
    use pegcount_calls::Cause::{
        AgentHangup, Busy, NetworkError, NoAnswer, NormalClearing, Rejected, Timeout, UserHangup,
    };
    use pegcount_calls::Party::{Api, Callee, Caller, System};

    use super::*;

    const LONGEST: Duration = Duration::from_secs(3_600);

    fn inbound() -> Note {
        Note { callee_is_ours: true, ..Note::default() }
    }

    fn outbound() -> Note {
        Note { caller_is_ours: true, ..Note::default() }
    }

    fn ordered() -> Note {
        Note { ordered: true, ..inbound() }
    }

    fn end(why: Why, by: By, talked_ms: Option<u64>, note: &Note) -> (Cause, Party, bool) {
        let Ending { cause, by, failed } =
            ending(&Ended { why, by, talked_ms, dropped_reports: 0 }, note, LONGEST);
        (cause, by, failed)
    }

    #[test]
    fn a_refusal_means_what_the_contract_says_of_its_status_and_q850_value() {
        let table: &[(u16, Option<&str>, Cause, bool)] = &[
            (486, None, Busy, true),
            (600, None, Busy, true),
            (480, Some("Q.850;cause=17"), Busy, true),
            (408, None, NoAnswer, false),
            (480, None, NoAnswer, false),
            (480, Some("Q.850;cause=31"), NoAnswer, false),
            (480, Some("Q.850;cause=127"), NoAnswer, false),
            (480, Some("Q.850;cause=18"), NoAnswer, false),
            (480, Some("Q.850;cause=19"), NoAnswer, false),
            (500, Some("Q.850;cause=20"), NoAnswer, false),
            (487, None, NoAnswer, false),
            (603, None, Rejected, true),
            (403, None, Rejected, true),
            (404, None, Rejected, true),
            (410, None, Rejected, true),
            (484, None, Rejected, true),
            (604, None, Rejected, true),
            (401, None, Rejected, true),
            (407, None, Rejected, true),
            (488, None, Rejected, true),
            (503, Some("Q.850;cause=1"), Rejected, true),
            (480, Some("Q.850;cause=21"), Rejected, true),
            (480, Some("Q.850;cause=22"), Rejected, true),
            (480, Some("Q.850;cause=28"), Rejected, true),
            (504, None, Timeout, true),
            (408, Some("Q.850;cause=102"), Timeout, true),
            (500, None, NetworkError, true),
            (502, None, NetworkError, true),
            (503, None, NetworkError, true),
            (513, None, NetworkError, true),
            (480, Some("Q.850;cause=3"), NetworkError, true),
            (480, Some("Q.850;cause=27"), NetworkError, true),
            (480, Some("Q.850;cause=34"), NetworkError, true),
            (480, Some("Q.850;cause=38"), NetworkError, true),
            (480, Some("Q.850;cause=41"), NetworkError, true),
            (480, Some("Q.850;cause=42"), NetworkError, true),
            (480, Some("Q.850;cause=44"), NetworkError, true),
            (480, Some("Q.850;cause=47"), NetworkError, true),
            (302, None, NetworkError, true),
            (400, None, NetworkError, true),
            (481, None, NetworkError, true),
        ];
        for (status, reason, cause, failed) in table {
            let found = end(Why::of_response(*status, *reason), By::Callee, None, &inbound());
            assert_eq!((found.0, found.2), (*cause, *failed), "{status} {reason:?}");
            assert_eq!(found.1 == Callee, matches!(cause, Busy | Rejected), "{status} {reason:?}");
        }
        for status in 300..=699 {
            end(Why::of_response(status, None), By::Callee, None, &outbound());
        }
    }

    #[test]
    fn who_hangs_up_is_the_user_or_the_agent_by_the_way_the_call_goes() {
        let bye = || Why::from(Seen::NormalClearing);
        for (note, by, cause, party) in [
            (inbound(), By::Caller, UserHangup, Caller),
            (inbound(), By::Callee, AgentHangup, Callee),
            (outbound(), By::Caller, AgentHangup, Caller),
            (outbound(), By::Callee, UserHangup, Callee),
            // The gateway called the outside party first: its caller's side is the called one.
            (ordered(), By::Caller, UserHangup, Callee),
            (ordered(), By::Callee, AgentHangup, Caller),
        ] {
            assert_eq!(end(bye(), by, Some(5_000), &note), (cause, party, false), "{note:?} {by:?}");
        }
        let given_up = || Why::from(Seen::Cancelled);
        assert_eq!(end(given_up(), By::Caller, None, &inbound()), (UserHangup, Caller, false));
        assert_eq!(end(given_up(), By::Caller, None, &outbound()), (AgentHangup, Caller, false));
    }

    #[test]
    fn what_the_gateway_itself_ends_has_the_cause_that_made_it_do_so() {
        let why = |cause: Seen| Why::from(cause);
        let long = Some(3_600_000);
        for (cause, by, talked, found) in [
            (Seen::NormalClearing, By::Api, Some(1), (NormalClearing, Api, false)),
            (Seen::NormalClearing, By::Api, None, (NormalClearing, Api, false)),
            (Seen::Timeout, By::System, long, (Timeout, System, false)),
            (Seen::Timeout, By::System, Some(1), (Timeout, System, true)),
            (Seen::MediaFailure, By::System, Some(1), (NetworkError, System, true)),
            (Seen::Unreachable, By::Caller, Some(1), (NetworkError, System, true)),
            (Seen::NormalClearing, By::System, Some(1), (NormalClearing, System, false)),
            (Seen::NormalClearing, By::System, None, (NetworkError, System, true)),
            (Seen::NoAnswer, By::Callee, None, (NoAnswer, System, false)),
            (Seen::Unreachable, By::Callee, None, (NetworkError, System, true)),
            (Seen::MediaFailure, By::Callee, None, (NetworkError, System, true)),
            (Seen::Timeout, By::System, None, (Timeout, System, true)),
            (Seen::InvalidNumber, By::Callee, None, (Rejected, Callee, true)),
            (Seen::NotAllowed, By::Callee, None, (Rejected, Callee, true)),
        ] {
            assert_eq!(end(why(cause), by, talked, &inbound()), found, "{cause:?} {by:?} {talked:?}");
        }
        for cause in Seen::ALL {
            for by in [By::Caller, By::Callee, By::System, By::Api] {
                end(why(cause), by, Some(1), &inbound());
                end(why(cause), by, None, &ordered());
            }
        }
    }
}
