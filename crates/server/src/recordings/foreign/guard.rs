//! Where a recording may be fetched from.
//!
//! The URL is somebody else's word, so where it leads is checked after its name was resolved, and the connection goes to
//! the very addresses that were checked.

use std::{net::SocketAddr, time::Duration};

use url::Url;

use super::settings::Fetching;
use crate::{address::is_public, jobs::Setback};

/// How long a name may take to be resolved.
const PATIENCE: Duration = Duration::from_secs(10);

/// The host of a URL, for people: the rest of it may hold a secret.
pub(super) fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or("the URL")
}

/// The URL that a source reported, as far as it can be checked before its name is resolved.
pub(super) fn read(text: &str, fetching: &Fetching) -> Result<Url, Setback> {
    let url = Url::parse(text).map_err(|_| Setback::never("the URL of the recording is none"))?;
    check(&url, fetching)?;
    Ok(url)
}

/// Where a redirect leads to, as far as it can be checked before its name is resolved.
pub(super) fn check(url: &Url, fetching: &Fetching) -> Result<(), Setback> {
    let host = host_of(url);
    match url.scheme() {
        "https" => {}
        "http" if fetching.allow_http => {}
        "http" => {
            return Err(Setback::never(format!(
                "the recording would come from {host} over http; `allow_http` in recordings.fetch allows that"
            )));
        }
        _ => return Err(Setback::never("the URL of the recording begins with neither https:// nor http://")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Setback::never(format!(
            "the URL of the recording holds a user name or password for {host}; they belong into `headers` of \
             recordings.fetch"
        )));
    }
    Ok(())
}

/// The addresses of a URL's host, all of which a recording may be fetched from.
pub(super) async fn addresses(url: &Url, fetching: &Fetching) -> Result<Vec<SocketAddr>, Setback> {
    let host = host_of(url);
    let port = url.port_or_known_default().unwrap_or(443);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((bare, port))).await;
    let found: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if found.is_empty() {
        return Err(Setback::later(format!("{host} cannot be resolved")));
    }
    if !found.iter().all(|address| is_allowed(*address, fetching)) {
        return Err(Setback::never(format!(
            "{host} leads to a private address; `allow_private_addresses` in recordings.fetch allows that"
        )));
    }
    Ok(found)
}

fn is_allowed(address: SocketAddr, fetching: &Fetching) -> bool {
    #[cfg(test)]
    if fetching.allowed_address == Some(address) {
        return true;
    }
    fetching.allow_private_addresses || is_public(address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(setback: Setback) -> String {
        match setback {
            Setback::Never { reason } => reason,
            Setback::Later { reason, .. } => unreachable!("it is tried again: {reason}"),
        }
    }

    #[tokio::test]
    async fn what_only_this_machine_can_reach_is_refused_however_it_is_written() {
        let closed = Fetching::default();
        let open = Fetching { allow_private_addresses: true, ..Fetching::default() };
        for host in [
            "localhost",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[ff02::1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
        ] {
            let url = read(&format!("https://{host}/a.mp3?token=hush"), &closed).unwrap();
            let reason = reason(addresses(&url, &closed).await.unwrap_err());
            assert!(
                reason.contains("`allow_private_addresses`") && !reason.contains("hush"),
                "{host}: {reason}"
            );
            assert!(addresses(&url, &open).await.is_ok(), "{host}");
        }
        for host in ["1.1.1.1", "[2606:4700::1111]"] {
            let url = read(&format!("https://{host}:8443/a.mp3"), &closed).unwrap();
            assert_eq!(addresses(&url, &closed).await.unwrap()[0].port(), 8443);
        }
    }

    #[test]
    fn what_is_not_https_is_refused_unless_it_is_allowed() {
        let closed = Fetching::default();
        let open = Fetching { allow_http: true, ..Fetching::default() };
        let http = "http://a.example/a.mp3?token=hush";
        let refused = reason(read(http, &closed).unwrap_err());
        assert!(refused.contains("`allow_http`") && !refused.contains("hush"), "{refused}");
        assert!(read(http, &open).is_ok() && read("https://a.example", &closed).is_ok());
        for text in ["file:///etc/passwd", "s3://a/b", "ftp://a.example/", "data:audio/wav,", "a.mp3", ""] {
            reason(read(text, &open).unwrap_err());
        }
        let refused = reason(read("https://me:hush@a.example/", &open).unwrap_err());
        assert!(refused.contains("`headers`") && !refused.contains("hush"), "{refused}");
    }
}
