//! Why a call ended: from SIP statuses and `Reason` headers to a few causes, and back.
//!
//! The tables are those of RFC 3398 (7.2.4.1, 8.2.6.1) and ITU-T Q.850; `Reason` is RFC 3326.

use std::fmt::Write as _;

/// Why a call, or an attempt at one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Somebody hung up.
    NormalClearing,
    /// Who was called is on another call.
    Busy,
    /// Who was called, or a switch on the way, declined.
    Rejected,
    /// It rang, or would have, and nobody answered.
    NoAnswer,
    /// Who called gave up before an answer.
    Cancelled,
    /// No answer of any kind, or the network or the far switch failed.
    Unreachable,
    /// A limit of time passed: a timer of a peer, the longest a call may last, a session that was not refreshed.
    Timeout,
    /// There is no such number, or it is incomplete.
    InvalidNumber,
    /// Who called may not, or did not prove who they are.
    NotAllowed,
    /// No common codec, or no media arrived.
    MediaFailure,
    /// The peer did not take the message for a good one, or says no more than that it failed.
    Failure,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::NormalClearing,
        Self::Busy,
        Self::Rejected,
        Self::NoAnswer,
        Self::Cancelled,
        Self::Unreachable,
        Self::Timeout,
        Self::InvalidNumber,
        Self::NotAllowed,
        Self::MediaFailure,
        Self::Failure,
    ];

    /// What a final SIP response means that is not a 2xx. Total: an unknown status counts as the x00 of its class.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 | 402 | 403 | 407 | 428 | 429 | 433 | 436..=438 => Self::NotAllowed,
            404 | 410 | 414 | 416 | 484 | 485 | 604 => Self::InvalidNumber,
            408 | 504 => Self::Timeout,
            406 | 415 | 488 | 606 => Self::MediaFailure,
            480 => Self::NoAnswer,
            486 | 600 => Self::Busy,
            487 => Self::Cancelled,
            300..=399 | 430 | 481..=483 | 500..=503 | 505..=599 => Self::Unreachable,
            601..=699 => Self::Rejected,
            _ => Self::Failure,
        }
    }

    /// What a Q.850 cause value means; `None` where it says nothing: 0, 31 (normal, unspecified), 127 (interworking)
    /// and values that Q.850 does not have.
    pub const fn of_q850(value: u8) -> Option<Self> {
        Some(match value {
            16 | 26 => Self::NormalClearing,
            17 => Self::Busy,
            18..=20 => Self::NoAnswer,
            21 | 23 | 24 | 29 => Self::Rejected,
            1 | 2 | 4 | 5 | 22 | 28 => Self::InvalidNumber,
            8 | 9 | 50 | 52..=55 | 57 | 62 | 63 | 87 => Self::NotAllowed,
            58 | 65 | 66 | 69 | 70 | 79 | 88 => Self::MediaFailure,
            102 => Self::Timeout,
            3 | 6 | 7 | 14 | 25 | 27 | 30 | 34 | 38..=44 | 46 | 47 | 49 => Self::Unreachable,
            81..=86 | 90 | 91 | 95..=101 | 103 | 110 | 111 => Self::Failure,
            _ => return None,
        })
    }

    /// The final response that says it to a caller whose call was not answered.
    pub const fn status(self) -> u16 {
        match self {
            Self::Busy => 486,
            Self::Rejected => 603,
            Self::NormalClearing | Self::NoAnswer => 480,
            Self::Cancelled => 487,
            Self::Unreachable => 503,
            Self::Timeout => 504,
            Self::InvalidNumber => 404,
            Self::NotAllowed => 403,
            Self::MediaFailure => 488,
            Self::Failure => 500,
        }
    }

    /// The Q.850 value that says it in a `Reason` header.
    pub const fn q850(self) -> u8 {
        match self {
            Self::NormalClearing | Self::Cancelled => 16,
            Self::Busy => 17,
            Self::NoAnswer => 19,
            Self::Rejected => 21,
            Self::InvalidNumber => 1,
            Self::NotAllowed => 57,
            Self::MediaFailure => 65,
            Self::Timeout => 102,
            Self::Unreachable => 41,
            Self::Failure => 127,
        }
    }

    /// Whether another target of the same number may still take the call. A refusal is a decision, a number that does
    /// not exist does not exist elsewhere either.
    pub const fn moves_on(self) -> bool {
        match self {
            Self::Busy
            | Self::NoAnswer
            | Self::Unreachable
            | Self::Timeout
            | Self::MediaFailure
            | Self::Failure => true,
            Self::NormalClearing
            | Self::Rejected
            | Self::Cancelled
            | Self::InvalidNumber
            | Self::NotAllowed => false,
        }
    }
}

/// A cause, and the words of the wire that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What it comes to.
    pub cause: Cause,
    /// The final SIP status, when there was one.
    pub status: Option<u16>,
    /// The Q.850 value, when one was given.
    pub q850: Option<u8>,
    /// The text of the `Reason` header, or the words of who ordered the end; at most 200 bytes.
    pub text: Option<String>,
}

