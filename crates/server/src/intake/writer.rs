//! The one thread that writes calls.
//!
//! It takes one request, adds what else waits, and writes all of that in one transaction: batching comes from load, no
//! timer holds anybody up. Organizations take turns by the time that they take of it, and a batch is small enough that
//! nobody waits long for the turn. How many requests of an organization wait is bounded; beyond that a request waits a
//! little and is then turned away, so that memory stays bounded and a source knows to come again.

use std::{sync::Arc, time::Duration};

use pegcount_store::{CallHead, Store, StoreError};
use tokio::time::Instant;

use super::{
    Deleted, Erased, IntakeError, IntakeParts, Outcome, Outside,
    basis::Settler,
    batch::{Batch, Done},
    deletion::delete,
    erasure::erase,
    fair::{Flow, Spent},
    history::{Cache, Thresholds},
    queue::{Accept, Delete, Exit, Queue, RefoldCalls, Request},
    refold::refold,
};
use crate::{
    live::Live,
    metrics::{EventLabels, Metrics},
};

/// What the writer holds.
pub(super) struct Writer {
    queue: Exit,
    store: Arc<dyn Store>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    outside: Vec<Box<dyn Outside>>,
    cache: Cache,
    settler: Settler,
}

impl Writer {
    pub(super) fn new(parts: IntakeParts, queue: Arc<Queue>, thresholds: Thresholds) -> Self {
        let IntakeParts { store, live, names, tariffs, metrics, outside, masks: _ } = parts;
        let (settler, cache) = (Settler::new(tariffs, names), Cache::new(thresholds));
        Self { queue: Exit(queue), store, live, metrics, outside, cache, settler }
    }

    pub(super) async fn run(mut self) {
        while let Some((request, event_cost)) = self.queue.0.next().await {
            match request {
                Request::Accept(accept) => self.accept(accept, event_cost).await,
                Request::Delete(order) => self.delete(order, event_cost).await,
                Request::Erase { head, reply } => {
                    let begun = Instant::now();
                    let flow = Flow::Organization(head.organization);
                    let answer = self.erase(&head).await;
                    self.spend(flow, begun);
                    let _ = reply.send(answer);
                }
                Request::Refold(order) => self.refold(order).await,
            }
        }
    }

    /// Notes what a request took that was not part of a batch. It says nothing of what an event costs.
    fn spend(&self, flow: Flow, begun: Instant) {
        let spent = Spent { commit: begun.elapsed(), ..Spent::default() };
        self.queue.0.settle(&[(flow, spent)].into());
    }

    /// Writes this and what else waits as far as there is room, and answers. Whoever has gone away in the meantime gets
    /// no answer; that is no error.
    async fn accept(&mut self, first: Accept, event_cost: Duration) {
        let begun = Instant::now();
        let (flow, mut accepts) = (first.flow(), vec![first]);
        match self.write(&mut accepts, event_cost).await {
            Ok(()) => accepts.into_iter().for_each(|accept| self.answer(accept)),
            Err(error) if accepts.len() == 1 => {
                self.spend(flow, begun);
                accepts.into_iter().for_each(|accept| _ = accept.reply.send(Err(error.clone())));
            }
            // One of them may be to blame (a damaged call, say): the others are not made to suffer.
            Err(_) => {
                for accept in accepts.into_iter().rev() {
                    self.queue.0.push_rest(Request::Accept(Accept { is_alone: true, ..accept }));
                }
            }
        }
    }

    /// Answers a request, or has the rest of it wait for its turn.
    fn answer(&self, accept: Accept) {
        if accept.rest().is_empty() {
            let _ = accept.reply.send(Ok(accept.outcomes));
        } else {
            self.queue.0.push_rest(Request::Accept(accept));
        }
    }

    async fn write(&mut self, accepts: &mut Vec<Accept>, event_cost: Duration) -> Result<(), IntakeError> {
        let begun = Instant::now();
        match self.commit(accepts, event_cost).await {
            Ok((outcomes, done)) => {
                self.publish(&done);
                self.metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
                self.count(accepts, &outcomes);
                self.queue.0.settle(&done.spent);
                for (accept, outcomes) in accepts.iter_mut().zip(outcomes) {
                    accept.outcomes.extend(outcomes);
                }
                Ok(())
            }
            Err(error) => {
                self.metrics.failed_commits.inc();
                tracing::error!(%error, cause = std::error::Error::source(&error), "events were not taken in");
                Err(IntakeError::from(&error))
            }
        }
    }

