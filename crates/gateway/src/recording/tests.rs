//! The recorder from the tap to the file.

mod sealed;

use std::{
    fs,
    io::{self, BufRead, BufReader, Cursor, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pegcount_lame::Lame;
use sha2::{Digest, Sha256};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions, formats::TrackType, formats::probe::Hint, io::MediaSourceStream,
};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use super::{
    samples::{Sender, heard, strength},
    *,
};
use crate::{Frame, Side};

/// Where the program that is to be killed writes.
const DOOMED: &str = "PEGCOUNT_TEST_DOOMED_RECORDINGS";

fn lame() -> Option<Lame> {
    match Lame::load(None) {
        Ok(lame) => Some(lame),
        Err(error) => {
            // Not the macro, whose words are kept back when a test passes.
            let _ = writeln!(io::stderr(), "SKIPPED, nothing was tested of MP3: {error}");
            None
        }
    }
}

fn started(config: &RecorderConfig) -> (Recorder, Receiver<Report>) {
    Recorder::start(config).expect("a recorder")
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_790_000_000_000 + millis)
}

fn ending(millis: u64) -> Ending {
    Ending { reason: "normal clearing".to_owned(), ended_at: at(millis) }
}

/// Two seconds of both sides.
fn two_tones() -> Vec<Frame> {
    heard([
        Sender::new(Side::Caller, Codec::Pcmu, 440.0).frames(100),
        Sender::new(Side::Callee, Codec::G722, 1_500.0).frames(100),
    ])
}

fn record(recorder: &Recorder, call: &str, frames: Vec<Frame>) {
    let recording = recorder.begin(call, at(0)).expect("begun");
    let tap = recording.tap();
    frames.into_iter().for_each(|frame| tap.offer(frame));
    recording.end(ending(2_000));
}

fn recorded(reports: &mut Receiver<Report>) -> Recorded {
    match reports.blocking_recv() {
        Some(Report::Recorded(recorded)) => recorded,
        other => panic!("no recording: {other:?}"),
    }
}

/// The samples of each channel, and how many there are a second.
fn played(recorded: &Recorded) -> (Vec<Vec<f32>>, u32) {
    let bytes = fs::read(&recorded.path).expect("the file");
    assert_eq!(recorded.bytes, bytes.len() as u64);
    assert_eq!(recorded.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
    match recorded.format {
        Format::Mp3 => played_mp3(bytes),
        Format::Wav => played_wav(&bytes),
    }
}

fn played_mp3(bytes: Vec<u8>) -> (Vec<Vec<f32>>, u32) {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, Default::default(), Default::default())
        .expect("an MP3");
    let track = format.default_track(TrackType::Audio).expect("a track");
    let parameters = track.codec_params.as_ref().and_then(|all| all.audio()).expect("audio");
    let rate = parameters.sample_rate.expect("a rate");
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .expect("a decoder");
    let mut channels = Vec::new();
    while let Some(packet) = format.next_packet().expect("a packet") {
        let audio = decoder.decode(&packet).expect("a frame");
        let mut samples = vec![0_f32; audio.samples_interleaved()];
        audio.copy_to_slice_interleaved(&mut samples);
        let count = audio.spec().channels().count();
        channels.resize(count, Vec::new());
        for (at, sample) in samples.into_iter().enumerate() {
            channels[at % count].push(sample);
        }
    }
    (channels, rate)
}

fn played_wav(bytes: &[u8]) -> (Vec<Vec<f32>>, u32) {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((number(4) as usize, number(40) as usize), (bytes.len() - 8, bytes.len() - 44));
    let count = usize::from(bytes[22]);
    let mut channels = vec![Vec::new(); count];
    for (at, sample) in bytes[44..].chunks_exact(2).enumerate() {
        channels[at % count].push(f32::from(i16::from_le_bytes([sample[0], sample[1]])) / 32_768.0);
    }
    (channels, number(24))
}

fn assert_lasts(channels: &[Vec<f32>], seconds: f64) {
    for channel in channels {
        let lasts = channel.len() as f64 / 48_000.0;
        assert!((lasts - seconds).abs() < 0.06, "{lasts} s");
    }
}

fn journals(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("journals")).expect("journals").map(|entry| entry.expect("one").path()).collect()
}

