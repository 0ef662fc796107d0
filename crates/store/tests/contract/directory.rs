//! Organizations, keys, endpoints, phone numbers, control URLs.

use pegcount_calls::OrganizationName;
use pegcount_store::{
    AccessKey, ControlUrl, Endpoint, EndpointNumber, NewEndpoint, OrganizationNumber, PhoneNumber, StoreError,
};

use crate::{
    bench::{OURS, THEIRS, at, endpoint, json, phone_number},
    engines,
};

fn organization(text: &str) -> OrganizationName {
    OrganizationName::new(text).unwrap()
}

fn new_endpoint(id: &str, number: Option<i64>) -> NewEndpoint {
    NewEndpoint {
        id: endpoint(id),
        number: number.map(EndpointNumber),
        name: None,
        provider: None,
        sip_uri: None,
        metadata: json("{}"),
    }
}

fn new_phone_number(id: &str, number: Option<&str>) -> PhoneNumber {
    PhoneNumber {
        organization: OURS,
        id: phone_number(id),
        number: number.map(str::to_owned),
        endpoint: None,
    }
}

fn exists<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Exists { .. }))
}

#[tokio::test]
async fn an_organization_gets_the_next_number_and_neither_id_nor_number_is_given_twice() {
    for home in engines() {
        let store = home.open().unwrap();
        let first = store.create_organization(&organization("org-1"), None, Some("One")).await.unwrap();
        let seventh = store
            .create_organization(&organization("org-7"), Some(OrganizationNumber(7)), None)
            .await
            .unwrap();
        let eighth = store.create_organization(&organization("org-8"), None, None).await.unwrap();

        assert_eq!((first.number.0, seventh.number.0, eighth.number.0), (1, 7, 8));
        assert!(exists(&store.create_organization(&organization("org-1"), None, None).await));
        assert!(exists(&store.create_organization(&organization("x"), Some(seventh.number), None).await));
        assert_eq!(store.organizations().await.unwrap(), [first, seventh, eighth]);
    }
}

#[tokio::test]
async fn a_key_is_kept_until_it_is_revoked() {
    for home in engines() {
        let store = home.open().unwrap();
        let key = AccessKey {
            id: "key_1".to_owned(),
            organization: OURS,
            name: Some("ci".to_owned()),
            secret_hash: [7; 32],
            scopes: u32::MAX,
            created_at: at(1),
            expires_at: None,
            last_used_at: None,
        };
        store.create_key(&key).await.unwrap();

        assert!(exists(&store.create_key(&key).await));
        assert_eq!(store.keys().await.unwrap(), [key]);
        assert!(store.revoke_key("key_1").await.unwrap());
        assert!(!store.revoke_key("key_1").await.unwrap());
        assert_eq!(store.keys().await.unwrap(), []);
    }
}

fn key(id: &str) -> AccessKey {
    AccessKey {
        id: id.to_owned(),
        organization: OURS,
        name: None,
        secret_hash: [7; 32],
        scopes: 1,
        created_at: at(1),
        expires_at: None,
        last_used_at: None,
    }
}

