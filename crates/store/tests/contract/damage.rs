//! Files in which bits have flipped while nobody used them: whatever is answered is right, or an error.

use std::path::{Path, PathBuf};

use pegcount_calls::{Call, CallQuery, OrganizationName};
use pegcount_store::{CallHead, LegSpan, Result, Severity, StatsQuery, Store, StoreError};

use crate::{
    bench::{OURS, call, keep, name, names, native, with_metadata, with_words},
    events::leg,
    new_key,
};

const CALLS: i64 = 40;
const FLIPS: u64 = 60;
/// Every run flips the same bits.
const SEED: u64 = 20_261_130;

/// A generator of numbers (xorshift) that gives the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn call_of(number: i64) -> Call {
    match number % 3 {
        0 => call(number * 1_000),
        1 => with_words(number * 1_000, &format!("word{number} {}", "more ".repeat(300)), Some("short")),
        _ => with_metadata(number * 1_000, &[("tag", &format!("\"{number}\""))]),
    }
}

fn leg_of(number: i64) -> LegSpan {
    leg(&format!("leg {number}"), number, number)
}

fn id_of(number: i64) -> String {
    format!("call_{number}")
}

async fn fill(store: &dyn Store) {
    store.create_organization(&OrganizationName::new("ours").unwrap(), Some(OURS), None).await.unwrap();
    for number in 0..CALLS {
        let head = keep(store, &id_of(number), &call_of(number)).await;
        let mut transaction = store.begin().await.unwrap();
        transaction.link_leg(head.key, &native(), &leg_of(number)).await.unwrap();
        transaction.commit().await.unwrap();
    }
    store.close().await.unwrap();
}

/// Looks whether every answer of this store is that of the sound one, or an error; how many were errors.
async fn compare(store: &dyn Store, sound: &dyn Store, what: &str) -> u32 {
    let mut errors = 0;
    for number in 0..CALLS {
        let id = id_of(number);
        let expected = sound.call(OURS, &id).await.unwrap().unwrap();
        match store.call(OURS, &id).await {
            Ok(found) => assert_eq!(found.as_ref(), Some(&expected), "{what}: {id}"),
            Err(error) => errors += told(&error),
        }
        match store.reports(&[expected.head.key]).await {
            Ok(found) => {
                assert_eq!(
                    found,
                    sound.reports(&[expected.head.key]).await.unwrap(),
                    "{what}: events of {id}"
                );
            }
            Err(error) => errors += told(&error),
        }
        match found_for_an_event(store, number).await {
            Ok(found) => {
                assert_eq!(found, [expected.head.clone(), expected.head], "{what}: {id} for an event");
            }
            Err(error) => errors += told(&error),
        }
    }
    let query = CallQuery::default();
    match store.calls(OURS, &query).await {
        Ok(page) => {
            let expected = sound.calls(OURS, &query).await.unwrap();
            assert_eq!((names(&page), page.total), (names(&expected), expected.total), "{what}");
        }
        Err(error) => errors += told(&error),
    }
    match store.stats(OURS, &StatsQuery::default()).await {
        Ok(stats) => assert_eq!(stats, sound.stats(OURS, &StatsQuery::default()).await.unwrap(), "{what}"),
        Err(error) => errors += told(&error),
    }
    match store.organizations().await {
        Ok(found) => assert_eq!(found, sound.organizations().await.unwrap(), "{what}"),
        Err(error) => errors += told(&error),
    }
    errors
}

/// The calls that an event of this call would be added to: by its name, and by its leg.
async fn found_for_an_event(store: &dyn Store, number: i64) -> Result<Vec<CallHead>> {
    let mut transaction = store.begin().await?;
    let by_name = transaction.find_call(OURS, &name(&id_of(number))).await?;
    let by_leg = transaction.find_leg(OURS, &native(), &leg_of(number)).await?;
    Ok(by_name.into_iter().chain(by_leg).collect())
}

/// One error more, which says what it is about.
fn told(error: &StoreError) -> u32 {
    assert!(error.is_damage(), "{error}");
    1
}

fn copy(from: &Path, to: &Path, file: &str) -> PathBuf {
    std::fs::copy(from.join(file), to.join(file)).unwrap();
    to.join(file)
}

#[tokio::test]
async fn a_flipped_bit_is_an_error_and_never_another_answer() {
    for keys in [None, Some(new_key())] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pegcount.db");
        let open = |path: &Path| pegcount_store::open_with(path.to_str().unwrap(), keys.as_ref());
        fill(&*open(&path).unwrap()).await;
        let sound = open(&path).unwrap();
        let mut numbers = Numbers(SEED);
        let (mut errors, mut refused) = (0, 0);
        for _ in 0..FLIPS / 2 {
            let folder = tempfile::tempdir().unwrap();
            let path = copy(home.path(), folder.path(), "pegcount.db");
            copy(home.path(), folder.path(), "pegcount-words.db");
            let mut bytes = std::fs::read(&path).unwrap();
            let bit = numbers.below(bytes.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            let what = format!("bit {bit} of page {}", bit / 8 / 4_096 + 1);
            match open(&path) {
                Ok(store) => errors += u32::from(compare(&*store, &*sound, &what).await > 0),
                Err(error) => refused += told(&error),
            }
        }
        assert!(errors > 5 && refused < 15, "{errors} met damage, {refused} were not opened");
    }
}

#[tokio::test]
async fn damage_of_an_index_is_an_error_and_named_by_a_look() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("pegcount.db");
    let open = || pegcount_store::open(path.to_str().unwrap()).unwrap();
    fill(&*open()).await;
    // Every page in which an index of the names of calls lies.
    let bytes = std::fs::read(&path).unwrap();
    let is_index = |page: &[u8]| page[0] == 10 && page.windows(7).any(|part| part == b"call_17");
    let damaged = bytes.chunks(4_096).flat_map(|page| {
        let mut page = page.to_vec();
        if is_index(&page) {
            let at = page.windows(7).position(|part| part == b"call_17").unwrap();
            page[at] = b'C';
        }
        page
    });
    let damaged: Vec<u8> = damaged.collect();
    assert_ne!(damaged, bytes);
    std::fs::write(&path, damaged).unwrap();

    let store = open();
    let error = store.call(OURS, "call_17").await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().starts_with("call call_17: the store cannot be read: page "), "{error}");
    let error = found_for_an_event(&*store, 17).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let findings = store.check().await.unwrap();
    let named =
        |subject: &str| findings.iter().any(|one| one.subject == subject && one.severity == Severity::Damage);
    assert!(named("file") && named("table calls"), "{findings:?}");
    assert!(!named("table events"), "{findings:?}");
}
