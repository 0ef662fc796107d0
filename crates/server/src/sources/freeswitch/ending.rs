//! Why a channel ended, and who ended it.
//!
//! FreeSWITCH names a cause, which goes before its Q.850 code: several of its own causes carry 16. Who hung up is told
//! by `sip_hangup_disposition`: what the switch received from, or sent to, the far end of this channel. The table is
//! that of contract/events.md; the names are those of `switch_types.h`.

use pegcount_calls::{Cause, Party};

use crate::sources::mapped::cause_of_q850;

/// What a channel's record tells of its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circumstances<'a> {
    /// The switch's name of the cause.
    pub(super) cause: &'a str,
    /// The cause's code.
    pub(super) q850: Option<i64>,
    /// What went over the wire to end it (`sip_hangup_disposition`).
    pub(super) disposition: &'a str,
    /// What came of the last channel that this one dialled, unless it was answered.
    pub(super) dialled: Option<&'a str>,
    /// The SIP status that refused it.
    pub(super) sip_status: Option<i64>,
    /// It was answered.
    pub(super) answered: bool,
    /// It was put through to another channel.
    pub(super) bridged: bool,
    /// It is the originating channel.
    pub(super) origin: bool,
    /// The switch itself placed the call.
    pub(super) outbound: bool,
    /// The channel it was put through to was hung up by its far end.
    pub(super) peer_hung_up: bool,
    /// Its far end transferred the call away.
    pub(super) transferred_away: bool,
}

/// The end of a channel in the domain's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Why.
    pub(super) cause: Cause,
    /// Who ended it, where the record tells.
    pub(super) by: Option<Party>,
    /// It failed rather than completed.
    pub(super) failed: bool,
    /// It was handed over.
    pub(super) transfer: bool,
    /// Another channel took the call, so that this one's end says nothing of the call's.
    pub(super) elsewhere: bool,
}

impl Ending {
    fn new(cause: Cause, by: Option<Party>) -> Self {
        Self { cause, by, failed: false, transfer: false, elsewhere: false }
    }

    fn failed(cause: Cause, by: Option<Party>) -> Self {
        Self { cause, by, failed: true, transfer: false, elsewhere: false }
    }
}

/// Causes that name the ordinary end of a channel and nothing else.
fn says_nothing(cause: &str) -> bool {
    matches!(cause, "" | "NONE" | "SUCCESS" | "NORMAL_CLEARING" | "NORMAL_UNSPECIFIED" | "INTERWORKING")
}

impl Circumstances<'_> {
    /// The end of the channel.
    pub(super) fn ending(&self) -> Ending {
        // Of several that rang, or that a queue called, another one was first. Q.850 code 26: answered elsewhere.
        let elsewhere = matches!(self.cause, "LOSE_RACE" | "PICKED_OFF") || self.q850 == Some(26);
        Ending { elsewhere: elsewhere && !self.answered, ..self.as_caused() }
    }

    fn as_caused(&self) -> Ending {
        if self.cause == "MANAGER_REQUEST" {
            return Ending::new(Cause::NormalClearing, Some(Party::Api));
        }
        if self.cause == "ORIGINATOR_CANCEL" {
            return self.hung_up_by(Party::Caller);
        }
        if self.answered { self.after_answer() } else { self.unanswered() }
    }

    fn after_answer(&self) -> Ending {
        let handed_over = Ending { transfer: true, ..Ending::new(Cause::NormalClearing, None) };
        match self.cause {
            // `sched_hangup +N ALLOTTED_TIMEOUT`: how the longest duration is enforced.
            "ALLOTTED_TIMEOUT" => Ending::new(Cause::Timeout, Some(Party::System)),
            "BLIND_TRANSFER" | "ATTENDED_TRANSFER" => handed_over,
            cause if says_nothing(cause) => match self.disposition {
                "recv_bye" => self.hung_up_by(self.far_end()),
                _ if self.transferred_away => handed_over,
                // An originating channel's peer is the other party; of another channel it is not known which.
                "send_bye" if self.peer_hung_up && self.origin => self.hung_up_by(other(self.far_end())),
                // Two channels that the switch ended, both at once: by an order or by a script, nothing tells which.
                _ if self.bridged => Ending::new(Cause::NormalClearing, None),
                _ => Ending::new(Cause::NormalClearing, Some(Party::System)),
            },
            _ => match self.named_cause() {
                Some(cause @ (Cause::NetworkError | Cause::Timeout)) => {
                    Ending::failed(cause, Some(Party::System))
                }
                cause => Ending::new(cause.unwrap_or(Cause::NormalClearing), None),
            },
        }
    }

    fn unanswered(&self) -> Ending {
        if !says_nothing(self.cause) {
            return self.refusal(self.named_cause().unwrap_or(Cause::NetworkError));
        }
        match self.disposition {
            "recv_cancel" | "recv_bye" => return self.hung_up_by(self.far_end()),
            "send_cancel" if self.origin => return self.hung_up_by(Party::Caller),
            _ => {}
        }
        let dialled = self.dialled.filter(|cause| !says_nothing(cause));
        if dialled == Some("ORIGINATOR_CANCEL") {
            return self.hung_up_by(Party::Caller);
        }
        if let Some(cause) =
            dialled.and_then(cause_of_name).or_else(|| self.sip_status.and_then(cause_of_sip))
        {
            return self.refusal(cause);
        }
        match self.disposition {
            // Nobody was dialled, or what was dialled tells nothing: the switch itself refused.
            "send_refuse" => Ending::failed(Cause::Rejected, Some(Party::System)),
            _ => Ending::new(Cause::NormalClearing, None),
        }
    }

    /// An end before the answer that was not the caller's wish.
    fn refusal(&self, cause: Cause) -> Ending {
        match cause {
            Cause::Busy | Cause::Rejected => {
                let refused = self.dialled.is_some() || self.disposition == "recv_refuse";
                Ending::failed(cause, Some(if refused { Party::Callee } else { Party::System }))
            }
            Cause::NetworkError | Cause::Timeout => Ending::failed(cause, Some(Party::System)),
            Cause::NoAnswer | Cause::NormalClearing | Cause::UserHangup | Cause::AgentHangup => {
                Ending::new(cause, Some(Party::System))
            }
        }
    }

    fn named_cause(&self) -> Option<Cause> {
        cause_of_name(self.cause).or_else(|| self.q850.and_then(cause_of_q850))
    }

    /// The party at the far end of this channel. A channel that the switch placed as the first of the call leads to
    /// the called party; so does every channel that another one dialled.
    fn far_end(&self) -> Party {
        if self.origin && !self.outbound { Party::Caller } else { Party::Callee }
    }

    /// The user is the outside party: the caller of an inbound, the callee of an outbound call.
    fn hung_up_by(&self, party: Party) -> Ending {
        let user = if self.outbound { Party::Callee } else { Party::Caller };
        let cause = if party == user { Cause::UserHangup } else { Cause::AgentHangup };
        Ending::new(cause, Some(party))
    }
}

