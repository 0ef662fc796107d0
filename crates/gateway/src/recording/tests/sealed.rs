//! Recordings that only who has the key can hear.

use std::io::Read;

use pegcount_sealed::{Keys, Source};

use super::*;

fn keys() -> Keys {
    Keys::parse(&Keys::generate().expect("random bytes")).expect("a key")
}

fn sealing(folder: &Path, keys: &Keys) -> RecorderConfig {
    RecorderConfig { speech: true, keys: Some(keys.clone()), ..RecorderConfig::new(folder, None) }
}

fn opened(path: &Path, keys: &Keys) -> Vec<u8> {
    let source = Source::open(path, Some(keys)).expect("a sealed file");
    assert_eq!(source.key(), Some(keys.sealing()), "{}", path.display());
    let mut bytes = Vec::new();
    source.cursor().read_to_end(&mut bytes).expect("the file");
    bytes
}

#[test]
fn a_sealed_recording_is_told_as_it_is_in_the_clear_and_told_again_likewise() {
    let (folder, keys) = (TempDir::new().expect("a folder"), keys());
    let (recorder, mut reports) = started(&sealing(folder.path(), &keys));
    record(&recorder, "call-1", two_tones());
    let made = recorded(&mut reports);
    let bytes = opened(&made.path, &keys);
    assert_eq!((made.bytes, made.sha256), (bytes.len() as u64, Sha256::digest(&bytes).into()));
    assert!(strength(&played_wav(&bytes).0[0][9_600..86_400], 440.0) > 0.45);
    let (speech, rate) = played_wav(&opened(&folder.path().join("speech/call-1.wav"), &keys));
    assert_eq!((speech.len(), rate), (2, 16_000));
    let told = Recorder::retell(&made.path, Some(&keys)).expect("read").expect("a recording");
    assert_eq!((told.bytes, told.sha256, told.duration), (made.bytes, made.sha256, made.duration));
    assert!(Recorder::retell(&made.path, None).is_err());
}

#[test]
fn a_sealed_journal_says_nothing_and_what_a_stop_left_of_it_becomes_a_recording() {
    let (folder, keys) = (TempDir::new().expect("a folder"), keys());
    let (recorder, _reports) = started(&sealing(folder.path(), &keys));
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    // In the clear this would be seen.
    let mut frame = Sender::new(Side::Caller, Codec::Pcmu, 440.0).frame();
    frame.payload = bytes::Bytes::from_static(&[0x55; 160]);
    two_tones().into_iter().for_each(|frame| recording.tap().offer(frame));
    recording.tap().offer(frame);
    recorder.stop();
    let journal = folder.path().join("journals/call-1.journal");
    let mut bytes = fs::read(&journal).expect("a journal");
    assert!(
        !bytes.windows(8).any(|part| part == [0x55; 8]) && !bytes.windows(6).any(|part| part == b"call-1")
    );
    assert_eq!(Recorder::keys_of_journals(folder.path()).expect("a folder"), [Some(keys.sealing())]);
    // As a kill within a piece leaves it.
    let whole = bytes.len();
    bytes.extend_from_within(8..100);
    fs::write(&journal, &bytes).expect("written");
    // Without its key it stays for whoever has it.
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    let Some(Report::Failed { reason, .. }) = reports.blocking_recv() else { panic!("no failure") };
    assert!(reason.contains(&keys.sealing().to_string()), "{reason}");
    assert!(recorder.left_over().is_empty());
    recorder.stop();
    let (recorder, mut reports) = started(&sealing(folder.path(), &keys));
    let [left_over] = recorder.left_over().try_into().expect("one");
    assert_eq!((left_over.call.as_str(), left_over.started_at), ("call-1", at(0)));
    recorder.end_left_over(&left_over, ending(2_000)).expect("ended");
    let made = recorded(&mut reports);
    assert_eq!(
        made.flaws,
        Flaws { packets_surplus: made.flaws.packets_surplus, interrupted: true, ..Flaws::default() }
    );
    assert!(made.duration >= Duration::from_secs(2), "{:?} of {whole} bytes", made.duration);
    opened(&made.path, &keys);
    assert!(journals(folder.path()).is_empty());
}

#[test]
fn what_lies_there_in_the_clear_is_finished_after_keys_are_given() {
    let (folder, keys) = (TempDir::new().expect("a folder"), keys());
    let (recorder, _reports) = started(&RecorderConfig::new(folder.path(), None));
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    two_tones().into_iter().for_each(|frame| recording.tap().offer(frame));
    recorder.stop();
    assert_eq!(Recorder::keys_of_journals(folder.path()).expect("a folder"), [None]);
    let (recorder, mut reports) = started(&sealing(folder.path(), &keys));
    let [left_over] = recorder.left_over().try_into().expect("one");
    recorder.end_left_over(&left_over, ending(2_000)).expect("ended");
    opened(&recorded(&mut reports).path, &keys);
}
