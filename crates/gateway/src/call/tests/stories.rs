//! Calls as they go, step by step, with the races that they meet.

use std::time::Duration;

use super::*;
use crate::{By, Cause, Why};

fn bye(action: &Action, of: LegId) -> bool {
    matches!(action, Action::Bye { leg, .. } if *leg == of)
}

fn close(bench: &mut Bench) {
    bench.feed(Input::Media(MediaEvent::Closed));
}

#[test]
fn an_answered_call_that_the_caller_hangs_up_is_over_on_both_sides() {
    let mut bench = talking();
    bench.now += 90_000;
    let actions = bench.feed(Input::Bye { leg: CALLER, reason: None });
    assert!(actions.iter().any(|action| bye(action, CALLEE)));
    assert!(bench.ended().is_none(), "the media has the last word");
    close(&mut bench);
    let ended = bench.ended().unwrap();
    assert_eq!(
        (ended.why.cause, ended.by, ended.talked_ms),
        (Cause::NormalClearing, By::Caller, Some(90_000))
    );
    assert!(!bench.finished);
    bench.feed(Input::Closed { leg: CALLEE });
    assert!(bench.finished && bench.timers.is_empty());
    let kinds: Vec<_> = bench.reports.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 5, "invited, sent, ringing, answered, ended: {:?}", bench.reports);
}

#[test]
fn an_answered_call_that_the_callee_hangs_up_is_over_on_both_sides() {
    let mut bench = talking();
    bench.feed(Input::Bye { leg: CALLEE, reason: Some("Q.850;cause=16".into()) });
    bench.feed(Input::Closed { leg: CALLER });
    close(&mut bench);
    assert!(bench.finished);
    assert_eq!(bench.ended().unwrap().by, By::Callee);
}

#[test]
fn byes_that_cross_end_the_call_once() {
    let mut bench = talking();
    bench.feed(Input::Bye { leg: CALLER, reason: None });
    bench.feed(Input::Bye { leg: CALLEE, reason: None });
    bench.feed(Input::Closed { leg: CALLEE });
    close(&mut bench);
    assert!(bench.finished);
    assert_eq!(bench.count(|action| matches!(action, Action::Bye { .. })), 1);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_hung_up() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    bench.feed(ringing(CALLEE));
    let actions = bench.feed(Input::Cancelled { leg: CALLER, reason: None });
    assert!(actions.iter().any(|action| matches!(action, Action::Cancel { leg } if *leg == CALLEE)));
    let actions = bench.feed(accepted(CALLEE));
    assert!(actions.iter().any(|action| bye(action, CALLEE)));
    bench.feed(Input::Closed { leg: CALLEE });
    close(&mut bench);
    assert!(bench.finished);
    let ended = bench.ended().unwrap();
    assert_eq!((ended.why.cause, ended.by, ended.talked_ms), (Cause::Cancelled, By::Caller, None));
    assert!(!bench.reports.contains(&What::Answered));
}

#[test]
fn an_answer_after_the_ring_limit_is_hung_up_and_the_next_target_rings() {
    let mut bench = Bench::new();
    bench.feed(invited(2));
    bench.feed(ringing(CALLEE));
    bench.wait();
    assert_eq!(bench.now, 1_060_000);
    let second = LegId(2);
    assert_eq!(bench.count(|action| matches!(action, Action::Invite { leg, .. } if *leg == second)), 1);
    let actions = bench.feed(accepted(CALLEE));
    assert!(actions.iter().any(|action| bye(action, CALLEE)));
    bench.feed(accepted(second));
    assert!(bench.reports.contains(&What::Answered));
    assert_eq!(bench.count(|action| matches!(action, Action::Accept { .. })), 1);
}

#[test]
fn an_answer_of_a_leg_that_was_forgotten_is_hung_up() {
    let mut bench = Bench::new();
    bench.feed(invited(2));
    bench.feed(refused(CALLEE, 503));
    let actions = bench.feed(accepted(CALLEE));
    assert!(actions.iter().any(|action| bye(action, CALLEE)));
}

