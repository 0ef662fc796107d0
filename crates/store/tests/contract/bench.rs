//! What the tests are made with: short ways to calls and to keep them.

use pegcount_calls::{
    Analysis, Bill, Call, CallName, CallQuery, CallType, Cause, Content, Direction, Document, Ending,
    EndpointName, EventId, PhoneNumberName, SourceName, State, Timestamp,
};
use pegcount_store::{Basis, CallHead, OrganizationNumber, Page, Report, Store};
use uuid::Uuid;

pub(crate) const OURS: OrganizationNumber = OrganizationNumber(1);
pub(crate) const THEIRS: OrganizationNumber = OrganizationNumber(2);

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn name(text: &str) -> CallName {
    CallName::new(text).unwrap()
}

pub(crate) fn endpoint(text: &str) -> EndpointName {
    EndpointName::new(text).unwrap()
}

pub(crate) fn phone_number(text: &str) -> PhoneNumberName {
    PhoneNumberName::new(text).unwrap()
}

pub(crate) fn native() -> SourceName {
    SourceName::new("native").unwrap()
}

pub(crate) fn json(text: &str) -> Document {
    Document::from_json_text(text)
}

/// A call being set up since then.
pub(crate) fn call(created_millis: i64) -> Call {
    Call {
        created_at: at(created_millis),
        ringing_at: None,
        state: State::Initiated,
        direction: Direction::Inbound,
        call_type: CallType::Phone,
        from_number: None,
        to_number: None,
        endpoint: None,
        phone_number: None,
        opt_out: false,
        content: Content::default(),
    }
}

/// How a call ended that talked for so long; without, it was never answered.
pub(crate) fn end(ended_millis: i64, talked_millis: Option<i64>, cause: Cause) -> State {
    State::Ended(Ending {
        answered_at: talked_millis.map(|talked| at(ended_millis - talked)),
        ended_at: at(ended_millis),
        cause,
        by: None,
        transfer: false,
        failed: false,
        inferred: false,
    })
}

/// A call with these pairs as its metadata.
pub(crate) fn with_metadata(created_millis: i64, pairs: &[(&str, &str)]) -> Call {
    let mut call = call(created_millis);
    call.content.metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), json(value))).collect();
    call
}

/// A call that has ended with this transcript and summary.
pub(crate) fn with_words(created_millis: i64, transcript: &str, summary: Option<&str>) -> Call {
    let mut call = Call { state: end(created_millis, None, Cause::Busy), ..call(created_millis) };
    call.content.transcript_text = Some(transcript.to_owned());
    call.content.analysis =
        summary.map(|summary| Analysis { summary: Some(summary.to_owned()), ..Analysis::default() });
    call
}

pub(crate) fn report(id: &str, at_millis: i64) -> Report {
    Report {
        id: EventId::new(id).unwrap(),
        at: at(at_millis),
        at_given: true,
        received_at: at(at_millis + 7),
        source: native(),
        kind: "call_initiated".to_owned(),
        data: json(r#"{"digit":"5"}"#),
        blanked: false,
    }
}

/// Keeps a call of ours with one event.
pub(crate) async fn keep(store: &dyn Store, id: &str, call: &Call) -> CallHead {
    keep_with(store, OURS, id, call, &Bill::default(), call.phone_number.as_ref()).await
}

/// Keeps a call with one event.
pub(crate) async fn keep_with(
    store: &dyn Store,
    organization: OrganizationNumber,
    id: &str,
    call: &Call,
    bill: &Bill,
    phone_number: Option<&PhoneNumberName>,
) -> CallHead {
    let mut transaction = store.begin().await.unwrap();
    let head = transaction.open_call(organization, &name(id), Uuid::now_v7()).await.unwrap();
    transaction.append(head.key, &[report("e1", call.created_at.millis())]).await.unwrap();
    let basis = Basis { phone_number: phone_number.cloned(), ..Basis::default() };
    transaction.save(head.key, call, bill, &basis).await.unwrap();
    transaction.commit().await.unwrap();
    head
}

/// Saves a call that is kept already, as it is now.
pub(crate) async fn save_again(store: &dyn Store, head: &CallHead, call: &Call) {
    let mut transaction = store.begin().await.unwrap();
    let basis = Basis { phone_number: call.phone_number.clone(), ..Basis::default() };
    transaction.save(head.key, call, &Bill::default(), &basis).await.unwrap();
    transaction.commit().await.unwrap();
}

pub(crate) fn names(page: &Page) -> Vec<&str> {
    page.calls.iter().map(|filed| filed.head.name.as_str()).collect()
}

/// The names of our calls that a query means, joined, and that their count is the total.
pub(crate) async fn found(store: &dyn Store, query: CallQuery) -> String {
    let page = store.calls(OURS, &query).await.unwrap();
    assert_eq!(page.total, Some(page.calls.len().try_into().unwrap()));
    names(&page).join(" ")
}
