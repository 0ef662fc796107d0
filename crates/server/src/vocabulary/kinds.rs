//! The types of events (contract, events.md).

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// Every documented type.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

kinds! {
    /// The call waits to be placed.
    CALL_QUEUED = "call_queued";
    /// The call is being set up.
    CALL_INITIATED = "call_initiated";
    /// The invitation left for the destination.
    SIP_INVITE_SENT = "sip_invite_sent";
    /// The destination rings.
    CALL_RINGING = "call_ringing";
    /// The destination answered.
    CALL_ANSWERED = "call_answered";
    /// Audio flows.
    SIP_MEDIA_ESTABLISHED = "sip_media_established";
    /// Put on hold.
    CALL_HELD = "call_held";
    /// Taken back from hold.
    CALL_RESUMED = "call_resumed";
    /// Handed over.
    CALL_TRANSFERRED = "call_transferred";
    /// A key was pressed.
    DTMF_RECEIVED = "dtmf_received";
    /// Proof of life from a snapshot.
    CALL_SEEN = "call_seen";
    /// It ended.
    CALL_COMPLETED = "call_completed";
    /// It failed.
    CALL_FAILED = "call_failed";
    /// Somebody said something.
    TRANSCRIPT_TURN = "transcript_turn";
    /// The agent called a tool.
    TOOL_INVOKED = "tool_invoked";
    /// A tool answered.
    TOOL_RESULT = "tool_result";
    /// How long one stage took, once.
    STAGE_LATENCY = "stage_latency";
    /// A source's own summary of a stage.
    LATENCY_SUMMARY = "latency_summary";
    /// How the audio of one leg was.
    MEDIA_QUALITY = "media_quality";
    /// Something that costs money.
    COST_ITEM = "cost_item";
    /// The recording can be had.
    RECORDING_READY = "recording_ready";
    /// There is no recording of a call that was to be recorded.
    RECORDING_FAILED = "recording_failed";
    /// The recording is gone.
    RECORDING_DELETED = "recording_deleted";
    /// What was said is gone.
    TRANSCRIPT_DELETED = "transcript_deleted";
    /// The whole transcript as text.
    TRANSCRIPT_READY = "transcript_ready";
    /// What an analysis found.
    ANALYSIS_READY = "analysis_ready";
    /// Metadata set or taken away.
    METADATA_SET = "metadata_set";
}

/// The events of the call are gone. Nobody tells this but the program itself, so it is none of [`ALL`].
pub const EVENTS_DELETED: &str = "events_deleted";

/// Longest name of an `x_` type.
const LONGEST_OWN: usize = 64;

/// Names of other programs, or of common sense, and the type that is meant. As strings they are often nearer to another one.
const SYNONYMS: &[(&[&str], &str)] = &[
    (
        &[
            "call_end",
            "call_ended",
            "call_ending",
            "call_finish",
            "call_finished",
            "call_hangup",
            "call_hung_up",
            "call_disconnected",
            "call_terminated",
            "call_closed",
            "call_done",
            "hangup",
            "end",
            "ended",
            "completed",
            "call.ended",
            "call.completed",
            "call.hangup",
            "call_bye",
        ],
        CALL_COMPLETED,
    ),
    (
        &[
            "call_start",
            "call_started",
            "call_created",
            "call_new",
            "call_begin",
            "call_begun",
            "call_init",
            "started",
            "initiated",
            "call.started",
            "call.initiated",
            "call_incoming",
            "call_inbound",
            "call_outbound",
            "call_dialed",
            "call_dialled",
            "call_dialing",
        ],
        CALL_INITIATED,
    ),
    (
        &[
            "call_connect",
            "call_connected",
            "call_accepted",
            "call_pickup",
            "call_picked_up",
            "call_established",
            "call_in_progress",
            "call_bridged",
            "answered",
            "call.answered",
            "call.connected",
        ],
        CALL_ANSWERED,
    ),
    (&["call_alerting", "call_ring", "ringing", "call.ringing"], CALL_RINGING),
    (
        &[
            "call_error",
            "call_busy",
            "call_no_answer",
            "call_missed",
            "call_rejected",
            "call_canceled",
            "call_cancelled",
        ],
        CALL_FAILED,
    ),
    (&["call_hold", "call_on_hold"], CALL_HELD),
    (&["call_unhold", "call_unheld", "call_resume"], CALL_RESUMED),
    (&["call_transfer"], CALL_TRANSFERRED),
    (&["dtmf", "call_dtmf", "dtmf_pressed"], DTMF_RECEIVED),
];

/// The documented type that was probably meant by a word that is none.
pub fn alike(word: &str) -> Option<&'static str> {
    let same = |(words, kind): &(&[&str], &'static str)| words.contains(&word).then_some(*kind);
    if let Some(kind) = SYNONYMS.iter().find_map(same) {
        return Some(kind);
    }
    // A typing error or another tense; less alike are names of other programs.
    const ENOUGH: f64 = 0.9;
    // What all of them begin with would make any two of them alike.
    let likeness = |kind: &str| match (word.strip_prefix("call_"), kind.strip_prefix("call_")) {
        (Some(word), Some(kind)) => strsim::jaro_winkler(word, kind),
        _ => strsim::jaro_winkler(word, kind),
    };
    let alike = ALL.iter().map(|kind| (likeness(kind), *kind));
    let (alike, kind) = alike.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (alike >= ENOUGH).then_some(kind)
}

/// Whether it is a documented type or one of the sender's own.
pub fn is_known(kind: &str) -> bool {
    ALL.contains(&kind) || is_own(kind)
}

/// Whether it is a type of the sender's own: kept on the timeline, without effect on the call.
pub fn is_own(kind: &str) -> bool {
    kind.len() > 2
        && kind.len() <= LONGEST_OWN
        && kind.starts_with("x_")
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether it belongs to the lifecycle table of events.md.
pub fn is_lifecycle(kind: &str) -> bool {
    ALL.iter().position(|known| *known == kind).is_some_and(|place| place <= LAST_OF_LIFECYCLE)
}

/// The place of `call_failed`, the last of the lifecycle, in [`ALL`].
const LAST_OF_LIFECYCLE: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_nearly_a_type_is_taken_for_it() {
        assert_eq!(alike("call_answerd"), Some(CALL_ANSWERED));
        assert_eq!(alike("call_complete"), Some(CALL_COMPLETED));
        assert_eq!(alike("hello"), None);
        assert_eq!(alike("call_exploded"), None);
        assert_eq!(alike(""), None);
    }

    #[test]
    fn a_common_guess_is_answered_with_what_it_means() {
        for word in ["call_ended", "call_end", "call_hangup", "call_finished", "hangup", "call_disconnected"]
        {
            assert_eq!(alike(word), Some(CALL_COMPLETED), "{word}");
        }
        for word in ["call_started", "call_start", "call_created"] {
            assert_eq!(alike(word), Some(CALL_INITIATED), "{word}");
        }
        for word in ["call_connected", "call_accepted", "call_bridged"] {
            assert_eq!(alike(word), Some(CALL_ANSWERED), "{word}");
        }
        for (words, kind) in SYNONYMS {
            assert!(ALL.contains(kind) && !words.iter().any(|word| is_known(word)), "{kind}");
        }
    }
}
