//! Which keys a key makes, rotates and revokes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Home, Server, send};

const SCOPES: [&str; 6] =
    ["calls:read", "calls:control", "events:write", "recordings:read", "admin", "server"];

async fn ask(server: &Server<'_>, key: &str, method: Method, path: &str, body: &Value) -> Answer {
    send(server.request(method, path).header("x-api-key", key).json(body)).await
}

/// Makes a key with the first key, which has every scope.
async fn make(server: &Server<'_>, scopes: &[&str]) -> Value {
    server.post("/v1/keys", &json!({ "scopes": scopes })).await.expect(201)
}

/// Each scope alone, and each with `admin`.
fn sets() -> impl Iterator<Item = Vec<&'static str>> {
    let with_admin = SCOPES.iter().filter(|scope| **scope != "admin").map(|scope| vec!["admin", scope]);
    SCOPES.iter().map(|scope| vec![*scope]).chain(with_admin)
}

#[tokio::test]
async fn a_key_makes_rotates_and_revokes_only_keys_whose_scopes_it_has() {
    let home = Home::new("");
    let server = home.start();
    for own in sets() {
        let asking = make(&server, &own).await;
        let asking = asking["key"].as_str().expect("a key");
        for other in sets() {
            let may = own.contains(&"server")
                || own.contains(&"admin") && other.iter().all(|scope| own.contains(scope));
            let target = make(&server, &other).await;
            let path = format!("/v1/keys/{}", target["key_id"].as_str().expect("an id"));
            let create = ask(&server, asking, Method::POST, "/v1/keys", &json!({ "scopes": other })).await;
            let rotation = format!("{path}/rotate");
            let rotate = ask(&server, asking, Method::POST, &rotation, &json!({"grace_seconds": 60})).await;
            let revoke = ask(&server, asking, Method::DELETE, &path, &json!({})).await;
            for (answer, done) in [(create, 201), (rotate, 201), (revoke, 204)] {
                if may {
                    assert_eq!(answer.status.as_u16(), done, "{own:?} {other:?}: {}", answer.text);
                    continue;
                }
                let refused = answer.expect(403);
                let scope = refused["details"]["scope"].as_str().expect("a scope");
                assert!(!own.contains(&scope), "{own:?} {other:?}: {refused}");
                assert!(scope == "admin" || other.contains(&scope), "{own:?} {other:?}: {refused}");
            }
            let key = target["key"].as_str().expect("a key");
            let works = ask(&server, key, Method::GET, "/v1/live", &json!({})).await.status.as_u16() != 401;
            assert_eq!(works, !may, "{own:?} {other:?}: what is refused changes nothing");
        }
    }
    server.terminate();
}