#[test]
fn a_target_without_a_sign_of_life_is_left_for_the_next_within_four_seconds() {
    let mut bench = Bench::new();
    bench.feed(invited(2));
    bench.wait();
    assert_eq!(bench.now, 1_004_000);
    assert_eq!(bench.count(|action| matches!(action, Action::Invite { .. })), 2);
    bench.wait();
    let reject = bench.orders.iter().find_map(|action| match action {
        Action::Reject { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(reject, Some(503));
}

#[test]
fn a_busy_callee_makes_a_busy_caller_and_a_refusal_stops_the_hunt() {
    for (status, told, cause) in
        [(486, 486, Cause::Busy), (603, 603, Cause::Rejected), (404, 404, Cause::InvalidNumber)]
    {
        let mut bench = Bench::new();
        bench.feed(invited(if status == 486 { 1 } else { 3 }));
        bench.feed(refused(CALLEE, status));
        close(&mut bench);
        assert!(bench.finished);
        let ended = bench.ended().unwrap();
        assert_eq!((ended.why.cause, ended.why.status, ended.by), (cause, Some(status), By::Callee));
        let rejected =
            bench.count(|action| matches!(action, Action::Reject { status, .. } if *status == told));
        assert_eq!(rejected, 1);
    }
}

#[test]
fn of_several_failures_the_most_telling_one_is_told() {
    let mut bench = Bench::new();
    bench.feed(invited(3));
    bench.feed(refused(LegId(1), 486));
    bench.feed(refused(LegId(2), 503));
    bench.feed(Input::Failed { leg: LegId(3), failure: Failure::Unreachable });
    close(&mut bench);
    assert_eq!(bench.ended().unwrap().why.status, Some(486));
}

#[test]
fn a_hang_up_from_inside_ends_a_call_in_each_of_its_states() {
    let mut before = Bench::new();
    before.feed(invited(1));
    let mut ringing_ = Bench::new();
    ringing_.feed(invited(1));
    ringing_.feed(ringing(CALLEE));
    for mut bench in [before, ringing_, talking()] {
        bench.feed(Input::HangUp { reason: Some("done".into()) });
        assert!(bench.feed(Input::HangUp { reason: None }).is_empty());
        close(&mut bench);
        let ended = bench.ended().unwrap();
        assert_eq!((ended.by, ended.why.text.as_deref()), (By::Api, Some("done")));
        while bench.wait() {}
        assert!(bench.finished);
    }
}

#[test]
fn nobody_waits_for_a_target_that_gave_no_sign_of_life() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    let actions = bench.feed(Input::HangUp { reason: None });
    assert!(actions.iter().any(|action| matches!(action, Action::Abandon { leg: CALLEE })));
    close(&mut bench);
    assert!(bench.finished);
}

#[test]
fn a_hang_up_between_the_200_and_the_ack_waits_for_the_ack_before_the_bye() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    bench.feed(accepted(CALLEE));
    let actions = bench.feed(Input::HangUp { reason: None });
    assert!(actions.iter().any(|action| bye(action, CALLEE)));
    assert!(!actions.iter().any(|action| bye(action, CALLER)));
    let actions = bench.feed(Input::Acknowledged { leg: CALLER, body: None });
    assert!(actions.iter().any(|action| bye(action, CALLER)));
}

#[test]
fn a_caller_that_never_acknowledges_is_hung_up() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    bench.feed(accepted(CALLEE));
    bench.wait();
    assert_eq!(bench.count(|action| matches!(action, Action::Bye { .. })), 2);
    close(&mut bench);
    assert_eq!(bench.ended().unwrap().why.cause, Cause::Timeout);
}

