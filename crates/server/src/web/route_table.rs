//! What each route takes, as the API document says: its methods, and the parameters of its query.

use std::collections::HashMap;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    OpenApi, PathItem, RefOr,
    path::{Operation, ParameterIn},
};

use super::query::Params;
use crate::{access::Refusal, vocabulary};

static IGNORED: HeaderName = HeaderName::from_static("x-ignored-parameters");
static PREFER: HeaderName = HeaderName::from_static("prefer");
static PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Longest value of `x-ignored-parameters` in bytes; further names are left out. Proxies refuse answers with long heads.
const LONGEST_IGNORED: usize = 1024;
/// The end of a list without room for all names.
const CUT: &str = ", ...";
/// What stands for any key at the end of a parameter's name in the document.
const ANY_KEY: &str = "KEY";

/// What each route takes.
#[derive(Default)]
pub struct RouteTable {
    routes: HashMap<String, Vec<(Method, Vec<String>)>>,
}

impl RouteTable {
    /// The routes of a document.
    pub fn of(api: &OpenApi) -> Self {
        let routes = api.paths.paths.iter().map(|(path, item)| (path.clone(), operations(item)));
        Self { routes: routes.collect() }
    }

    /// Each operation: its route and its method.
    pub fn operations(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.routes
            .iter()
            .flat_map(|(path, operations)| operations.iter().map(move |(method, _)| (path.as_str(), method)))
    }

    /// The same with a route that the document leaves out: a `GET` with these parameters.
    #[must_use]
    pub fn with(mut self, path: &str, parameters: &[&str]) -> Self {
        let parameters = parameters.iter().map(|&name| name.to_owned()).collect();
        self.routes.insert(path.to_owned(), vec![(Method::GET, parameters)]);
        self
    }

    /// The value of `Allow` for a route. What the table does not name are pages: they take `GET`.
    fn allowed(&self, path: &str) -> String {
        let methods = self.routes.get(path).into_iter().flatten().map(|(method, _)| method.as_str());
        let mut methods: Vec<&str> = methods.collect();
        if methods.is_empty() {
            methods.push("GET");
        }
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }

    /// The status and `Allow` of an answer to `OPTIONS`; `None` where there is no route.
    pub(super) fn options_of(&self, request: &Request) -> Option<(StatusCode, (HeaderName, HeaderValue))> {
        let route = request.extensions().get::<MatchedPath>()?;
        let allow = HeaderValue::try_from(self.allowed(route.as_str())).ok()?;
        Some((StatusCode::NO_CONTENT, (header::ALLOW, allow)))
    }

    /// The parameters that an operation takes; `None` when there is no such operation. A page takes none.
    fn parameters(&self, path: Option<&str>, method: &Method) -> Option<&[String]> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        match self.routes.get(path?) {
            Some(operations) => {
                operations.iter().find(|(known, _)| known == method).map(|(_, names)| names.as_slice())
            }
            None => (method == Method::GET).then_some(&[]),
        }
    }
}

fn operations(item: &PathItem) -> Vec<(Method, Vec<String>)> {
    let known = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    known
        .into_iter()
        .filter_map(|(method, operation)| Some((method, query_parameters(operation.as_ref()?))))
        .collect()
}

fn query_parameters(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    parameters.collect()
}

/// Whether one of these documented names means this one: to the letter, or by what it begins with (`metadata.KEY`).
fn is_known(known: &[String], name: &str) -> bool {
    known.iter().any(|known| match known.strip_suffix(ANY_KEY) {
        Some(beginning) => name.starts_with(beginning),
        None => known == name,
    })
}

/// Answers `OPTIONS` on every route with the methods that it takes (RFC 9110 section 9.3.7).
pub(super) async fn answer_options(table: &RouteTable, request: Request, next: Next) -> Response {
    let options = (request.method() == Method::OPTIONS).then(|| table.options_of(&request)).flatten();
    match options {
        Some((status, allow)) => (status, [allow]).into_response(),
        None => next.run(request).await,
    }
}