impl From<Cause> for Why {
    fn from(cause: Cause) -> Self {
        Self { cause, status: None, q850: None, text: None }
    }
}

impl Why {
    /// Why an INVITE failed: by its final status and the value of its `Reason` header.
    ///
    /// A status that names the matter goes first; one that only says that it failed (408, 480, 487, 5xx...) is made more
    /// precise by a Q.850 value.
    pub fn of_response(status: u16, reason: Option<&str>) -> Self {
        let reason = reason.map(Reason::read).unwrap_or_default();
        let by_status = Cause::of_status(status);
        let vague = matches!(status, 400 | 403 | 408 | 480 | 487 | 500..=599) || by_status == Cause::Failure;
        let by_q850 =
            reason.q850.and_then(Cause::of_q850).filter(|cause| vague && *cause != Cause::NormalClearing);
        Self {
            cause: by_q850.unwrap_or(by_status),
            status: Some(status),
            q850: reason.q850,
            text: reason.text,
        }
    }

    /// Why a call was hung up or cancelled, by the value of the request's `Reason` header; `usual` where that says
    /// nothing.
    pub fn of_request(usual: Cause, reason: Option<&str>) -> Self {
        let reason = reason.map(Reason::read).unwrap_or_default();
        let told = reason.q850.and_then(Cause::of_q850).filter(|cause| *cause != Cause::NormalClearing);
        let told = told.or_else(|| reason.status.filter(|status| *status >= 400).map(Cause::of_status));
        Self { cause: told.unwrap_or(usual), status: None, q850: reason.q850, text: reason.text }
    }

    /// The same with words of its own, cut to what is carried.
    #[must_use]
    pub fn saying(mut self, text: Option<&str>) -> Self {
        self.text = text.map(carried);
        self
    }

    /// The status for a caller: what the other side answered, unless that concerns only the message between us and them.
    pub fn status_for_caller(&self) -> u16 {
        match self.status {
            // Ours to have settled with that side, or words about that side's dialog.
            None | Some(0..=399 | 401 | 407 | 408 | 420..=423 | 481 | 482 | 487 | 491 | 494) => {
                self.cause.status()
            }
            Some(status @ 400..=699) => status,
            Some(_) => self.cause.status(),
        }
    }

    /// The value of a `Reason` header that says it.
    pub fn reason(&self) -> String {
        let mut value = format!("Q.850;cause={}", self.q850.unwrap_or_else(|| self.cause.q850()));
        if let Some(text) = &self.text {
            // Written to a string: cannot fail.
            let _ = write!(value, ";text=\"{}\"", text.replace(['"', '\\'], "'"));
        }
        value
    }
}

/// As much of a text as is carried, without what could break a header.
fn carried(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if kept.len() + c.len_utf8() > 200 {
            break;
        }
        kept.push(c);
    }
    kept
}

/// What a `Reason` header says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reason {
    q850: Option<u8>,
    status: Option<u16>,
    text: Option<String>,
}

impl Reason {
    /// Reads the value of the header; what cannot be read is passed over.
    fn read(value: &str) -> Self {
        let mut read = Self::default();
        for part in split(value, ',').into_iter().take(8) {
            let fields = split(part, ';');
            let protocol = fields.first().map_or("", |name| name.trim());
            let field = |name: &str| {
                fields.iter().skip(1).find_map(|field| {
                    let (key, value) = field.split_once('=')?;
                    key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
                })
            };
            if protocol.eq_ignore_ascii_case("Q.850") {
                read.q850 = read.q850.or_else(|| field("cause")?.parse().ok());
            } else if protocol.eq_ignore_ascii_case("SIP") {
                read.status = read.status.or_else(|| field("cause")?.parse().ok());
            }
            read.text = read.text.or_else(|| field("text").filter(|text| !text.is_empty()).map(carried));
        }
        read
    }
}

