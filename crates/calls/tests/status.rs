//! "Status, and its name" (contract, events.md), cell by cell.
#![expect(clippy::unwrap_used, reason = "what a test is made with may fail loudly too")]

use pegcount_calls::{
    Cause, Direction, Disconnection, End, Event, EventId, Fact, History, Party, Setup, SourceName, Status,
    Timestamp, fold,
};

/// The first row that fits decides; `*` fits everything, `a/b` fits a and b, `!a` all but a.
///
/// answered, type, cause, source, direction, reason, status, disconnection
const TABLE: &str = "
    yes failed    network_error           *          *        *        failed    error_network
    yes failed    timeout                 *          *        *        failed    error_timeout
    yes *         *                       *          *        transfer completed call_transfer
    yes *         *                       api        *        -        completed manual_stopped
    yes completed timeout                 !api       *        -        completed max_duration_reached
    yes *         user_hangup             !api       *        -        completed user_hangup
    yes *         agent_hangup            !api       *        -        completed agent_hangup
    yes *         normal_clearing         caller     inbound  -        completed user_hangup
    yes *         normal_clearing         callee     inbound  -        completed agent_hangup
    yes *         normal_clearing         caller     outbound -        completed agent_hangup
    yes *         normal_clearing         callee     outbound -        completed user_hangup
    yes *         *                       *          *        -        completed user_hangup
    no  *         user_hangup/agent_hangup api       *        *        canceled  manual_stopped
    no  *         normal_clearing         api        *        *        canceled  manual_stopped
    no  *         user_hangup/agent_hangup !api      inbound  *        canceled  user_hangup
    no  *         user_hangup/agent_hangup !api      outbound *        canceled  agent_hangup
    no  *         normal_clearing         caller     inbound  *        canceled  user_hangup
    no  *         normal_clearing         caller     outbound *        canceled  agent_hangup
    no  *         normal_clearing         *          *        *        no_answer dial_no_answer
    no  *         no_answer               *          *        *        no_answer dial_no_answer
    no  completed timeout                 *          *        *        no_answer dial_no_answer
    no  *         busy                    *          *        *        busy      dial_busy
    no  failed    timeout                 *          *        *        failed    error_timeout
    no  *         network_error           *          *        *        failed    error_network
    no  *         rejected                *          *        *        failed    dial_failed
";

const CAUSES: [(&str, Cause); 8] = [
    ("normal_clearing", Cause::NormalClearing),
    ("user_hangup", Cause::UserHangup),
    ("agent_hangup", Cause::AgentHangup),
    ("no_answer", Cause::NoAnswer),
    ("busy", Cause::Busy),
    ("rejected", Cause::Rejected),
    ("network_error", Cause::NetworkError),
    ("timeout", Cause::Timeout),
];

const PARTIES: [(&str, Option<Party>); 5] = [
    ("-", None),
    ("caller", Some(Party::Caller)),
    ("callee", Some(Party::Callee)),
    ("api", Some(Party::Api)),
    ("system", Some(Party::System)),
];

const STATUSES: [(&str, Status); 5] = [
    ("completed", Status::Completed),
    ("no_answer", Status::NoAnswer),
    ("canceled", Status::Canceled),
    ("busy", Status::Busy),
    ("failed", Status::Failed),
];

const DISCONNECTIONS: [(&str, Disconnection); 10] = [
    ("user_hangup", Disconnection::UserHangup),
    ("agent_hangup", Disconnection::AgentHangup),
    ("call_transfer", Disconnection::CallTransfer),
    ("manual_stopped", Disconnection::ManualStopped),
    ("max_duration_reached", Disconnection::MaxDurationReached),
    ("dial_no_answer", Disconnection::DialNoAnswer),
    ("dial_busy", Disconnection::DialBusy),
    ("dial_failed", Disconnection::DialFailed),
    ("error_network", Disconnection::ErrorNetwork),
    ("error_timeout", Disconnection::ErrorTimeout),
];

fn fits(pattern: &str, word: &str) -> bool {
    match pattern.strip_prefix('!') {
        Some(unwanted) => unwanted != word,
        None => pattern == "*" || pattern.split('/').any(|one| one == word),
    }
}

/// The status and the disconnection that the table gives.
fn looked_up(cell: [&str; 6]) -> (Status, Disconnection) {
    let rows = TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|row| !row.is_empty());
    let row = rows.find(|row| cell.iter().zip(row).all(|(word, pattern)| fits(pattern, word))).unwrap();
    let status = STATUSES.iter().find(|(word, _)| *word == row[6]).unwrap();
    let disconnection = DISCONNECTIONS.iter().find(|(word, _)| *word == row[7]).unwrap();
    (status.1, disconnection.1)
}

fn event(second: i64, fact: Fact) -> Event {
    let at = Timestamp::from_millis(1_736_503_200_000 + second * 1000);
    let id = EventId::new(format!("e{second}")).unwrap();
    Event { id, at, source: SourceName::new("test").unwrap(), leg: None, opts_out: false, fact }
}

fn call(cell: [&str; 6], cause: Option<Cause>, by: Option<Party>) -> (Status, Disconnection) {
    let direction = if cell[4] == "inbound" { Direction::Inbound } else { Direction::Outbound };
    let setup = Setup { direction: Some(direction), ..Setup::default() };
    let failed = cell[1] == "failed";
    let end = End { failed, cause, by, transfer: cell[5] == "transfer", ..End::default() };
    let mut events = vec![event(0, Fact::Initiated(Box::new(setup))), event(9, Fact::Ended(Box::new(end)))];
    if cell[0] == "yes" {
        events.push(event(5, Fact::Answered));
    }
    let call = fold(&History::of(events).unwrap());
    assert!(!call.is_live());
    (call.status(), call.disconnection().unwrap())
}

#[test]
fn every_end_gives_the_status_and_the_disconnection_of_the_table() {
    for answered in ["yes", "no"] {
        for kind in ["completed", "failed"] {
            for (cause_word, cause) in CAUSES {
                for (by_word, by) in PARTIES {
                    for direction in ["inbound", "outbound"] {
                        for reason in ["-", "transfer"] {
                            let cell = [answered, kind, cause_word, by_word, direction, reason];
                            assert_eq!(call(cell, Some(cause), by), looked_up(cell), "{cell:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn an_end_without_a_cause_is_normal_clearing_when_completed_and_a_network_error_when_failed() {
    for answered in ["yes", "no"] {
        for (kind, cause) in [("completed", "normal_clearing"), ("failed", "network_error")] {
            for (by_word, by) in PARTIES {
                let cell = [answered, kind, cause, by_word, "outbound", "-"];
                assert_eq!(call(cell, None, by), looked_up(cell), "{cell:?}");
            }
        }
    }
}

#[test]
fn only_what_is_being_set_up_rings_or_is_answered_is_live() {
    for status in Status::ALL {
        let live = matches!(status, Status::Initiated | Status::Ringing | Status::InProgress);
        assert_eq!(status.is_live(), live, "{status:?}");
        assert_eq!(status.is_ended(), !live && status != Status::Queued, "{status:?}");
    }
}
