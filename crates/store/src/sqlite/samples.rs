//! Calls for the tests of this engine.

use pegcount_calls::{Call, CallType, Cause, Content, Direction, Ending, State, Timestamp};

/// A call that nobody answered, over after a millisecond, with this content.
pub(super) fn ended_call(content: Content) -> Call {
    Call {
        created_at: Timestamp::from_millis(1),
        ringing_at: None,
        state: State::Ended(Ending {
            answered_at: None,
            ended_at: Timestamp::from_millis(2),
            cause: Cause::Busy,
            by: None,
            transfer: false,
            failed: false,
            inferred: false,
        }),
        direction: Direction::Inbound,
        call_type: CallType::Phone,
        from_number: None,
        to_number: None,
        endpoint: None,
        phone_number: None,
        opt_out: false,
        content,
    }
}
