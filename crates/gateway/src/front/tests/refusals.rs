//! Attempts that are refused: what is reported of them, and how much of a flood.

use super::*;
use crate::{Attempt, Denial, call::tests::phone::SDP, guard::RECORDED};

/// A directory that routes no call.
struct Nowhere;

impl Routes for Nowhere {
    fn route(&self, _: &Ask) -> Result<Plan, Denial> {
        let attempt = Attempt {
            account: "7".into(),
            note: "noted".into(),
            direction: Direction::Inbound,
            headers: vec!["X-Ref".into()],
        };
        let (cause, reason) = (crate::Cause::InvalidNumber, "unknown_number");
        Err(Denial { cause, reason, text: "there is no such number", attempt: Some(attempt) })
    }

    fn transfer(&self, _: &TransferAsk<'_>) -> Option<Target> {
        None
    }
}

async fn nowhere() -> Lab {
    let folder = TempDir::new().unwrap();
    let config = config(&folder, trunk());
    let (gateway, reports) = Gateway::start(config, Arc::new(Nowhere), Arc::new(now)).await.unwrap();
    Lab { gateway, routes: Arc::default(), reports, folder }
}

#[tokio::test]
async fn a_refused_call_of_a_trunk_is_reported_once() {
    let mut lab = nowhere().await;
    let caller = lab.phone().await;
    let invite = caller.invitation("refused", SDP).replace("Contact:", "X-Ref: 1\r\nX-Other: 2\r\nContact:");
    for _ in 0..3 {
        caller.say(&invite).await;
        caller.expect("SIP/2.0 404").await;
    }
    let report = lab.report().await;
    let What::Denied(denied) = &report.what else { panic!("{report:?}") };
    assert_eq!((&*report.account, &*denied.note, denied.trunk.as_deref()), ("7", "noted", Some("carrier")));
    assert_eq!((denied.from.as_str(), denied.to.as_str()), ("4930123", "5551234"));
    assert_eq!(denied.identity.headers, [("X-Ref".to_owned(), "1".to_owned())]);
    assert_eq!((denied.why.status, denied.why.text.as_deref()), (Some(404), Some("there is no such number")));
    assert!(lab.reports.try_recv().is_err(), "the same INVITE is the same attempt");
    assert_eq!(lab.gateway.counts().refused.by_reason["unknown_number"], 1);
    lab.nothing_left().await;
}

#[tokio::test]
async fn a_flood_of_refused_calls_is_reported_within_a_bound() {
    let mut lab = nowhere().await;
    let caller = lab.phone().await;
    let flood = RECORDED.burst + 100;
    for number in 0..flood {
        caller.say(&caller.invitation(&format!("flood{number}"), SDP)).await;
        caller.expect("SIP/2.0 404").await;
    }
    let counts = lab.gateway.counts().refused;
    assert_eq!(counts.by_reason["unknown_number"], u64::from(flood));
    let mut reported = 0;
    while lab.reports.try_recv().is_ok() {
        reported += 1;
    }
    assert_eq!(reported + counts.unrecorded, u64::from(flood));
    assert!(reported >= u64::from(RECORDED.burst) && counts.unrecorded > 0, "{reported} were reported");
}

#[tokio::test]
async fn an_offer_without_a_common_codec_says_so() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    caller.invite_with("codec", &SDP.replace("RTP/AVP", "RTP/SAVP")).await;
    caller.expect("SIP/2.0 488").await;
    let told = lab.until(is_ended).await;
    let What::Ended(ended) = &told[told.len() - 1].what else { panic!("{told:?}") };
    assert_eq!(ended.why.status, Some(488));
    assert!(ended.why.text.as_deref().is_some_and(|text| !text.is_empty()), "{ended:?}");
    assert_eq!(lab.gateway.counts().refused.by_reason["codec"], 1);
}
