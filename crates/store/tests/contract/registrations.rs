//! Registrations of users of the SIP gateway.

use pegcount_calls::Timestamp;
use pegcount_store::{OrganizationNumber, Registration};

use crate::{
    bench::{OURS, THEIRS, json},
    engines, new_key,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
}

fn registration(organization: OrganizationNumber, user: &str, expires: i64) -> Registration {
    let contacts = json(&format!(r#"[{{"uri":"sip:{user}@192.0.2.7"}}]"#));
    Registration { organization, user: user.to_owned(), expires_at: at(expires), contacts: Some(contacts) }
}

#[tokio::test]
async fn registrations_outlive_the_store_that_took_them() {
    for home in engines() {
        let store = home.open().unwrap();
        let (alice, bob) = (registration(OURS, "alice", 60), registration(OURS, "bob", 120));
        let theirs = registration(THEIRS, "alice", 90);
        store.save_registrations(&[bob.clone(), theirs.clone(), alice.clone()], at(0)).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let store = home.open().unwrap();
        assert_eq!(store.registrations(at(0)).await.unwrap(), [alice, bob, theirs]);
    }
}

#[tokio::test]
async fn a_registration_is_replaced_and_removed() {
    for home in engines() {
        let store = home.open().unwrap();
        let (first, second) = (registration(OURS, "alice", 60), registration(OURS, "alice", 500));
        let theirs = registration(THEIRS, "alice", 900);
        store.save_registrations(&[first, theirs.clone()], at(0)).await.unwrap();
        store.save_registrations(std::slice::from_ref(&second), at(1)).await.unwrap();
        assert_eq!(store.registrations(at(1)).await.unwrap(), [second.clone(), theirs.clone()]);
        store.save_registrations(&[Registration { contacts: None, ..second }], at(2)).await.unwrap();
        assert_eq!(store.registrations(at(2)).await.unwrap(), [theirs]);
    }
}

#[tokio::test]
async fn an_expired_registration_is_not_given_and_not_kept() {
    for home in engines() {
        let store = home.open().unwrap();
        store.save_registrations(&[registration(OURS, "alice", 60)], at(0)).await.unwrap();
        assert_eq!(store.registrations(at(60)).await.unwrap(), []);
        store.save_registrations(&[], at(60)).await.unwrap();
        assert_eq!(store.registrations(at(0)).await.unwrap(), [], "it is gone for good");
    }
}

#[tokio::test]
async fn addresses_of_registrations_are_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pegcount.db");
    let (keys, other) = (new_key(), new_key());
    let open = |keys| pegcount_store::open_with(path.to_str().unwrap(), Some(keys)).unwrap();
    let store = open(&keys);
    let alice = registration(OURS, "alice", 60);
    store.save_registrations(std::slice::from_ref(&alice), at(0)).await.unwrap();
    assert_eq!(store.registrations(at(0)).await.unwrap(), [alice]);
    store.close().await.unwrap();
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(9).any(|part| part == b"192.0.2.7"), "an address is in the clear");
    assert!(pegcount_store::open_with(path.to_str().unwrap(), Some(&other)).is_err());
}
