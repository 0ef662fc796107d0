//! What the calls of one agent add up to.

use pegcount_calls::{Disconnection, EndpointName, Stats, Status};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{CallStatus, Direction, DisconnectionReason, Word};

/// What the calls of one agent add up to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationAgentPerformance)]
pub(in super::super) struct AgentPerformance<'a> {
    agent_id: &'a str,
    /// Every call, open ones included.
    pub(in super::super) total_calls: u64,
    completed_calls: u64,
    active_calls: u64,
    /// Every status that occurs here, also those without calls.
    #[schema(value_type = HashMap<String, u64>)]
    status_distribution: Map<String, Value>,
    #[schema(value_type = HashMap<String, u64>)]
    direction_distribution: Map<String, Value>,
    /// Only the reasons that ended a call.
    #[schema(value_type = HashMap<String, u64>)]
    disconnection_reasons: Map<String, Value>,
}

impl<'a> AgentPerformance<'a> {
    /// The statistics in this dialect's words.
    pub(in super::super) fn of(
        agent: &'a EndpointName,
        stats: &Stats,
        reasons: &[(Disconnection, u64)],
    ) -> Self {
        let count = |wanted: &dyn Fn(Status, pegcount_calls::Direction) -> bool| stats.sum(wanted).calls;
        Self {
            agent_id: agent.as_str(),
            total_calls: count(&|_, _| true),
            completed_calls: count(&|status, _| status == Status::Completed),
            active_calls: count(&|status, _| status.is_live()),
            status_distribution: distribution(
                CallStatus::ALL
                    .iter()
                    .filter(|word| **word != CallStatus::Scheduled)
                    .map(|word| (*word, count(&|status, _| CallStatus::from(status) == *word))),
            ),
            direction_distribution: distribution(
                Direction::ALL
                    .iter()
                    .map(|word| (*word, count(&|_, direction| Direction::from(direction) == *word))),
            ),
            disconnection_reasons: distribution(
                reasons.iter().map(|(reason, count)| (DisconnectionReason::from(*reason), *count)),
            ),
        }
    }
}

fn distribution(counts: impl Iterator<Item = (impl Word, u64)>) -> Map<String, Value> {
    counts.map(|(word, count)| (word.word().to_owned(), count.into())).collect()
}
