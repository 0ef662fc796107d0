//! What documents the API: the frame of the OpenAPI document, and the Markdown reference made of it.

use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Pegcount",
        description = "The open ledger of calls for phone systems and voice agents.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "calls", description = "Call history, timelines, statistics, live calls, hang-up (dialect v1)"),
        (name = "events", description = "Where calls come from"),
        (name = "directory", description = "Endpoints and phone numbers"),
        (name = "settings", description = "Keys and the control URL"),
        (name = "organization", description = "The organization dialect"),
        (name = "agent", description = "The agent dialect"),
        (name = "tenant", description = "The tenant dialect"),
        (name = "status", description = "How the program is"),
    )
)]
struct Frame;

/// The document without paths: title, tags, and how one shows a key.
pub fn frame() -> OpenApi {
    let mut api = Frame::openapi();
    let mut components = api.components.take().unwrap_or_default();
    let key = |name: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
    components.add_security_scheme("api_key", key("x-api-key"));
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.add_security_scheme("api_secret", key("x-api-secret"));
    api.components = Some(components);
    api.security = Some(vec![
        SecurityRequirement::new("api_key", Vec::<String>::new()),
        SecurityRequirement::new("bearer", Vec::<String>::new()),
    ]);
    api
}