#[test]
fn messages_that_come_twice_change_nothing() {
    let mut bench = talking();
    for input in [
        ringing(CALLEE),
        accepted(CALLEE),
        Input::Acknowledged { leg: CALLER, body: None },
        Input::Cancelled { leg: CALLER, reason: None },
        refused(CALLEE, 486),
    ] {
        assert!(bench.feed(input).is_empty());
    }
}

fn reinvite(leg: LegId, request: u64, body: Option<Bytes>) -> Input {
    let ask = Asked::ReInvite { body, session: SessionAsk::default() };
    Input::Asked { leg, request: RequestId(request), ask }
}

fn replied(leg: LegId, exchange: u32, status: u16, body: Option<Bytes>) -> Input {
    Input::Replied { leg, exchange, status: Some(status), body, session: SessionAsk::default() }
}

fn statuses(actions: &[Action]) -> Vec<u16> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Reply { status, .. } => Some(*status),
            _ => None,
        })
        .collect()
}

#[test]
fn a_hold_goes_through_to_the_other_side_and_is_reported_with_its_end() {
    let mut bench = talking();
    let hold = Some(Bytes::from_static(b"v=0\r\na=sendonly\r\n"));
    let actions = bench.feed(reinvite(CALLEE, 1, hold));
    assert!(matches!(&actions[..], [Action::Send { leg: CALLER, exchange: 1, .. }]));
    let actions = bench.feed(replied(CALLER, 1, 200, sdp("held")));
    assert_eq!(statuses(&actions), [200]);
    assert!(bench.reports.contains(&What::Held { by: Side::Callee }));
    bench.feed(Input::Media(MediaEvent::Silent(Side::Caller)));
    assert!(!bench.timers.contains_key(&Timer::Silence(Side::Caller)));
    bench.feed(reinvite(CALLEE, 2, sdp("again")));
    bench.feed(replied(CALLER, 2, 200, sdp("back")));
    assert!(bench.reports.contains(&What::Resumed { by: Side::Callee }));
    assert!(bench.timers.contains_key(&Timer::Silence(Side::Caller)));
}

#[test]
fn offers_of_both_sides_at_once_are_told_to_try_again() {
    let mut bench = talking();
    bench.feed(reinvite(CALLER, 1, sdp("new")));
    assert_eq!(statuses(&bench.feed(reinvite(CALLEE, 2, sdp("other")))), [491]);
    let actions = bench.feed(replied(CALLEE, 1, 491, None));
    assert!(matches!(&actions[..], [Action::Start { timer: Timer::Glare, .. }]));
    assert!((bench.timers[&Timer::Glare] - bench.now) >= 2_100);
    bench.wait();
    let actions = bench.feed(replied(CALLEE, 2, 200, sdp("fine")));
    assert_eq!(statuses(&actions), [200]);
}

#[test]
fn a_re_invite_whose_other_side_hangs_up_is_answered() {
    let mut bench = talking();
    bench.feed(reinvite(CALLER, 1, sdp("new")));
    let actions = bench.feed(Input::Bye { leg: CALLEE, reason: None });
    assert_eq!(statuses(&actions), [487]);
}

#[test]
fn a_peer_that_knows_the_call_no_more_ends_it() {
    let mut bench = talking();
    bench.feed(reinvite(CALLER, 1, sdp("new")));
    let actions = bench.feed(replied(CALLEE, 1, 481, None));
    assert_eq!(statuses(&actions), [500]);
    close(&mut bench);
    assert_eq!(bench.ended().unwrap().why.cause, Cause::Unreachable);
}