/// Splits where the mark stands outside quotes.
fn split(value: &str, mark: char) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(|c: char| {
            let here = c == mark && !quoted;
            if escaped {
                escaped = false;
            } else if c == '\\' && quoted {
                escaped = true;
            } else if c == '"' {
                quoted = !quoted;
            }
            here
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_final_status_has_a_cause_and_the_known_ones_the_right_one() {
        for status in 300..=699 {
            let why = Why::of_response(status, None);
            assert!(why.cause != Cause::NormalClearing, "{status}");
            assert!((400..=699).contains(&why.status_for_caller()), "{status}");
        }
        for (status, cause) in [
            (301, Cause::Unreachable),
            (302, Cause::Unreachable),
            (380, Cause::Unreachable),
            (400, Cause::Failure),
            (401, Cause::NotAllowed),
            (402, Cause::NotAllowed),
            (403, Cause::NotAllowed),
            (404, Cause::InvalidNumber),
            (405, Cause::Failure),
            (407, Cause::NotAllowed),
            (408, Cause::Timeout),
            (410, Cause::InvalidNumber),
            (415, Cause::MediaFailure),
            (420, Cause::Failure),
            (480, Cause::NoAnswer),
            (481, Cause::Unreachable),
            (482, Cause::Unreachable),
            (483, Cause::Unreachable),
            (484, Cause::InvalidNumber),
            (486, Cause::Busy),
            (487, Cause::Cancelled),
            (488, Cause::MediaFailure),
            (491, Cause::Failure),
            (500, Cause::Unreachable),
            (503, Cause::Unreachable),
            (504, Cause::Timeout),
            (600, Cause::Busy),
            (603, Cause::Rejected),
            (604, Cause::InvalidNumber),
            (606, Cause::MediaFailure),
            (607, Cause::Rejected),
        ] {
            assert_eq!(Cause::of_status(status), cause, "{status}");
        }
    }

    #[test]
    fn every_q850_value_is_taken_and_the_known_ones_mean_the_right_thing() {
        for value in 0..=u8::MAX {
            let _ = Cause::of_q850(value);
        }
        for (value, cause) in [
            (1, Some(Cause::InvalidNumber)),
            (3, Some(Cause::Unreachable)),
            (16, Some(Cause::NormalClearing)),
            (17, Some(Cause::Busy)),
            (18, Some(Cause::NoAnswer)),
            (19, Some(Cause::NoAnswer)),
            (21, Some(Cause::Rejected)),
            (22, Some(Cause::InvalidNumber)),
            (27, Some(Cause::Unreachable)),
            (28, Some(Cause::InvalidNumber)),
            (34, Some(Cause::Unreachable)),
            (57, Some(Cause::NotAllowed)),
            (65, Some(Cause::MediaFailure)),
            (102, Some(Cause::Timeout)),
            (0, None),
            (31, None),
            (127, None),
            (200, None),
        ] {
            assert_eq!(Cause::of_q850(value), cause, "{value}");
        }
    }

    #[test]
    fn a_cause_survives_the_way_through_a_status_and_through_a_q850_value() {
        for cause in Cause::ALL {
            // To a caller, a failure of unknown kind is as good as one of the network.
            if !matches!(cause, Cause::NormalClearing | Cause::Failure) {
                assert_eq!(Cause::of_status(cause.status()), cause);
            }
            // Q.850 has no word of its own for these two.
            if !matches!(cause, Cause::Cancelled | Cause::Failure) {
                assert_eq!(Cause::of_q850(cause.q850()), Some(cause));
            }
        }
    }

    #[test]
    fn a_reason_header_makes_a_vague_status_precise_and_leaves_a_telling_one() {
        let cause = |status, reason| Why::of_response(status, Some(reason)).cause;
        assert_eq!(cause(480, "Q.850;cause=17;text=\"User busy\""), Cause::Busy);
        assert_eq!(cause(503, "Q.850;cause=1"), Cause::InvalidNumber);
        assert_eq!(cause(403, "Q.850;cause=21"), Cause::Rejected);
        assert_eq!(cause(486, "Q.850;cause=34"), Cause::Busy);
        assert_eq!(cause(480, "Q.850;cause=31"), Cause::NoAnswer);
        assert_eq!(cause(500, "Q.850;cause=16"), Cause::Unreachable);
        assert_eq!(cause(480, "nonsense"), Cause::NoAnswer);
    }

    #[test]
    fn a_reason_header_of_several_values_is_read_with_commas_in_its_text() {
        let why = Why::of_request(
            Cause::NormalClearing,
            Some(r#"SIP;cause=200;text="Call completed, elsewhere", q.850 ; cause = 102 ; text="x""#),
        );
        assert_eq!(why.q850, Some(102));
        assert_eq!(why.cause, Cause::Timeout);
        assert_eq!(why.text.as_deref(), Some("Call completed, elsewhere"));
    }

    #[test]
    fn a_hang_up_without_a_telling_reason_is_the_usual_one() {
        for reason in [None, Some("Q.850;cause=16"), Some("Q.850;cause=0"), Some("SIP;cause=200"), Some("")] {
            assert_eq!(Why::of_request(Cause::NormalClearing, reason).cause, Cause::NormalClearing);
        }
    }

    #[test]
    fn what_concerns_only_one_side_is_not_told_the_caller() {
        for (status, told) in
            [(407, 403), (401, 403), (302, 503), (481, 503), (491, 500), (486, 486), (603, 603), (404, 404)]
        {
            assert_eq!(Why::of_response(status, None).status_for_caller(), told, "{status}");
        }
        assert_eq!(Why::of_response(408, None).status_for_caller(), 504);
    }

    #[test]
    fn a_reason_that_is_written_is_read_back_whatever_the_text() {
        let why = Why::from(Cause::Busy).saying(Some("quote \" back \\ line\r\nbreak"));
        let written = why.reason();
        assert!(!written.contains('\n'));
        let read = Reason::read(&written);
        assert_eq!(read.q850, Some(17));
        assert_eq!(read.text.as_deref(), Some("quote ' back ' line  break"));
        assert!(Why::from(Cause::Busy).saying(Some(&"é".repeat(500))).text.is_some_and(|t| t.len() == 200));
    }
}
