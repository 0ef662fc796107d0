//! What documents the API: the frame of the OpenAPI document, what is done to it as a whole, and the Markdown reference
//! made of it.

mod finish;
mod markdown;

use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::web::document::{API_KEY, BASIC, BEARER, ORGANIZATION_KEY, ORGANIZATION_SECRET};

pub use finish::finish;
pub use markdown::markdown;

/// What holds for every operation, in Markdown.
const DESCRIPTION: &str = "\
The open ledger of calls for phone systems and voice agents.

- Every answer has `x-request-id`; a request may bring its own.
- A key that has the scope `server` acts for its own organization, or for the one that the header `x-organization-id` names.
- Query parameters that an operation does not take are ignored, and named in the header `x-ignored-parameters`. With \
`Prefer: handling=strict` (RFC 7240) they are refused with 400 instead.
- JSON bodies nest at most 32 deep, hold no key twice in one object, and no NUL in a text.
- `HEAD` works where `GET` does. Long answers are compressed for clients that send `Accept-Encoding` (`br`, `gzip`).
- Each dialect refuses in its own form: v1 and the native resources, `organization`, `agent`, `tenant`.";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Pegcount",
        description = DESCRIPTION,
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "calls", description = "Call history, timelines, statistics, live calls, hang-up (dialect v1)"),
        (name = "events", description = "Where calls come from"),
        (name = "directory", description = "Endpoints and phone numbers"),
        (name = "jobs", description = "Work that comes after calls"),
        (name = "privacy", description = "Holds, and the erasure of a person's calls"),
        (name = "settings", description = "Keys, the control URL and the audit log"),
        (name = "organization", description = "The organization dialect"),
        (name = "agent", description = "The agent dialect"),
        (name = "tenant", description = "The tenant dialect"),
        (name = "status", description = "Whether the program works, and what it counts"),
        (name = "links", description = "Where signed links lead; they need no key"),
    )
)]
struct Frame;

/// The document without paths: title, tags, and the ways to show a key.
pub fn frame() -> OpenApi {
    let mut api = Frame::openapi();
    let mut components = api.components.take().unwrap_or_default();
    let header = |name: &str, what: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, what)))
    };
    let http = |scheme, what: &str| {
        let mut http = Http::new(scheme);
        http.description = Some(what.to_owned());
        SecurityScheme::Http(http)
    };
    for (name, scheme) in [
        (API_KEY, header("x-api-key", "The whole key")),
        (BEARER, http(HttpAuthScheme::Bearer, "The whole key")),
        (BASIC, http(HttpAuthScheme::Basic, "The id of a key as the user, its secret as the password")),
        (ORGANIZATION_KEY, header("X-API-KEY", "The id of a key (the whole key works too)")),
        (ORGANIZATION_SECRET, header("X-API-SECRET", "The secret of the key")),
    ] {
        components.add_security_scheme(name, scheme);
    }
    api.components = Some(components);
    api
}