fn other(party: Party) -> Party {
    if party == Party::Caller { Party::Callee } else { Party::Caller }
}

/// What a cause's name means; `None`: ask its code.
fn cause_of_name(name: &str) -> Option<Cause> {
    Some(match name {
        "USER_BUSY" | "BUSY_EVERYWHERE" => Cause::Busy,
        // ALLOTTED_TIMEOUT carries 16: the ring time that `leg_timeout` or `call_timeout` allows is over. Of several
        // channels that ring, LOSE_RACE and PICKED_OFF were not the ones that answered.
        "NO_ANSWER"
        | "NO_USER_RESPONSE"
        | "PROGRESS_TIMEOUT"
        | "ALLOTTED_TIMEOUT"
        | "SUBSCRIBER_ABSENT"
        | "USER_NOT_REGISTERED"
        | "LOSE_RACE"
        | "PICKED_OFF" => Cause::NoAnswer,
        "CALL_REJECTED"
        | "UNALLOCATED_NUMBER"
        | "NUMBER_CHANGED"
        | "INVALID_NUMBER_FORMAT"
        | "FACILITY_REJECTED"
        | "INCOMING_CALL_BARRED"
        | "OUTGOING_CALL_BARRED"
        | "BEARERCAPABILITY_NOTAUTH"
        | "DECLINE"
        | "REJECT_ALL"
        | "DOES_NOT_EXIST_ANYWHERE"
        | "NOT_ACCEPTABLE"
        | "UNWANTED"
        | "NO_IDENTITY"
        | "BAD_IDENTITY_INFO"
        | "UNSUPPORTED_CERTIFICATE"
        | "INVALID_IDENTITY"
        | "STALE_DATE" => Cause::Rejected,
        "RECOVERY_ON_TIMER_EXPIRE" => Cause::Timeout,
        "NORMAL_TEMPORARY_FAILURE"
        | "NO_ROUTE_DESTINATION"
        | "NO_ROUTE_TRANSIT_NET"
        | "DESTINATION_OUT_OF_ORDER"
        | "NETWORK_OUT_OF_ORDER"
        | "SWITCH_CONGESTION"
        | "NORMAL_CIRCUIT_CONGESTION"
        | "REQUESTED_CHAN_UNAVAIL"
        | "GATEWAY_DOWN"
        | "INVALID_GATEWAY"
        | "MEDIA_TIMEOUT"
        | "SRTP_READ_ERROR"
        | "SERVICE_UNAVAILABLE"
        | "EXCHANGE_ROUTING_ERROR"
        | "CRASH"
        | "SYSTEM_SHUTDOWN" => Cause::NetworkError,
        _ => return None,
    })
}

/// What a SIP status means (contract, events.md). `None`: it is not in the table.
fn cause_of_sip(status: i64) -> Option<Cause> {
    Some(match status {
        486 | 600 => Cause::Busy,
        // 487 without the caller's CANCEL: our own ring timeout.
        408 | 480 | 487 => Cause::NoAnswer,
        403 | 404 | 410 | 484 | 603 | 604 => Cause::Rejected,
        504 => Cause::Timeout,
        500..=599 => Cause::NetworkError,
        _ => return None,
    })
}
