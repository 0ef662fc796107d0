//! What all sockets of the gateway share: the policy, who is expected, and the counters.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{Counts, Limits, Policy, Reason, Refusals, RefusedInvite, Source, Verdict, inspect};

/// INVITEs that the guard answered and that wait to be recorded; more are counted only.
const REFUSED: usize = 256;

/// How long after a call somebody is still heard: what they repeat belongs to that call (64 times T1, RFC 3261, 17).
const LINGER: Duration = Duration::from_secs(40);

/// So many addresses that nobody waits for any more are kept before they are swept out.
const SWEEP: usize = 1024;

/// A policy in force. Every socket that it guards lets through the same.
#[derive(Debug, Default)]
pub struct Gate {
    policy: RwLock<Arc<Policy>>,
    counts: Arc<Counts>,
    refusals: Arc<Refusals>,
    /// Who is told of INVITEs that are answered here.
    refused: OnceLock<mpsc::Sender<Box<RefusedInvite>>>,
    expected: Mutex<HashMap<IpAddr, Waiting>>,
}

/// How many wait for an address, or until when it is heard although nobody does.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    Now(usize),
    Until(Instant),
}

impl Gate {
    /// A gate with this policy.
    pub fn new(policy: Policy) -> Arc<Self> {
        Arc::new(Self { policy: RwLock::new(Arc::new(policy)), ..Self::default() })
    }

    /// What was done so far.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// What was refused, here and behind.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// Gives the INVITEs that are answered by the guard from now on. Only the first who asks gets them.
    pub fn refused_invites(&self) -> mpsc::Receiver<Box<RefusedInvite>> {
        let (sender, receiver) = mpsc::channel(REFUSED);
        let _ = self.refused.set(sender);
        receiver
    }

    /// From the next message on, this is let through.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<IpAddr, Waiting>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears an address as a peer's until what this gives is dropped, and a little longer: we call it.
    pub fn expect(self: &Arc<Self>, address: IpAddr) -> Expected {
        let address = address.to_canonical();
        let mut waiting = self.waiting();
        let entry = waiting.entry(address).or_insert(Waiting::Now(0));
        *entry = match *entry {
            Waiting::Now(count) => Waiting::Now(count + 1),
            Waiting::Until(_) => Waiting::Now(1),
        };
        Expected { gate: Arc::clone(self), address }
    }

    fn expects(&self, address: IpAddr, now: Instant) -> bool {
        match self.waiting().get(&address.to_canonical()) {
            Some(Waiting::Now(_)) => true,
            Some(Waiting::Until(until)) => *until > now,
            None => false,
        }
    }

    /// Whether somebody at this address may connect at all.
    pub fn admits(&self, address: IpAddr, now: Instant) -> bool {
        let policy = self.policy();
        policy.strangers == super::Strangers::Phones || policy.knows(address) || self.expects(address, now)
    }

    /// Judges one message by the policy in force.
    pub fn judge(&self, bytes: &[u8], source: Source, now: Instant, limits: &mut Limits) -> Verdict {
        let policy = self.policy();
        let known = policy.knows(source.address.ip()) || self.expects(source.address.ip(), now);
        let mut verdict = inspect(bytes, source, known, now, &policy, limits);
        if let Verdict::Answer { refused, .. } = &mut verdict
            && let (Some(refused), Some(told)) = (refused.take(), self.refused.get())
            && told.try_send(refused).is_err()
        {
            self.refusals.leave_unrecorded();
        }
        if let Verdict::Drop(reason @ (Reason::UnknownSource | Reason::Scanner)) = verdict
            && !known
        {
            self.refusals.of_stranger(source.address.ip(), reason.name(), None, now);
        }
        verdict
    }
}

/// Somebody that we call. Dropped, it is expected no more.
#[derive(Debug)]
pub struct Expected {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Drop for Expected {
    fn drop(&mut self) {
        let now = tokio::time::Instant::now().into_std();
        let mut waiting = self.gate.waiting();
        match waiting.get_mut(&self.address) {
            Some(Waiting::Now(count)) if *count > 1 => *count -= 1,
            Some(entry) => *entry = Waiting::Until(now + LINGER),
            None => {}
        }
        if waiting.len() > SWEEP {
            waiting.retain(|_, waiting| match waiting {
                Waiting::Now(_) => true,
                Waiting::Until(until) => *until > now,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[tokio::test(start_paused = true)]
    async fn who_is_called_is_heard_while_a_call_lasts_and_a_little_longer() {
        let gate = Gate::new(Policy::default());
        let now = || tokio::time::Instant::now().into_std();
        assert!(!gate.admits(CALLED, now()));
        let (first, second) = (gate.expect(CALLED), gate.expect(CALLED));
        drop(first);
        assert!(gate.admits(CALLED, now()));
        drop(second);
        assert!(gate.admits(CALLED, now()));
        tokio::time::advance(LINGER).await;
        assert!(!gate.admits(CALLED, now()));
        let _again = gate.expect(CALLED);
        assert!(gate.admits(CALLED, now()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_called_once_is_not_remembered_for_ever() {
        let gate = Gate::new(Policy::default());
        for number in 0..2 * SWEEP as u32 {
            drop(gate.expect(IpAddr::V4(number.into())));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(gate.waiting().len() <= SWEEP + 1);
    }
}