#[test]
fn a_mono_mp3_has_both_sides_in_one_channel() {
    let Some(lame) = lame() else { return };
    let folder = TempDir::new().expect("a folder");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), Some(lame)));
    record(&recorder, "call-1", two_tones());
    let made = recorded(&mut reports);
    assert_eq!((made.call.as_str(), made.format, made.channels), ("call-1", Format::Mp3, 1));
    assert_eq!(
        (made.duration, made.begins_at, made.flaws),
        (Duration::from_secs(2), at(0), Flaws::default())
    );
    assert_eq!(made.path, folder.path().join("call-1.mp3"));
    let (channels, rate) = played(&made);
    assert_eq!((channels.len(), rate), (1, 48_000));
    assert_lasts(&channels, 2.0);
    let middle = &channels[0][9_600..86_400];
    assert!(strength(middle, 440.0) > 0.4 && strength(middle, 1_500.0) > 0.4);
    assert!(strength(middle, 1_000.0) < 0.01);
    // 64 kbit/s.
    assert!((15_000..18_000).contains(&made.bytes), "{}", made.bytes);
    assert!(journals(folder.path()).is_empty());
    assert_eq!(recorder.counts().recorded, 1);
}

#[test]
fn a_stereo_mp3_has_the_caller_on_the_left_and_the_callee_on_the_right() {
    let Some(lame) = lame() else { return };
    let folder = TempDir::new().expect("a folder");
    let config = RecorderConfig { layout: Layout::Stereo, ..RecorderConfig::new(folder.path(), Some(lame)) };
    let (recorder, mut reports) = started(&config);
    record(&recorder, "call-1", two_tones());
    let made = recorded(&mut reports);
    let (channels, _) = played(&made);
    assert_eq!((channels.len(), made.channels), (2, 2));
    assert_lasts(&channels, 2.0);
    for (channel, own, others) in [(0, 440.0, 1_500.0), (1, 1_500.0, 440.0)] {
        let middle = &channels[channel][9_600..86_400];
        assert!(strength(middle, own) > 0.4 && strength(middle, others) < 0.01, "channel {channel}");
    }
}

#[test]
fn both_sides_are_kept_apart_for_recognisers_of_speech_when_that_is_wanted() {
    let folder = TempDir::new().expect("a folder");
    let config = RecorderConfig { speech: true, ..RecorderConfig::new(folder.path(), None) };
    let (recorder, mut reports) = started(&config);
    record(&recorder, "call-1", two_tones());
    assert_eq!(recorded(&mut reports).channels, 1);
    let bytes = fs::read(folder.path().join("speech/call-1.wav")).expect("the file");
    let (channels, rate) = played_wav(&bytes);
    assert_eq!((channels.len(), rate, channels[0].len()), (2, 16_000, 32_000));
    // As if they were at 48 kHz: each tone is three times as high.
    for (channel, own, others) in [(0, 1_320.0, 4_500.0), (1, 4_500.0, 1_320.0)] {
        let middle = &channels[channel][3_200..28_800];
        assert!(strength(middle, own) > 0.4 && strength(middle, others) < 0.01, "channel {channel}");
    }
    // A call without media leaves none either, and the pieces of a run that was killed go away.
    fs::write(folder.path().join("speech/call-3.part"), "").expect("written");
    record(&recorder, "call-2", Vec::new());
    assert!(matches!(reports.blocking_recv(), Some(Report::Empty { .. })));
    recorder.stop();
    let (_recorder, _reports) = started(&config);
    let left = fs::read_dir(folder.path().join("speech")).expect("the folder").count();
    assert_eq!(left, 1);
}

#[test]
fn without_lame_a_recording_is_a_wav_file() {
    for (layout, count) in [(Layout::Mono, 1), (Layout::Stereo, 2)] {
        let folder = TempDir::new().expect("a folder");
        let (recorder, mut reports) =
            started(&RecorderConfig { layout, ..RecorderConfig::new(folder.path(), None) });
        record(&recorder, "call-1", two_tones());
        let made = recorded(&mut reports);
        let (channels, rate) = played(&made);
        assert_eq!((channels.len(), rate, made.format), (count, 48_000, Format::Wav));
        assert_eq!(channels[0].len(), 96_000);
        assert!(strength(&channels[0][9_600..86_400], 440.0) > 0.45);
        assert!(strength(&channels[count - 1][9_600..86_400], 1_500.0) > 0.4);
    }
}

