//! What holds of every call, whatever happens in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Cause, Quality, call::keys::Keys};

/// Something that may happen; a leg's number may be nobody's.
fn anything() -> impl Strategy<Value = Input> {
    let leg = || (0..6_u32).prop_map(LegId);
    let body = || prop_oneof![Just(None), Just(sdp("a")), Just(sdp("b")), Just(hold())];
    let side = || prop_oneof![Just(Side::Caller), Just(Side::Callee)];
    let status = prop_oneof![
        Just(302_u16),
        Just(404),
        Just(408),
        Just(422),
        Just(480),
        Just(486),
        Just(487),
        Just(503),
        Just(603)
    ];
    let reply =
        prop_oneof![Just(None), Just(Some(200_u16)), Just(Some(405)), Just(Some(488)), Just(Some(491))];
    prop_oneof![
        6 => (leg(), prop_oneof![Just(100_u16), Just(180), Just(183)], body())
            .prop_map(|(leg, status, body)| Input::Progress { leg, status, body }),
        6 => (leg(), body(), asks()).prop_map(|(leg, body, session)| {
            Input::Accepted { leg, body: body.ok_or(OwnFailure::NoAnswer), session }
        }),
        3 => (leg(), status, prop::option::of(90..200_u32)).prop_map(|(leg, status, min_session)| {
            Input::Failed { leg, failure: Failure::Refused { status, reason: None, min_session } }
        }),
        1 => leg().prop_map(|leg| Input::Failed { leg, failure: Failure::Unreachable }),
        6 => (leg(), body()).prop_map(|(leg, body)| Input::Acknowledged { leg, body }),
        1 => leg().prop_map(|leg| Input::Cancelled { leg, reason: None }),
        1 => leg().prop_map(|leg| Input::Bye { leg, reason: None }),
        1 => leg().prop_map(|leg| Input::Closed { leg }),
        8 => (leg(), requests()).prop_map(|(leg, ask)| Input::Asked { leg, request: RequestId(0), ask }),
        8 => (leg(), 0..8_u32, reply, body(), asks()).prop_map(|(leg, exchange, status, body, session)| {
            Input::Replied { leg, exchange, status, body, session }
        }),
        1 => leg().prop_map(|leg| Input::MediaRefused { leg, reason: "no audio".into() }),
        3 => (0..8_u32, 0..3_usize).prop_map(|(ticket, places)| Input::Located {
            ticket,
            targets: if places == 0 { Err(Cause::NoAnswer.into()) } else { Ok(plan(places).targets.into_iter().map(Found::from).collect()) },
        }),
        1 => Just(Input::Media(MediaEvent::Closed)),
        2 => side().prop_map(|side| Input::Media(MediaEvent::Silent(side))),
        2 => side().prop_map(|side| Input::Media(MediaEvent::Heard(side))),
        2 => Just(Input::Media(MediaEvent::Established { codec: "PCMU".into() })),
        2 => side().prop_map(|side| {
            Input::Media(MediaEvent::Quality { side, quality: Quality::default() })
        }),
        1 => Just(Input::HangUp { reason: None }),
        1 => Just(Input::Stop),
    ]
}

fn hold() -> Option<Bytes> {
    Some(Bytes::from_static(b"v=0\r\na=sendonly\r\n"))
}

fn asks() -> impl Strategy<Value = SessionAsk> {
    (prop::option::of(60..400_u32), any::<bool>(), any::<bool>()).prop_map(|(expires, supported, updates)| {
        SessionAsk { expires, refresher: None, least: None, supported, updates }
    })
}

