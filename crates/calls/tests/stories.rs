//! The stories of `tests/stories`: what the contract says of calls, told by example.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test is made with may fail loudly too")]

mod story;

use pegcount_calls::History;

#[test]
fn every_story_comes_out_as_it_is_told() {
    let stories = story::all();
    let faults: String =
        stories.iter().map(|story| story.faults(&History::of(story.events.clone()).unwrap())).collect();
    assert!(faults.is_empty(), "\n{faults}");
    assert!(stories.len() > 200, "only {} stories were found", stories.len());
}

#[test]
fn a_story_that_comes_out_otherwise_is_told_with_its_place() {
    let told = story::stories("file", "# A call\n10:00:00 initiated => status=ringing");
    let faults = told[0].faults(&History::of(told[0].events.clone()).unwrap());
    assert!(faults.contains("file:2: A call"), "{faults}");
    assert!(faults.contains("status is \"initiated\", not \"ringing\""), "{faults}");
}

#[test]
#[should_panic(expected = "not understood")]
fn a_field_that_an_event_does_not_have_is_refused() {
    story::stories("file", "# A call\n10:00:00 ringing loudly=yes => status=ringing");
}

#[test]
#[should_panic(expected = "shape")]
fn a_question_that_has_no_answer_is_refused() {
    let told = story::stories("file", "# A call\n10:00:00 ringing => shape=round");
    told[0].faults(&History::of(told[0].events.clone()).unwrap());
}