#[test]
fn a_session_is_refreshed_by_us_and_dies_when_the_peer_does_not() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    let session = SessionAsk { expires: Some(600), updates: true, ..SessionAsk::default() };
    bench.feed(Input::Accepted { leg: CALLEE, body: answered("callee"), session });
    bench.feed(Input::Acknowledged { leg: CALLER, body: None });
    assert_eq!(bench.timers[&Timer::Refresh(CALLEE)], bench.now + 300_000);
    bench.wait();
    let refresh =
        bench.count(|action| matches!(action, Action::Send { request: Outgoing::Update { .. }, .. }));
    assert_eq!(refresh, 1);
    let exchange = 1;
    bench.feed(Input::Replied { leg: CALLEE, exchange, status: Some(200), body: None, session });
    assert!(bench.timers.contains_key(&Timer::Refresh(CALLEE)));
    let session = SessionAsk { expires: Some(600), supported: true, ..SessionAsk::default() };
    let ask = Asked::Update { body: None, session };
    bench.feed(Input::Asked { leg: CALLER, request: RequestId(9), ask });
    assert_eq!(bench.timers[&Timer::Expiry(CALLER)], bench.now + 568_000);
    bench.now += 568_000;
    bench.feed(Input::Fired(Timer::Expiry(CALLER)));
    close(&mut bench);
    assert_eq!(bench.ended().unwrap().why.cause, Cause::Timeout);
}

#[test]
fn a_target_that_wants_a_longer_session_is_asked_again_once() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    let failure = Failure::Refused { status: 422, reason: None, min_session: Some(3_600) };
    bench.feed(Input::Failed { leg: CALLEE, failure: failure.clone() });
    assert_eq!(bench.count(|action| matches!(action, Action::Invite { session: 3_600, .. })), 1);
    bench.feed(Input::Failed { leg: LegId(2), failure });
    close(&mut bench);
    assert!(bench.finished);
}

#[test]
fn silence_and_the_longest_talk_end_a_call() {
    let mut silent = talking();
    silent.feed(Input::Media(MediaEvent::Silent(Side::Callee)));
    silent.wait();
    close(&mut silent);
    assert_eq!(silent.ended().unwrap().why.cause, Cause::MediaFailure);
    let mut long = talking();
    long.wait();
    close(&mut long);
    assert_eq!(long.ended().unwrap().talked_ms, Some(4 * 3_600_000));
}

#[test]
fn media_that_is_there_before_the_answer_is_reported_after_it() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    bench.feed(Input::Media(MediaEvent::Established { codec: "PCMA".into() }));
    bench.feed(accepted(CALLEE));
    let codec =
        |what: &What| matches!(what, What::MediaEstablished { codec, latency_ms: 0 } if codec == "PCMA");
    assert!(bench.reports.last().is_some_and(codec));
}

