//! Which calls there are, how many may be, and how to reach one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{CallId, Trunk};

/// Something that a call is told from inside the program.
#[derive(Debug)]
pub enum Command {
    /// End it, in these words.
    HangUp(Option<String>),
    /// End it: the gateway stops.
    Stop,
}

/// Orders that wait for one call: more are of no use to it.
const COMMANDS: usize = 8;

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are as many calls as may be: on the whole, on the trunk, or by the ports for media.
    #[error("as many calls as may be")]
    Full,
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopping,
}

/// All calls.
#[derive(Debug)]
pub struct Registry {
    most: usize,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    stopping: bool,
    /// Calls that are not over, and those whose last reports the owner has not taken yet.
    admitted: usize,
    by_trunk: HashMap<String, usize>,
    live: HashMap<CallId, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    commands: mpsc::Sender<Command>,
    over: CancellationToken,
}

/// A call's place. It counts as a call until this is dropped.
#[derive(Debug)]
pub struct Place {
    registry: Arc<Registry>,
    call: CallId,
    trunk: Option<String>,
    over: CancellationToken,
}

impl Registry {
    /// With room for so many calls.
    pub fn with_room(most: usize) -> Arc<Self> {
        Arc::new(Self { most, calls: Mutex::default() })
    }

    /// The maps stay whole if a thread that holds them dies: each change is one insertion or removal.
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a call, and says how orders to it arrive.
    pub fn admit(
        self: &Arc<Self>,
        call: &CallId,
        trunk: Option<&Trunk>,
    ) -> Result<(Place, mpsc::Receiver<Command>), Refused> {
        let mut calls = self.calls();
        if calls.stopping {
            return Err(Refused::Stopping);
        }
        if calls.admitted >= self.most {
            return Err(Refused::Full);
        }
        if let Some(trunk) = trunk {
            let used = calls.by_trunk.get(&trunk.name).copied().unwrap_or(0);
            if trunk.most_calls.is_some_and(|most| used >= most) {
                return Err(Refused::Full);
            }
            calls.by_trunk.insert(trunk.name.clone(), used + 1);
        }
        calls.admitted += 1;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let over = CancellationToken::new();
        calls.live.insert(call.clone(), Entry { commands, over: over.clone() });
        let trunk = trunk.map(|trunk| trunk.name.clone());
        Ok((Place { registry: self.clone(), call: call.clone(), trunk, over }, receiver))
    }

    /// How many calls are not over.
    pub fn live(&self) -> usize {
        self.calls().live.len()
    }

    /// How many calls hold a place: the live ones, and those whose reports still wait for the owner.
    pub fn admitted(&self) -> usize {
        self.calls().admitted
    }

    /// Whether a call is not over.
    pub fn is_live(&self, call: &CallId) -> bool {
        self.calls().live.contains_key(call)
    }

    /// Orders a call to end, and gives what says that it is over; `None` when there is no such call.
    pub fn hang_up(&self, call: &CallId, reason: Option<String>) -> Option<CancellationToken> {
        let entry = self.calls().live.get(call).cloned()?;
        // A call that is full of orders to end has one.
        let _ = entry.commands.try_send(Command::HangUp(reason));
        Some(entry.over)
    }

    /// Takes no more calls, orders all to end, and gives what says of each that it is over.
    pub fn stop(&self) -> Vec<CancellationToken> {
        let mut calls = self.calls();
        calls.stopping = true;
        let ended = calls.live.values().map(|entry| {
            let _ = entry.commands.try_send(Command::Stop);
            entry.over.clone()
        });
        ended.collect()
    }
}

impl Place {
    /// Which call's.
    pub const fn call(&self) -> &CallId {
        &self.call
    }

    /// The call is over on all sides. Its place is still taken.
    pub fn over(&self) {
        self.registry.calls().live.remove(&self.call);
        self.over.cancel();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.over();
        let mut calls = self.registry.calls();
        calls.admitted = calls.admitted.saturating_sub(1);
        if let Some(trunk) = &self.trunk
            && let Some(used) = calls.by_trunk.get_mut(trunk)
        {
            *used = used.saturating_sub(1);
            if *used == 0 {
                calls.by_trunk.remove(trunk);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(most: usize) -> Trunk {
        Trunk { name: "t".into(), most_calls: Some(most) }
    }

    #[test]
    fn a_place_is_taken_until_it_is_dropped_on_the_whole_and_on_the_trunk() {
        let registry = Registry::with_room(2);
        let (first, _) = registry.admit(&CallId::new("1"), Some(&trunk(1))).unwrap();
        assert_eq!(registry.admit(&CallId::new("2"), Some(&trunk(1))).unwrap_err(), Refused::Full);
        let (second, _) = registry.admit(&CallId::new("2"), None).unwrap();
        assert_eq!(registry.admit(&CallId::new("3"), None).unwrap_err(), Refused::Full);
        first.over();
        assert_eq!((registry.live(), registry.admitted()), (1, 2));
        drop(first);
        assert!(registry.admit(&CallId::new("4"), Some(&trunk(1))).is_ok());
        drop(second);
        assert_eq!((registry.live(), registry.admitted()), (0, 0));
    }

    #[test]
    fn an_order_reaches_its_call_and_nobody_once_that_is_over() {
        let registry = Registry::with_room(2);
        let call = CallId::new("1");
        let (place, mut commands) = registry.admit(&call, None).unwrap();
        let over = registry.hang_up(&call, None).unwrap();
        assert!(matches!(commands.try_recv(), Ok(Command::HangUp(None))));
        assert!(!over.is_cancelled());
        drop(place);
        assert!(over.is_cancelled());
        assert!(registry.hang_up(&call, None).is_none());
    }

    #[test]
    fn a_registry_that_stops_takes_no_more_calls() {
        let registry = Registry::with_room(2);
        let (_place, mut commands) = registry.admit(&CallId::new("1"), None).unwrap();
        assert_eq!(registry.stop().len(), 1);
        assert!(matches!(commands.try_recv(), Ok(Command::Stop)));
        assert_eq!(registry.admit(&CallId::new("2"), None).unwrap_err(), Refused::Stopping);
    }
}