fn requests() -> impl Strategy<Value = Asked> {
    let body = || prop_oneof![Just(None), Just(sdp("c")), Just(sdp("d")), Just(hold())];
    prop_oneof![
        3 => (body(), asks()).prop_map(|(body, session)| Asked::ReInvite { body, session }),
        2 => (body(), asks()).prop_map(|(body, session)| Asked::Update { body, session }),
        1 => Just(Asked::Info { keys: Keys::default(), content_type: None, body: Bytes::new() }),
        2 => any::<bool>().prop_map(|known| Asked::Refer {
            to: "sip:other@example.com".into(),
            target: known.then(|| Target::at("sip:other@example.com")),
        }),
        1 => Just(Asked::Ping),
        1 => Just(Asked::Unknown),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Happens(Input),
    TimePasses,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![8 => anything().prop_map(Step::Happens), 1 => Just(Step::TimePasses)];
    prop::collection::vec(step, 0..60)
}

/// What happened to one leg, by what was ordered and fed.
#[derive(Debug, Default)]
struct Story {
    invited: bool,
    answered: bool,
    over: bool,
    byes: u32,
    cancels: u32,
    finals: u32,
}

#[derive(Default)]
struct Witness(BTreeMap<LegId, Story>);

impl Witness {
    fn saw_input(&mut self, input: &Input) {
        let (leg, answered) = match input {
            Input::Accepted { leg, .. } => (leg, true),
            Input::Bye { leg, .. }
            | Input::Closed { leg }
            | Input::Failed { leg, .. }
            | Input::Cancelled { leg, .. }
            | Input::MediaRefused { leg, .. } => (leg, false),
            _ => return,
        };
        if let Some(story) = self.0.get_mut(leg) {
            if answered && story.invited && !story.over {
                story.answered = true;
            } else if !answered {
                story.over = true;
            }
        }
    }

    fn saw_order(&mut self, action: &Action) {
        match action {
            Action::Invite { leg, .. } => {
                assert!(!std::mem::replace(&mut self.0.entry(*leg).or_default().invited, true));
            }
            // Its task is ended, and that hangs up what still answers.
            Action::Abandon { leg } => self.0.entry(*leg).or_default().over = true,
            Action::Cancel { leg } => self.0.entry(*leg).or_default().cancels += 1,
            Action::Bye { leg, .. } => self.0.entry(*leg).or_default().byes += 1,
            Action::Accept { leg, .. } => {
                let story = self.0.entry(*leg).or_default();
                story.finals += 1;
                story.answered = true;
            }
            Action::Reject { leg, .. } => self.0.entry(*leg).or_default().finals += 1,
            _ => {}
        }
    }

    fn check(&self) {
        for (leg, story) in &self.0 {
            assert!(story.cancels <= 1 && story.finals <= 1, "{leg:?} {story:?}");
            assert!(!story.answered || story.over || story.byes >= 1, "nobody hung up {leg:?}: {story:?}");
            assert!(story.cancels == 0 || story.invited, "{leg:?} {story:?}");
        }
    }
}

fn legal(reports: &[What]) {
    assert!(matches!(reports.first(), Some(What::Invited { .. })));
    assert!(matches!(reports.last(), Some(What::Ended(_))));
    let count = |of: fn(&What) -> bool| reports.iter().filter(|what| of(what)).count();
    assert_eq!(count(|what| matches!(what, What::Invited { .. })), 1);
    assert_eq!(count(|what| matches!(what, What::Ended(_))), 1);
    assert!(count(|what| matches!(what, What::Ringing)) <= 1);
    assert!(count(|what| matches!(what, What::Answered)) <= 1);
    assert!(count(|what| matches!(what, What::MediaEstablished { .. })) <= 1);
    let at = |of: fn(&What) -> bool| reports.iter().position(of);
    let answered = at(|what| matches!(what, What::Answered));
    if let Some(established) = at(|what| matches!(what, What::MediaEstablished { .. })) {
        assert!(answered.is_some_and(|answered| answered < established));
    }
    if let Some(What::Ended(ended)) = reports.last() {
        assert_eq!(ended.talked_ms.is_some(), answered.is_some());
    }
    let mut held = [false; 2];
    let mut asked = 0;
    for what in reports {
        match what {
            What::Held { by } => assert!(!std::mem::replace(&mut held[*by as usize], true)),
            What::Resumed { by } => assert!(std::mem::replace(&mut held[*by as usize], false)),
            What::TransferAsked { .. } => asked += 1,
            What::TransferEnded { .. } => asked -= 1,
            _ => {}
        }
        assert!((0..=1).contains(&asked));
    }
    assert_eq!(asked, 0);
}

/// Plays a call to its end: once its script is through, no peer says anything any more.
fn play(first: Input, steps: Vec<Step>) {
    let mut bench = Bench::new();
    let mut witness = Witness::default();
    let mut requests = 0;
    let mut feed = |bench: &mut Bench, mut input: Input| {
        if let Input::Asked { request, .. } = &mut input {
            requests += 1;
            *request = RequestId(requests);
        }
        if !bench.finished {
            witness.saw_input(&input);
        }
        for action in bench.feed(input) {
            witness.saw_order(&action);
        }
    };
    feed(&mut bench, first);
    for step in steps {
        match step {
            Step::Happens(input) => feed(&mut bench, input),
            Step::TimePasses => {
                let due = bench.timers.iter().min_by_key(|timer| *timer.1).map(|timer| (*timer.0, *timer.1));
                if let Some((timer, due)) = due {
                    bench.now = bench.now.max(due);
                    feed(&mut bench, Input::Fired(timer));
                }
            }
        }
    }
    let mut waits = 0;
    while let Some((timer, due)) =
        bench.timers.iter().min_by_key(|timer| *timer.1).map(|timer| (*timer.0, *timer.1))
    {
        waits += 1;
        assert!(waits < 20_000, "the call does not end");
        bench.now = bench.now.max(due);
        feed(&mut bench, Input::Fired(timer));
    }
    assert!(bench.finished, "no timer runs, but the call is not over: {:?}", bench.machine);
    assert!(bench.unanswered.is_empty(), "without a response: {:?}", bench.unanswered);
    assert!(matches!(
        bench.orders.iter().rfind(|o| !matches!(o, Action::Reply { .. })),
        Some(Action::Finish)
    ));
    witness.check();
    legal(&bench.reports);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_that_comes_in_ends_cleanly_whatever_happens(targets in 0..4_usize, steps in steps()) {
        play(invited(targets), steps);
    }

    #[test]
    fn a_call_that_is_ordered_ends_cleanly_whatever_happens(
        first in 0..3_usize, then in 0..3_usize, steps in steps(),
    ) {
        play(dial(first, then), steps);
    }

    #[test]
    fn a_call_that_was_answered_ends_cleanly_whatever_happens(steps in steps()) {
        let mut all = vec![
            Step::Happens(ringing(CALLEE)),
            Step::Happens(accepted(CALLEE)),
            Step::Happens(Input::Acknowledged { leg: CALLER, body: None }),
        ];
        all.extend(steps);
        play(invited(1), all);
    }

    #[test]
    fn an_order_to_hang_up_that_comes_twice_is_one(steps in steps()) {
        let mut bench = Bench::new();
        bench.feed(invited(2));
        let mut requests = 0;
        for step in steps {
            if let Step::Happens(mut input) = step {
                if let Input::Asked { request, .. } = &mut input {
                    requests += 1;
                    *request = RequestId(requests);
                }
                bench.feed(input);
            }
        }
        bench.feed(Input::HangUp { reason: None });
        let again = bench.feed(Input::HangUp { reason: None });
        prop_assert!(again.is_empty());
    }
}