#[test]
fn payload_types_that_are_told_during_the_call_count_from_then_on() {
    let folder = TempDir::new().expect("a folder");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    recording.payloads(Side::Caller, [(96, Codec::Opus, 48_000)].into_iter().collect());
    let tap = recording.tap();
    Sender::new(Side::Caller, Codec::Opus, 1_000.0).frames(50).into_iter().for_each(|frame| tap.offer(frame));
    recording.end(ending(1_000));
    let made = recorded(&mut reports);
    assert_eq!((made.duration, made.flaws), (Duration::from_secs(1), Flaws::default()));
    assert!(strength(&played(&made).0[0][9_600..40_000], 1_000.0) > 0.2);
}

#[test]
fn calls_are_recorded_side_by_side() {
    let folder = TempDir::new().expect("a folder");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    let frames = two_tones();
    let calls: Vec<CallRecording> =
        (0..10).map(|call| recorder.begin(&format!("call-{call}"), at(0)).expect("begun")).collect();
    for frame in frames {
        calls.iter().for_each(|call| call.tap().offer(frame.clone()));
    }
    calls.into_iter().for_each(|call| call.end(ending(2_000)));
    let mut made: Vec<Recorded> = (0..10).map(|_| recorded(&mut reports)).collect();
    made.sort_by(|one, other| one.call.cmp(&other.call));
    assert!(made.iter().all(|one| one.sha256 == made[0].sha256 && one.duration == Duration::from_secs(2)));
    assert_eq!(
        made.iter().map(|one| one.call.clone()).collect::<Vec<_>>(),
        (0..10).map(|call| format!("call-{call}")).collect::<Vec<_>>()
    );
}

#[test]
fn a_recording_whose_handle_is_lost_ends_with_its_last_frame() {
    let folder = TempDir::new().expect("a folder");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    two_tones().into_iter().for_each(|frame| recording.tap().offer(frame));
    drop(recording);
    assert_eq!(recorded(&mut reports).duration, Duration::from_secs(2));
}

#[test]
fn a_call_without_media_leaves_no_file() {
    let folder = TempDir::new().expect("a folder");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    record(&recorder, "call-1", Vec::new());
    assert_eq!(reports.blocking_recv(), Some(Report::Empty { call: "call-1".to_owned() }));
    recorder.stop();
    let names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").map(|one| one.expect("one").file_name()).collect();
    assert_eq!(names, ["journals"]);
}

#[test]
fn what_finds_no_room_is_counted_and_told() {
    let folder = TempDir::new().expect("a folder");
    let config = RecorderConfig { frames: 40, ..RecorderConfig::new(folder.path(), None) };
    let (recorder, mut reports) = started(&config);
    // More at once than the writer can have taken.
    let frame = Sender::new(Side::Caller, Codec::Pcmu, 440.0).frame();
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    let tap = recording.tap();
    while tap.dropped() == 0 {
        tap.offer(frame.clone());
    }
    let dropped = tap.dropped();
    recording.end(ending(1_000));
    assert_eq!(recorded(&mut reports).flaws.frames_dropped, dropped);
    assert_eq!(recorder.counts().frames_dropped, dropped);
}

#[test]
fn a_journal_of_the_greatest_size_is_cut_and_the_recording_says_so() {
    let folder = TempDir::new().expect("a folder");
    let config = RecorderConfig { journal_limit: 10_000, ..RecorderConfig::new(folder.path(), None) };
    let (recorder, mut reports) = started(&config);
    record(&recorder, "call-1", two_tones());
    let made = recorded(&mut reports);
    assert!(made.flaws.cut);
    assert!((400..600).contains(&made.duration.as_millis()), "{:?}", made.duration);
    assert_eq!(recorder.counts().journals_cut, 1);
}

#[test]
fn a_disk_that_takes_no_journal_is_told_and_the_call_goes_on() {
    let folder = TempDir::new().expect("a folder");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    fs::remove_dir(folder.path().join("journals")).expect("removed");
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    let Some(Report::DiskError { call, .. }) = reports.blocking_recv() else { panic!("a disk error") };
    assert_eq!((call.as_str(), recorder.counts().disk_errors), ("call-1", 1));
    two_tones().into_iter().for_each(|frame| recording.tap().offer(frame));
    recording.end(ending(2_000));
}