#[tokio::test]
async fn a_rotated_key_expires_and_is_deleted_then() {
    for home in engines() {
        let store = home.open().unwrap();
        for id in ["key_1", "key_2"] {
            store.create_key(&key(id)).await.unwrap();
        }
        assert!(store.rotate_key("key_1", &key("key_3"), at(60)).await.unwrap());
        let expiring = |seconds| AccessKey { expires_at: Some(at(seconds)), ..key("key_1") };
        assert_eq!(store.keys().await.unwrap(), [expiring(60), key("key_2"), key("key_3")]);
        // Another rotation shortens its life, and never prolongs it.
        assert!(store.rotate_key("key_1", &key("key_4"), at(30)).await.unwrap());
        assert!(store.rotate_key("key_1", &key("key_5"), at(90)).await.unwrap());
        assert_eq!(store.keys().await.unwrap()[0], expiring(30));

        assert!(!store.rotate_key("key_9", &key("key_6"), at(60)).await.unwrap());
        assert!(exists(&store.rotate_key("key_2", &key("key_3"), at(60)).await));
        assert_eq!(store.keys().await.unwrap()[1], key("key_2"), "a rotation that fails changes nothing");

        store.keep_key_uses(&[], at(29)).await.unwrap();
        assert_eq!(store.keys().await.unwrap().len(), 5);
        store.keep_key_uses(&[], at(30)).await.unwrap();
        assert_eq!(store.keys().await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn the_last_use_of_a_key_is_kept() {
    for home in engines() {
        let store = home.open().unwrap();
        store.create_key(&key("key_1")).await.unwrap();
        let uses = [("key_1".to_owned(), at(9)), ("key_gone".to_owned(), at(9))];
        store.keep_key_uses(&uses, at(9)).await.unwrap();
        // A clock that was set back does not make it older.
        store.keep_key_uses(&[("key_1".to_owned(), at(5))], at(9)).await.unwrap();
        assert_eq!(store.keys().await.unwrap(), [AccessKey { last_used_at: Some(at(9)), ..key("key_1") }]);
    }
}

#[tokio::test]
async fn an_endpoint_number_is_unique_on_the_server_and_an_id_in_its_organization() {
    for home in engines() {
        let store = home.open().unwrap();
        let first = store.create_endpoint(OURS, &new_endpoint("ep_a", None)).await.unwrap();
        let tenth = store.create_endpoint(THEIRS, &new_endpoint("ep_a", Some(10))).await.unwrap();
        let eleventh = store.create_endpoint(OURS, &new_endpoint("ep_b", None)).await.unwrap();

        assert_eq!((first.number.0, tenth.number.0, eleventh.number.0), (1, 10, 11));
        assert!(exists(&store.create_endpoint(OURS, &new_endpoint("ep_a", None)).await));
        assert!(exists(&store.create_endpoint(OURS, &new_endpoint("ep_c", Some(10))).await));
        assert_eq!(store.endpoint(OURS, &endpoint("ep_a")).await.unwrap(), Some(first.clone()));
        assert_eq!(store.endpoint_numbered(EndpointNumber(10)).await.unwrap(), Some(tenth));
        assert_eq!(store.endpoint(OURS, &endpoint("ep_c")).await.unwrap(), None);
        assert_eq!(store.endpoint_numbered(EndpointNumber(12)).await.unwrap(), None);
        assert_eq!(store.endpoints(OURS, 1, 0).await.unwrap(), (vec![first], 2));
        assert_eq!(store.endpoints(OURS, 9, 1).await.unwrap(), (vec![eleventh], 2));
        assert_eq!(store.endpoints(OURS, 9, u64::MAX).await.unwrap(), (vec![], 2));
    }
}

#[tokio::test]
async fn an_endpoint_is_replaced_whole_and_forgotten_within_its_organization_only() {
    for home in engines() {
        let store = home.open().unwrap();
        let made = store.create_endpoint(OURS, &new_endpoint("ep_a", None)).await.unwrap();
        let changed = Endpoint {
            name: Some("Front desk".to_owned()),
            provider: Some("vapi".to_owned()),
            sip_uri: Some("sip:desk@example.com".to_owned()),
            metadata: json(r#"{"floor":2}"#),
            ..made
        };

        assert!(store.update_endpoint(&changed).await.unwrap());
        assert!(!store.update_endpoint(&Endpoint { organization: THEIRS, ..changed.clone() }).await.unwrap());
        assert_eq!(store.endpoint(OURS, &changed.id).await.unwrap(), Some(changed.clone()));
        assert!(!store.delete_endpoint(THEIRS, &changed.id).await.unwrap());
        assert!(store.delete_endpoint(OURS, &changed.id).await.unwrap());
        assert_eq!(store.endpoint(OURS, &changed.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_phone_number_is_unique_in_its_organization_and_may_be_known_by_its_id_alone() {
    for home in engines() {
        let store = home.open().unwrap();
        let first = new_phone_number("pn_1", Some("+4930"));
        let second = new_phone_number("pn_2", None);
        let theirs = PhoneNumber { organization: THEIRS, ..first.clone() };
        for number in [&first, &second, &new_phone_number("pn_3", None), &theirs] {
            store.create_phone_number(number).await.unwrap();
        }

        assert!(exists(&store.create_phone_number(&new_phone_number("pn_1", None)).await));
        assert!(exists(&store.create_phone_number(&new_phone_number("pn_4", Some("+4930"))).await));
        assert!(exists(&store.update_phone_number(&new_phone_number("pn_2", Some("+4930"))).await));
        assert_eq!(store.phone_numbers(OURS, 2, 0).await.unwrap(), (vec![first.clone(), second.clone()], 3));
        assert_eq!(store.phone_numbers(OURS, 2, 2).await.unwrap().0.len(), 1);
        assert_eq!(store.phone_number(THEIRS, &second.id).await.unwrap(), None);

        let changed =
            PhoneNumber { number: Some("+4940".to_owned()), endpoint: Some(endpoint("ep_a")), ..second };
        assert!(store.update_phone_number(&changed).await.unwrap());
        assert!(!store.update_phone_number(&new_phone_number("pn_9", None)).await.unwrap());
        assert_eq!(store.phone_number(OURS, &changed.id).await.unwrap(), Some(changed));
        assert!(store.delete_phone_number(OURS, &first.id).await.unwrap());
        assert!(!store.delete_phone_number(OURS, &first.id).await.unwrap());
        assert_eq!(store.phone_number(THEIRS, &first.id).await.unwrap(), Some(theirs));
    }
}

#[tokio::test]
async fn a_control_url_is_set_replaced_and_forgotten() {
    for home in engines() {
        let store = home.open().unwrap();
        let url = |url: &str| ControlUrl { url: url.to_owned(), secret: "whsec_x".to_owned() };
        assert!(store.control_url(OURS).await.unwrap().is_none());

        store.set_control_url(OURS, Some(&url("https://a"))).await.unwrap();
        store.set_control_url(OURS, Some(&url("https://b"))).await.unwrap();
        assert_eq!(store.control_url(OURS).await.unwrap(), Some(url("https://b")));
        assert_eq!(store.control_url(THEIRS).await.unwrap(), None);

        store.set_control_url(OURS, None).await.unwrap();
        assert_eq!(store.control_url(OURS).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_noted_becomes_known_by_its_id_and_what_is_known_stays_as_it_is() {
    for home in engines() {
        let store = home.open().unwrap();
        let known = store.create_endpoint(OURS, &new_endpoint("ep_a", Some(40))).await.unwrap();
        let number = new_phone_number("pn_1", Some("+4930"));
        store.create_phone_number(&number).await.unwrap();

        let mut transaction = store.begin().await.unwrap();
        for _ in 0..2 {
            transaction.note_endpoint(OURS, &endpoint("ep_a")).await.unwrap();
            transaction.note_endpoint(OURS, &endpoint("ep_b")).await.unwrap();
            transaction.note_phone_number(OURS, &phone_number("pn_1")).await.unwrap();
            transaction.note_phone_number(OURS, &phone_number("pn_2")).await.unwrap();
        }
        assert_eq!(transaction.phone_number_with(OURS, "+4930").await.unwrap(), Some(phone_number("pn_1")));
        assert_eq!(transaction.phone_number_with(OURS, "+4931").await.unwrap(), None);
        assert_eq!(transaction.phone_number_with(THEIRS, "+4930").await.unwrap(), None);
        transaction.commit().await.unwrap();

        let (endpoints, _) = store.endpoints(OURS, 9, 0).await.unwrap();
        assert_eq!(endpoints[0], known);
        assert_eq!((endpoints[1].id.as_str(), endpoints[1].number.0, endpoints.len()), ("ep_b", 41, 2));
        assert_eq!(endpoints[1].metadata, json("{}"));
        let numbers = vec![number, new_phone_number("pn_2", None)];
        assert_eq!(store.phone_numbers(OURS, 9, 0).await.unwrap(), (numbers, 2));
    }
}
