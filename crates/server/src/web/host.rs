//! By which host a client reached this server.

use axum::{
    extract::Request,
    http::{HeaderMap, Uri, Version, header},
    middleware::Next,
    response::Response,
};

use crate::access::{Refusal, RequestedHost};

/// Refuses what names its host not at all or twice (RFC 9112, 3.2): a proxy may have taken it for another request.
pub(super) async fn check(refuse: fn(&str, Refusal) -> Response, request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    let fault = match (request.version(), hosts) {
        (Version::HTTP_11, 0) => "is missing: HTTP/1.1 needs one",
        (_, 0 | 1) => return next.run(request).await,
        _ => "occurs more than once",
    };
    refuse(request.uri().path(), Refusal::invalid("the header Host", fault))
}

/// The host that a request names: in its target, where that is a whole URL or HTTP/2 (RFC 9112, 3.2.2), else in its one
/// `Host` header.
pub fn requested(uri: &Uri, headers: &HeaderMap) -> Option<RequestedHost> {
    if let Some(authority) = uri.authority() {
        return RequestedHost::read(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => RequestedHost::read(host.to_str().ok()?.trim()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_from_the_target_else_from_the_one_header() {
        let requested = |uri: &str, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            headers.insert("x-forwarded-host", "forwarded.example".parse().unwrap());
            requested(&uri.parse().unwrap(), &headers)
        };
        assert_eq!(requested("/v1/calls", &["a.example:1"]), RequestedHost::read("a.example:1"));
        assert_eq!(requested("http://b.example/v1/calls", &["a.example"]), RequestedHost::read("b.example"));
        assert_eq!(requested("/v1/calls", &["a.example", "b.example"]), None);
        assert_eq!(requested("/v1/calls", &[]), None);
    }
}