#[test]
fn a_recording_that_cannot_be_kept_is_told_and_made_at_the_next_start() {
    let folder = TempDir::new().expect("a folder");
    // A folder stands where the file should.
    fs::create_dir_all(folder.path().join("call-1.wav/x")).expect("made");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    record(&recorder, "call-1", two_tones());
    assert!(matches!(reports.blocking_recv(), Some(Report::Failed { call, .. }) if call == "call-1"));
    recorder.stop();
    assert_eq!(journals(folder.path()).len(), 1);
    fs::remove_dir_all(folder.path().join("call-1.wav")).expect("removed");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    assert_eq!(recorded(&mut reports).duration, Duration::from_secs(2));
    assert!(recorder.left_over().is_empty());
}

#[test]
fn a_call_whose_name_is_no_file_name_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let (recorder, _reports) = started(&RecorderConfig::new(folder.path(), None));
    for name in ["", ".", "../call", "a/b", ".hidden", "a b", "é", "a\0", &"a".repeat(129)] {
        assert_eq!(recorder.begin(name, at(0)).err(), Some(BeginError::Name), "{name:?}");
    }
}

#[test]
fn a_call_that_a_stop_left_is_ended_after_the_next_start() {
    let folder = TempDir::new().expect("a folder");
    let (recorder, _reports) = started(&RecorderConfig::new(folder.path(), None));
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    two_tones().into_iter().for_each(|frame| recording.tap().offer(frame));
    recorder.stop();
    // As a crash within a record leaves it.
    let journal = folder.path().join("journals/call-1.journal");
    fs::OpenOptions::new()
        .append(true)
        .open(&journal)
        .expect("a journal")
        .write_all(&[77; 13])
        .expect("written");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    let [left_over] = recorder.left_over().try_into().expect("one");
    assert_eq!((left_over.call.as_str(), left_over.started_at), ("call-1", at(0)));
    assert!(left_over.last_seen_at >= at(1_980));
    recorder.end_left_over(&left_over, ending(2_000)).expect("ended");
    let made = recorded(&mut reports);
    assert_eq!(made.duration, Duration::from_secs(2));
    assert_eq!(made.flaws, Flaws { interrupted: true, ..Flaws::default() });
    assert!(recorder.left_over().is_empty() && journals(folder.path()).is_empty());
}

#[test]
fn a_kill_leaves_what_was_written_and_it_becomes_a_recording() {
    // This test runs itself once more, as the program that is killed.
    if let Some(folder) = std::env::var_os(DOOMED) {
        write_until_killed(Path::new(&folder));
    }
    let folder = TempDir::new().expect("a folder");
    let mut doomed = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            concat!("recording::tests::", "a_kill_leaves_what_was_written_and_it_becomes_a_recording"),
        ])
        .arg("--nocapture")
        .env(DOOMED, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program");
    let words = BufReader::new(doomed.stdout.take().expect("its words"));
    assert!(words.lines().map_while(Result::ok).any(|line| line.contains("WRITTEN")));
    doomed.kill().expect("killed");
    doomed.wait().expect("ended");
    let (recorder, mut reports) = started(&RecorderConfig::new(folder.path(), None));
    let [left_over] = recorder.left_over().try_into().expect("one");
    recorder.end_left_over(&left_over, ending(60_000)).expect("ended");
    let made = recorded(&mut reports);
    assert!(made.flaws.interrupted);
    assert!(made.duration >= Duration::from_secs(2), "{:?}", made.duration);
    assert!(strength(&played(&made).0[0][9_600..86_400], 440.0) > 0.45);
}

/// Records on until somebody kills it, and says when the first two seconds are in the journal.
fn write_until_killed(folder: &Path) -> ! {
    let (recorder, _reports) = started(&RecorderConfig::new(folder, None));
    let recording = recorder.begin("call-1", at(0)).expect("begun");
    let mut sender = Sender::new(Side::Caller, Codec::Pcmu, 440.0);
    sender.frames(100).into_iter().for_each(|frame| recording.tap().offer(frame));
    let two_seconds = 100 * 185;
    let journal = folder.join("journals/call-1.journal");
    while fs::metadata(&journal).map_or(0, |metadata| metadata.len()) < two_seconds {
        std::thread::yield_now();
    }
    println!("WRITTEN");
    loop {
        recording.tap().offer(sender.frame());
        std::thread::yield_now();
    }
}