/// Names the parameters that a route does not take in `x-ignored-parameters`. A client that prefers strict handling is
/// refused instead, in the words that `refuse` has for the path.
pub(super) async fn check_parameters(
    table: &RouteTable,
    refuse: fn(&str, Refusal) -> Response,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let operation = table.parameters(route, request.method());
    let params = Params::parse(request.uri().query().unwrap_or_default());
    let unknown: Vec<String> = params
        .iter()
        .filter(|(name, _)| !name.is_empty() && !is_known(operation.unwrap_or_default(), name))
        .map(|(name, _)| name.to_owned())
        .collect();
    let strict = operation.filter(|_| is_strict(request.headers()));
    let refused = strict.zip(unknown.first());
    let mut response = match refused {
        Some((known, name)) => refuse(request.uri().path(), not_taken(known, name)),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    if let Some(ignored) = listed(&unknown) {
        if refused.is_none() {
            headers.insert(&IGNORED, ignored);
        }
        headers.append(header::VARY, HeaderValue::from(PREFER.clone()));
    }
    if strict.is_some() {
        headers.insert(&PREFERENCE_APPLIED, HeaderValue::from_static("handling=strict"));
    }
    response
}

fn not_taken(known: &[String], name: &str) -> Refusal {
    let takes = match known {
        [] => "no parameters".to_owned(),
        known => known.join(", "),
    };
    Refusal::invalid(
        vocabulary::shortened(name),
        format!("is not a parameter of this route, which takes {takes}"),
    )
}

/// The names, each once and percent-encoded, so that any name fits a header. `...` stands for those that have no room.
fn listed(names: &[String]) -> Option<HeaderValue> {
    let (mut list, mut is_cut) = (String::new(), false);
    for name in names {
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        if list.split(", ").any(|listed| listed == encoded) {
            continue;
        }
        // One long name must not hide the others.
        if list.len() + encoded.len() + CUT.len() > LONGEST_IGNORED {
            is_cut = true;
            continue;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&encoded);
    }
    if is_cut {
        list.push_str(if list.is_empty() { CUT.trim_start_matches(", ") } else { CUT });
    }
    HeaderValue::try_from(list).ok().filter(|_| !names.is_empty())
}

/// Whether the client prefers strict handling (RFC 7240 section 4.4). Of several `handling` the first counts.
fn is_strict(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(&PREFER).iter().filter_map(|line| line.to_str().ok());
    let preferences = lines.flat_map(|line| line.split(',')).filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("handling").then(|| value.trim().trim_matches('"'))
    });
    preferences.take(1).any(|value| value.eq_ignore_ascii_case("strict"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(lines: &[&'static str]) -> bool {
        let lines = lines.iter().map(|&line| (PREFER.clone(), HeaderValue::from_static(line)));
        is_strict(&lines.collect())
    }

    #[test]
    fn strict_handling_is_read_as_rfc_7240_writes_it() {
        for lines in [
            &["handling=strict"][..],
            &["Handling = \"strict\""],
            &["respond-async, handling=strict; x=y"],
            &["return=minimal", "handling=STRICT"],
            &["handling=strict, handling=lenient"],
        ] {
            assert!(strict(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["handling=lenient"],
            &["handling"],
            &["strict"],
            &["handling=lenient, handling=strict"],
        ] {
            assert!(!strict(lines), "{lines:?}");
        }
    }

    #[test]
    fn ignored_names_fit_a_header_whatever_they_are() {
        let list = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            listed(&names).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(list(&[]), None);
        assert_eq!(list(&["b", "a", "b"]).as_deref(), Some("b, a"));
        assert_eq!(
            list(&["x\r\nset-cookie: a", "ä,b"]).as_deref(),
            Some("x%0D%0Aset-cookie%3A+a, %C3%A4%2Cb")
        );
        let many: Vec<String> = (0..10_000).map(|number| format!("name{number}")).collect();
        assert!(listed(&many).is_some_and(|value| value.len() <= LONGEST_IGNORED + 2));
        let long = ["a".repeat(5000), "b".to_owned()];
        assert_eq!(listed(&long).unwrap(), "b, ...");
    }

    #[test]
    fn a_route_takes_what_its_document_says() {
        let table = RouteTable::default().with("/list", &["limit", "metadata.KEY"]);
        let known = table.parameters(Some("/list"), &Method::HEAD).unwrap();
        assert!(is_known(known, "limit") && is_known(known, "metadata.campaign"));
        assert!(!is_known(known, "Limit") && !is_known(known, "metadata"));
        assert_eq!(table.parameters(Some("/list"), &Method::POST), None);
        assert_eq!(table.parameters(None, &Method::GET), None);
        assert_eq!(table.allowed("/list"), "GET, HEAD, OPTIONS");
    }
}