    /// Takes in the first of these, and then what else waits, while there is room; at least one piece of the first.
    async fn commit(
        &mut self,
        accepts: &mut Vec<Accept>,
        mut event_cost: Duration,
    ) -> Result<(Vec<Vec<Vec<Outcome>>>, Done), StoreError> {
        let mut batch =
            Batch::begin(self.store.as_ref(), &mut self.cache, &mut self.settler, &self.outside).await?;
        let mut outcomes = Vec::with_capacity(accepts.len());
        while let Some(accept) = accepts.get(outcomes.len()) {
            let mut of_request = Vec::with_capacity(accept.rest().len());
            for incoming in accept.rest() {
                if !batch.has_room() {
                    break;
                }
                of_request.push(batch.take(incoming, event_cost).await?);
            }
            outcomes.push(of_request);
            if !accept.is_alone
                && batch.has_room()
                && let Some((next, its_event_cost)) = self.queue.0.next_accept()
            {
                event_cost = its_event_cost;
                accepts.push(next);
            }
        }
        Ok((outcomes, batch.finish().await?))
    }

    /// Says what was done, which is on disk by now.
    fn publish(&self, Done { standing, forgotten, asked, .. }: &Done) {
        self.live.apply(standing);
        for (organization, call) in forgotten {
            self.outside.iter().for_each(|one| one.discard(*organization, call));
        }
        if *asked {
            self.outside.iter().for_each(|one| one.asked());
        }
    }

    async fn delete(&mut self, mut order: Delete, call_cost: Duration) {
        let (begun, flow) = (Instant::now(), order.flow());
        let deleted = async {
            let mut batch =
                Batch::begin(self.store.as_ref(), &mut self.cache, &mut self.settler, &self.outside).await?;
            let (deleted, looked_at) =
                delete(&mut batch, &order.heads, order.keepsake, order.at, call_cost).await?;
            Ok((deleted, looked_at, batch.finish().await?))
        };
        let deleted: Result<_, StoreError> = deleted.await;
        let answer = match deleted {
            Ok((Deleted { calls, held }, looked_at, done)) => {
                self.publish(&done);
                self.queue.0.settle(&done.spent);
                order.deleted.calls += calls;
                order.deleted.held += held;
                order.heads.drain(..looked_at);
                if !order.heads.is_empty() {
                    self.queue.0.push_rest(Request::Delete(order));
                    return;
                }
                Ok(order.deleted)
            }
            Err(error) => {
                self.spend(flow, begun);
                tracing::error!(%error, "what is old was not deleted of calls");
                Err(IntakeError::from(&error))
            }
        };
        let _ = order.reply.send(answer);
    }

    fn count(&self, accepts: &[Accept], outcomes: &[Vec<Vec<Outcome>>]) {
        let mut accepted = 0_u32;
        let pairs =
            accepts.iter().zip(outcomes).flat_map(|(accept, outcomes)| accept.rest().iter().zip(outcomes));
        for (incoming, outcomes) in pairs {
            for outcome in outcomes {
                let outcome = match outcome {
                    Outcome::Accepted => {
                        accepted += 1;
                        "accepted"
                    }
                    Outcome::Duplicate => "duplicate",
                    Outcome::Rejected(_) => "rejected",
                };
                let labels = EventLabels { source: incoming.source.to_string(), outcome };
                self.metrics.events.get_or_create(&labels).inc();
            }
        }
        self.metrics.commit_events.observe(f64::from(accepted));
    }

    async fn erase(&mut self, head: &CallHead) -> Result<Erased, IntakeError> {
        let (erased, names) = erase(self.store.as_ref(), head, &self.outside).await.map_err(|error| {
            tracing::error!(%error, "a call was not erased");
            IntakeError::from(&error)
        })?;
        if erased == Erased::Gone {
            drop(self.cache.take(head.key));
            self.live.apply(&[(head.organization, head.key, None)]);
            for name in &names {
                self.outside.iter().for_each(|one| one.discard(head.organization, name));
            }
            self.outside.iter().for_each(|one| one.asked());
        }
        Ok(erased)
    }

    async fn refold(&mut self, mut order: RefoldCalls) {
        let begun = Instant::now();
        let heads = &order.heads;
        let refolded =
            refold(self.store.as_ref(), &mut self.settler, &self.outside, heads, order.order).await;
        let answer = match refolded {
            Ok((refolded, standing, looked_at)) => {
                self.live.apply(&standing);
                // What is remembered of them says what they were folded with before.
                standing.iter().for_each(|(_, key, _)| drop(self.cache.take(*key)));
                self.spend(Flow::Operator, begun);
                order.refolded.add(refolded);
                order.heads.drain(..looked_at);
                if !order.heads.is_empty() {
                    self.queue.0.push_rest(Request::Refold(order));
                    return;
                }
                Ok(order.refolded)
            }
            Err(error) => {
                self.spend(Flow::Operator, begun);
                tracing::error!(%error, "calls were not folded again");
                Err(IntakeError::from(&error))
            }
        };
        let _ = order.reply.send(answer);
    }
}
