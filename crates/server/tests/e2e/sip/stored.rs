//! A call that is really recorded, and heard from the object store.

use super::{audio::Heard, lab::Place};
use crate::{
    s3::{S3, SECRET},
    server::PATIENCE,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_call_is_heard_from_the_object_store() {
    let mut place = Place::usual();
    let mut s3 = S3::at(format!("{}:9000", place.network.ip(9)).parse().expect("an address"));
    s3.start().await;
    let config = place.network.config(None, &s3.config("presigned", SECRET));
    place.configure(&config);
    let scene = place.start().await;
    let (mut caller, callee) = scene.carrier.talk_to(&scene.agent).await;
    let mut tone = scene.carrier.sing(caller.heard.expect("media"), 440.0, 50);
    tone.ends().await;
    caller.hang_up().await;
    callee.hung_up().await;
    let lab = scene.lab;
    let call = lab.call("completed").await;
    let recording = lab.event(&call, "recording_ready").await;
    let object = s3.object(recording["object"].as_str().expect("an object"));
    let here = place.home.data().join("recordings").join(recording["object"].as_str().expect("an object"));
    lab.wait("the recording in the store", async || (object.exists() && !here.exists()).then_some(())).await;

    let shown = lab.details(&call).await;
    let link = shown["recording_url"].as_str().expect("a link");
    assert!(link.starts_with(&s3.url()), "{link}");
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
    let answer = client.get(link).send().await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"audio/mpeg".parse().unwrap())
    );
    let audio = answer.bytes().await.expect("bytes").to_vec();
    assert_eq!(recording["size_bytes"], audio.len());
    let heard = Heard::of_mp3(audio);
    assert!(heard.strength(0, 440.0) > 0.3, "{}", heard.strength(0, 440.0));
}
