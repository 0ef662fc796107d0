//! Sealed recordings: here and in the object store only who has the key can hear them.

use bytes::Bytes;
use pegcount_sealed::{Keys, Source};

use super::*;

fn line() -> String {
    Keys::generate().unwrap()
}

fn keys(lines: &[&str]) -> Keys {
    Keys::parse(&lines.join("\n")).unwrap()
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|part| part == word)
}

#[tokio::test]
async fn a_recording_that_was_in_the_clear_is_sealed_on_its_way_to_the_store_and_heard_from_there() {
    let key = keys(&[&line()]);
    let lab = Lab::sealed_with(Some(key.clone())).await;
    let sound: Vec<u8> = b"every word that was said. ".repeat(150_000);
    lab.recorded("c", &sound).await;
    let object = Object::parse("1.c.mp3").unwrap();
    assert!(lab.heard(&object, 0..u64::MAX).await == sound);
    lab.run("recording_upload").await.unwrap();
    assert!(!lab.file("1.c.mp3").exists());
    let got = lab.gated.memory.get(&Path::from("a/b/1.c.mp3")).await.unwrap();
    assert_eq!(got.attributes.get(&Attribute::ContentType).unwrap().as_ref(), "application/octet-stream");
    let stored = got.bytes().await.unwrap();
    assert!(stored.len() > sound.len() && !has(&stored, b"word"));
    // A link to the store would lead to what nobody can play.
    assert!(
        !lab.shelf.may_link_away() && lab.shelf.link_away(&object, Timestamp::from_millis(TEN)).is_none()
    );
    let recording = lab.shelf.find(&object).await.unwrap().unwrap();
    assert_eq!(recording.length(), sound.len() as u64);
    assert!(lab.heard(&object, 0..u64::MAX).await == sound);
    for part in [1..4_u64, 65_535..65_537, 70_000..2_500_000, 3_899_999..9_000_000] {
        let wanted = part.start as usize..(part.end as usize).min(sound.len());
        assert!(lab.heard(&object, part.clone()).await == sound[wanted], "{part:?}");
    }
    // One that went there before there were keys.
    let clear = Bytes::from_static(b"an older sound");
    lab.gated.memory.put(&Path::from("a/b/1.old.mp3"), clear.into()).await.unwrap();
    assert_eq!(lab.heard(&Object::parse("1.old.mp3").unwrap(), 3..8).await, b"older");
}

#[tokio::test]
async fn a_sealed_recording_in_the_store_that_was_changed_or_cut_is_no_answer() {
    let key = keys(&[&line()]);
    let lab = Lab::sealed_with(Some(key)).await;
    lab.recorded("c", &[7; 200_000]).await;
    lab.run("recording_upload").await.unwrap();
    let (object, at) = (Object::parse("1.c.mp3").unwrap(), Path::from("a/b/1.c.mp3"));
    let stored = lab.gated.memory.get(&at).await.unwrap().bytes().await.unwrap();
    let mut changed = stored.to_vec();
    changed[100_000] ^= 1;
    for bytes in [Bytes::from(changed), stored.slice(..150_000)] {
        lab.gated.memory.put(&at, bytes.into()).await.unwrap();
        let recording = lab.shelf.find(&object).await.unwrap().unwrap();
        let read: Result<Vec<_>, _> = recording.read(0..200_000).try_collect().await;
        assert!(read.is_err());
    }
}

#[tokio::test]
async fn recordings_here_are_sealed_anew_when_the_key_has_changed_and_keep_their_time() {
    let lines = [line(), line()];
    let lab = Lab::new().await;
    fs::create_dir(lab.file("speech")).unwrap();
    let names = ["1.a.mp3", "1.b.wav", "speech/1.a.wav"];
    for name in names {
        fs::write(lab.file(name), b"RIFF sound").unwrap();
    }
    fs::write(lab.file("notes.txt"), b"not ours").unwrap();
    let before = fs::metadata(lab.file("1.a.mp3")).unwrap().modified().unwrap();
    let first = lab.shelf.clone().sealed_with(Some(keys(&[&lines[0]])));
    assert_eq!(first.sealed_here().unwrap(), [(None, 3)].into());
    assert_eq!((first.reseal_all().unwrap(), first.reseal_all().unwrap()), (3, 0));
    let both = keys(&[&lines[1], &lines[0]]);
    let second = lab.shelf.clone().sealed_with(Some(both.clone()));
    assert_eq!(second.sealed_here().unwrap(), [(Some(keys(&[&lines[0]]).sealing()), 3)].into());
    assert_eq!(second.reseal_all().unwrap(), 3);
    let newest = keys(&[&lines[1]]);
    for name in names {
        let source = Source::open(&lab.file(name), Some(&newest)).unwrap();
        assert_eq!(source.piece(0).unwrap(), b"RIFF sound");
    }
    assert_eq!(fs::metadata(lab.file("1.a.mp3")).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read(lab.file("notes.txt")).unwrap(), b"not ours");
    assert_eq!(fs::read_dir(lab.file("")).unwrap().count(), 4);
    // Without the key that it is sealed with nothing is touched.
    let other = lab.shelf.clone().sealed_with(Some(keys(&[&line()])));
    assert!(other.reseal_all().is_err() && other.sealed_here().is_err());
}

#[tokio::test]
async fn what_a_kill_left_of_a_recording_in_the_clear_goes_at_the_next_start_and_nothing_else_does() {
    let lab = Lab::new().await;
    fs::create_dir(lab.file("speech")).unwrap();
    for name in ["1.a.mp3", "1.a.mp3.resealed", "1.b.part", "speech/1.a.wav.resealed", "speech/1.a.wav"] {
        fs::write(lab.file(name), b"sound").unwrap();
    }
    lab.shelf.tidy();
    for (name, stays) in [("1.a.mp3", true), ("1.a.mp3.resealed", false), ("1.b.part", true)] {
        assert_eq!(lab.file(name).exists(), stays, "{name}");
    }
    assert_eq!(fs::read_dir(lab.file("speech")).unwrap().count(), 1);
}