#[test]
fn a_user_is_looked_for_and_all_its_places_are_tried_before_the_next_target() {
    let mut bench = Bench::new();
    let Input::Invited(mut call) = invited(1) else { unreachable!() };
    call.plan.targets.insert(0, Target::user("alice"));
    let actions = bench.feed(Input::Invited(call));
    let ticket = actions.iter().find_map(|action| match action {
        Action::Locate { ticket, target } if target.user.as_deref() == Some("alice") => Some(*ticket),
        _ => None,
    });
    let ticket = ticket.expect("alice is looked for");
    bench.feed(Input::Located {
        ticket: ticket + 1,
        targets: Ok(plan(1).targets.into_iter().map(Found::from).collect()),
    });
    assert_eq!(bench.count(|action| matches!(action, Action::Invite { .. })), 0, "an answer to nothing");
    let places = ["sip:alice@192.0.2.1", "sip:alice@192.0.2.2"].map(Target::at).to_vec();
    bench.feed(Input::Located { ticket, targets: Ok(places.into_iter().map(Found::from).collect()) });
    bench.feed(refused(LegId(1), 486));
    bench.feed(refused(LegId(2), 486));
    let sent: Vec<&str> = bench
        .reports
        .iter()
        .filter_map(|what| match what {
            What::InviteSent { uri, .. } => Some(uri.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(sent, ["sip:alice@192.0.2.1", "sip:alice@192.0.2.2", "sip:agent@127.0.0.0"]);
}

#[test]
fn another_way_to_the_same_party_is_tried_only_where_the_first_does_not_lead_there() {
    for (first, second, expected) in [(503, 486, 3), (500, 486, 3), (486, 0, 2), (480, 0, 2)] {
        let mut bench = Bench::new();
        let Input::Invited(mut call) = invited(1) else { unreachable!() };
        call.plan.targets.insert(0, Target::at("sip:agent@agents.example"));
        let actions = bench.feed(Input::Invited(call));
        let Some(Action::Locate { ticket, .. }) = actions.last() else { panic!("{actions:?}") };
        let ways = ["sip:a@192.0.2.1", "sip:a@192.0.2.2"].map(Target::at).into_iter().enumerate();
        let ways = ways.map(|(at, target)| Found { target, is_other_way: at > 0 }).collect();
        bench.feed(Input::Located { ticket: *ticket, targets: Ok(ways) });
        bench.feed(refused(LegId(1), first));
        if second > 0 {
            bench.feed(refused(LegId(2), second));
        }
        let sent = bench.reports.iter().filter_map(|what| match what {
            What::InviteSent { uri, .. } => Some(uri.as_str()),
            _ => None,
        });
        let sent: Vec<&str> = sent.collect();
        assert_eq!((sent.len(), sent.last()), (expected, Some(&"sip:agent@127.0.0.0")), "{first}: {sent:?}");
    }
}

#[test]
fn a_user_that_is_not_registered_does_not_answer() {
    let mut bench = Bench::new();
    let Input::Invited(mut call) = invited(0) else { unreachable!() };
    call.plan.targets = vec![Target::user("alice")];
    let actions = bench.feed(Input::Invited(call));
    let Some(Action::Locate { ticket, .. }) = actions.last() else { panic!("{actions:?}") };
    let why = Why { status: Some(480), ..Cause::NoAnswer.into() };
    let actions = bench.feed(Input::Located { ticket: *ticket, targets: Err(why) });
    assert!(actions.iter().any(|action| matches!(action, Action::Reject { status: 480, .. })));
}

#[test]
fn a_name_that_nobody_finds_in_time_is_left_for_the_next_target() {
    let mut bench = Bench::new();
    let Input::Invited(mut call) = invited(1) else { unreachable!() };
    call.plan.targets.insert(0, Target::at("sip:agent@nowhere.example"));
    bench.feed(Input::Invited(call));
    assert!(bench.wait());
    assert_eq!(bench.count(|action| matches!(action, Action::Invite { .. })), 1);
}

fn refer(bench: &mut Bench) -> Vec<Action> {
    let ask = Asked::Refer { to: "sip:desk@x".into(), target: Some(Target::at("sip:desk@192.0.2.5")) };
    bench.feed(Input::Asked { leg: CALLEE, request: RequestId(1), ask })
}

#[test]
fn a_transfer_replaces_who_asked_for_it() {
    let mut bench = talking();
    let actions = refer(&mut bench);
    assert_eq!(statuses(&actions), [202]);
    let desk = LegId(2);
    let actions = bench.feed(accepted(desk));
    assert!(actions.iter().any(|action| bye(action, CALLEE)));
    let asked_anew = |action: &Action| {
        matches!(action, Action::Send { leg: CALLER, request: Outgoing::ReInvite { .. }, .. })
    };
    assert!(actions.iter().any(asked_anew));
    bench.feed(Input::Closed { leg: CALLEE });
    assert!(bench.machine.ending.is_none());
    assert!(matches!(bench.reports.last(), Some(What::TransferEnded { result: Ok(()), .. })));
    bench.feed(Input::Bye { leg: desk, reason: None });
    close(&mut bench);
    assert_eq!(bench.ended().unwrap().by, By::Callee);
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_was_unless_who_asked_has_left() {
    let mut stays = talking();
    refer(&mut stays);
    stays.feed(refused(LegId(2), 486));
    assert!(stays.machine.ending.is_none());
    let mut left = talking();
    refer(&mut left);
    left.feed(Input::Bye { leg: CALLEE, reason: None });
    assert!(left.machine.ending.is_none());
    left.feed(refused(LegId(2), 486));
    assert!(left.machine.ending.is_some());
}

#[test]
fn a_transfer_that_may_not_be_is_refused() {
    let mut bench = talking();
    let ask = Asked::Refer { to: "sip:x@y".into(), target: None };
    let actions = bench.feed(Input::Asked { leg: CALLER, request: RequestId(1), ask });
    assert_eq!(statuses(&actions), [603]);
}

#[test]
fn an_order_calls_the_first_party_then_the_second_and_connects_them() {
    let mut bench = Bench::new();
    let actions = bench.feed(dial(1, 1));
    let own = |action: &Action| matches!(action, Action::Invite { side: Side::Caller, body: Body::Own, .. });
    assert!(actions.iter().any(own));
    bench.feed(accepted(LegId(0)));
    assert!(!bench.reports.contains(&What::Answered));
    bench.feed(ringing(LegId(1)));
    bench.feed(accepted(LegId(1)));
    assert!(bench.reports.contains(&What::Answered) && bench.reports.contains(&What::Ringing));
    bench.feed(Input::HangUp { reason: None });
    assert_eq!(bench.count(|action| matches!(action, Action::Bye { .. })), 2);
}

#[test]
fn a_caller_without_an_offer_gets_ours_and_answers_it_with_the_ack() {
    let mut bench = Bench::new();
    let Input::Invited(mut late) = invited(1) else { unreachable!() };
    late.offer = None;
    bench.feed(Input::Invited(late));
    let own = |action: &Action| matches!(action, Action::Invite { body: Body::Own, .. });
    assert_eq!(bench.count(own), 1);
    let actions = bench.feed(accepted(CALLEE));
    assert!(actions.iter().any(|action| matches!(action, Action::Accept { body: Body::Offer(_), .. })));
    let actions = bench.feed(Input::Acknowledged { leg: CALLER, body: sdp("answer") });
    assert!(matches!(&actions[..], [.., Action::Take { leg: CALLER, .. }]));
}

#[test]
fn an_answer_without_media_goes_to_the_next_target() {
    let mut bench = Bench::new();
    bench.feed(invited(2));
    let accepted =
        |failure| Input::Accepted { leg: CALLEE, body: Err(failure), session: SessionAsk::default() };
    bench.feed(accepted(OwnFailure::NoAnswer));
    assert_eq!(bench.count(|action| bye(action, CALLEE)), 1);
    assert_eq!(bench.count(|action| matches!(action, Action::Invite { .. })), 2);
}

#[test]
fn an_answer_that_cannot_be_used_says_why() {
    for (failure, text) in [
        (OwnFailure::NoAnswer, "the called side answered without a session description"),
        (OwnFailure::UnusableAnswer("no codec".into()), "the called side's answer cannot be used: no codec"),
    ] {
        let mut bench = Bench::new();
        bench.feed(invited(1));
        bench.feed(Input::Accepted { leg: CALLEE, body: Err(failure), session: SessionAsk::default() });
        assert_eq!(bench.count(|action| matches!(action, Action::Reject { status: 488, .. })), 1);
        close(&mut bench);
        let why = &bench.ended().unwrap().why;
        assert_eq!(
            (why.cause, why.status, why.text.as_deref()),
            (Cause::MediaFailure, Some(488), Some(text))
        );
    }
}

#[test]
fn limits_that_pass_before_an_answer_are_told_apart() {
    let mut bench = Bench::new();
    bench.feed(invited(1));
    bench.feed(Input::Progress { leg: CALLEE, status: 100, body: None });
    assert_eq!(bench.timers[&Timer::Ring(CALLEE)] - bench.now, Duration::from_secs(60).as_millis() as u64);
    bench.wait();
    close(&mut bench);
    assert_eq!(bench.ended().unwrap().why.cause, Cause::NoAnswer);
    assert_eq!(side_of(CALLEE), Side::Callee);
}
