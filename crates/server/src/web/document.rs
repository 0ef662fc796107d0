//! What the operations of a family of routes have in common in the API document: how a key is shown, and how requests are
//! refused. A handler documents only what is its own.

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, PathItem, Ref, RefOr,
        Required, Response, Type, path::Operation, security::SecurityRequirement,
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::schemas;

/// The security schemes of the document; `reference` defines them.
pub const API_KEY: &str = "api_key";
/// A whole key as a Bearer token.
pub const BEARER: &str = "bearer";
/// A key's id and secret as HTTP Basic.
pub const BASIC: &str = "basic";
/// A key's id in a header; goes with [`ORGANIZATION_SECRET`].
pub const ORGANIZATION_KEY: &str = "organization_key";
/// A key's secret in a header; goes with [`ORGANIZATION_KEY`].
pub const ORGANIZATION_SECRET: &str = "organization_secret";

/// What a status means where a handler says nothing of its own.
pub const USUAL: [(&str, &str); 12] = [
    ("200", "Success"),
    ("201", "Created"),
    ("202", "Accepted; the work goes on in the background"),
    ("204", "Success, without a body"),
    ("400", "A parameter or a field has a bad value, or strict handling refuses an unknown parameter"),
    ("401", "No valid key"),
    ("403", "The key lacks a scope"),
    ("404", "It does not exist, or belongs to another organization"),
    ("413", "The body is too large"),
    ("415", "The body is of a media type that is not taken here"),
    ("429", "Too many requests with this key"),
    ("503", "The server cannot do this at the moment"),
];

/// Refusals that say in `Retry-After` when to ask again.
const RETRIED: [&str; 2] = ["429", "503"];

/// What routes have in common.
pub struct Family {
    /// Ways to show a key, of which one is needed.
    keys: Vec<SecurityRequirement>,
    /// A `server` key may name another organization, which may be unknown.
    names_organization: bool,
    /// The media type of a body is found out by looking at it.
    sniffs_body: bool,
}

impl Family {
    /// Routes that take a whole key in a header.
    pub fn with_key() -> Self {
        let scheme = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
        let keys = [API_KEY, BEARER].map(scheme).to_vec();
        Self { keys, names_organization: false, sniffs_body: false }
    }

    /// Routes in the style of v1: a `server` key may act for another organization.
    pub fn native() -> Self {
        Self { names_organization: true, ..Self::with_key() }
    }

    /// Routes that take a key's id and secret in a header each.
    pub fn with_key_pair() -> Self {
        let pair = SecurityRequirement::new(ORGANIZATION_KEY, Vec::<String>::new())
            .add(ORGANIZATION_SECRET, Vec::<String>::new());
        Self { keys: vec![pair], ..Self::native() }
    }

    /// The same, which also take HTTP Basic, and find out by themselves what a body is.
    #[must_use]
    pub fn for_sources(mut self) -> Self {
        self.keys.push(SecurityRequirement::new(BASIC, Vec::<String>::new()));
        self.sniffs_body = true;
        self
    }

    /// The same, which need no key if they are `open`.
    #[must_use]
    pub fn open_if(mut self, open: bool) -> Self {
        if open {
            self.keys.push(SecurityRequirement::default());
        }
        self
    }

    /// The refusals that this operation can come to besides its own.
    fn refusals(&self, operation: &Operation) -> Vec<&'static str> {
        let mut statuses = vec!["400"];
        if !needs_no_key(operation) {
            statuses.extend(["401", "403", "429", "503"]);
            statuses.extend(self.names_organization.then_some("404"));
        }
        if operation.request_body.is_some() {
            statuses.push("413");
            statuses.extend((!self.sniffs_body).then_some("415"));
        }
        statuses
    }
}

/// Whether a handler says `security(())`.
fn needs_no_key(operation: &Operation) -> bool {
    operation
        .security
        .as_ref()
        .is_some_and(|keys| keys.iter().all(|key| *key == SecurityRequirement::default()))
}

/// Documents what all operations of these routes have in common. `F` is the body of a refusal.
pub fn complete<F: ToSchema, S>(mut router: OpenApiRouter<S>, family: &Family) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let api = router.get_openapi_mut();
    for operation in api.paths.paths.values_mut().flat_map(operations) {
        for status in family.refusals(operation) {
            operation
                .responses
                .responses
                .entry(status.to_owned())
                .or_insert_with(|| Response::default().into());
        }
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response {
                complete_response::<F>(status, response);
            }
        }
        operation.security = Some(if needs_no_key(operation) { Vec::new() } else { family.keys.clone() });
    }
    let mut known = schemas::named();
    known.push((F::name().into_owned(), F::schema()));
    F::schemas(&mut known);
    api.components.get_or_insert_with(Components::new).schemas.extend(known);
    router
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn complete_response<F: ToSchema>(status: &str, response: &mut Response) {
    if response.description.is_empty() {
        let usual = USUAL.iter().find(|(known, _)| *known == status);
        response.description = usual.map_or("", |(_, meaning)| *meaning).to_owned();
    }
    // A range that is not there (416) has no body.
    let is_refusal = status.starts_with(['4', '5']) && status != "416";
    if is_refusal && response.content.is_empty() {
        response.content.insert("application/json".to_owned(), RefOr::T(failure::<F>()));
    }
    if RETRIED.contains(&status) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("Seconds until it may be sent again"));
        response.headers.insert("Retry-After".to_owned(), header.build().into());
    }
}

fn failure<F: ToSchema>() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(F::name()))).build()
}

/// Says that an operation works without a body, too.
pub fn make_body_optional(api: &mut OpenApi, operation_id: &str) {
    for operation in named(api, operation_id) {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = Some(Required::False);
        }
    }
}

fn named<'a>(api: &'a mut OpenApi, operation_id: &'a str) -> impl Iterator<Item = &'a mut Operation> {
    let operations = api.paths.paths.values_mut().flat_map(operations);
    operations.filter(move |operation| operation.operation_id.as_deref() == Some(operation_id))
}

/// Shows a golden answer as the example of an operation's success.
pub fn show_example(api: &mut OpenApi, operation_id: &str, golden: &str) {
    let named = named(api, operation_id);
    let successes = named.filter_map(|operation| operation.responses.responses.get_mut("200"));
    for response in successes {
        if let RefOr::T(response) = response
            && let Some(RefOr::T(content)) = response.content.get_mut("application/json")
        {
            content.example = serde_json::from_str::<Value>(golden).ok();
        }
    }
}
