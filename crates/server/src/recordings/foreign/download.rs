//! A download: bounded in size and time, and led nowhere that was not checked.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use pegcount_sealed::{Keys, Sink};
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, LOCATION},
    redirect::Policy,
};
use url::Url;

use super::{
    super::on_disk,
    guard::{addresses, check, host_of},
    settings::Fetching,
};
use crate::jobs::{Setback, told_wait};

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 5;

/// A file that is deleted when it is not needed any more.
pub(super) struct Scrap(pub(super) PathBuf);

impl Drop for Scrap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Fetches what lies at a URL into a file, which is sealed if there are keys.
///
/// # Errors
/// [`Setback`], which names the host and nothing else of the URL.
pub(super) async fn download(
    url: Url,
    fetching: &Fetching,
    (file, keys): (&Path, Option<&Keys>),
) -> Result<(), Setback> {
    let host = host_of(&url).to_owned();
    let whole = async {
        let response = ask(url, fetching).await?;
        write(response, fetching, (file, keys)).await
    };
    tokio::time::timeout(fetching.timeout, whole).await.unwrap_or_else(|_| {
        Err(Setback::later(format!(
            "{host} did not send the recording within {} s; `timeout_seconds` in recordings.fetch allows more",
            fetching.timeout.as_secs()
        )))
    })
}

/// Asks for a URL, and for those that it leads to.
async fn ask(mut url: Url, fetching: &Fetching) -> Result<Response, Setback> {
    let first = url.clone();
    let mut secrets = fetching.headers.get(host_of(&first)).cloned().unwrap_or_default();
    for _ in 0..=MOST_REDIRECTS {
        check(&url, fetching)?;
        // Whoever was led elsewhere once is trusted no more, even where it leads back.
        if url.origin() != first.origin() {
            secrets.clear();
        }
        let response = ask_one(&url, fetching, &secrets).await?;
        let host = host_of(&url);
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        if !is_redirect(status) {
            return Err(Setback::Later {
                reason: format!("{host} answered {}", status.as_u16()),
                after: told_wait(response.headers()),
            });
        }
        let leads_to = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let leads_to = leads_to.and_then(|location| url.join(location).ok());
        url = leads_to.ok_or_else(|| Setback::later(format!("{host} redirects to nowhere")))?;
    }
    Err(Setback::never(format!("{} redirects more than {MOST_REDIRECTS} times", host_of(&first))))
}

/// Asks for one URL, at the addresses that were checked and at no others.
async fn ask_one(url: &Url, fetching: &Fetching, secrets: &HeaderMap) -> Result<Response, Setback> {
    let host = host_of(url);
    let addresses = addresses(url, fetching).await?;
    // No client is made without one. Whoever was first has decided; that is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .resolve_to_addrs(host, &addresses)
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("pegcount/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| Setback::later("no client can be made"))?;
    let request = client.get(url.clone()).headers(secrets.clone()).header(ACCEPT_ENCODING, "identity");
    request.send().await.map_err(|error| {
        let what = if error.is_connect() { "cannot be reached" } else { "did not answer as HTTP has it" };
        Setback::later(format!("{host} {what}"))
    })
}

/// Writes what is sent.
async fn write(
    mut response: Response,
    fetching: &Fetching,
    (path, keys): (&Path, Option<&Keys>),
) -> Result<(), Setback> {
    let host = host_of(response.url()).to_owned();
    let too_large = || {
        Setback::never(format!(
            "the recording at {host} has more than {} bytes; `max_bytes` in recordings.fetch allows more",
            fetching.max_bytes
        ))
    };
    let encoding = response.headers().get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_owned());
    if encoding.is_some_and(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Setback::never(format!(
            "{host} sends the recording compressed, though it was asked not to"
        )));
    }
    if response.content_length().is_some_and(|length| length > fetching.max_bytes) {
        return Err(too_large());
    }
    let disk = |error: std::io::Error| Setback::later(format!("the download cannot be written: {error}"));
    let path = path.to_owned();
    let create = move || File::options().read(true).write(true).create(true).truncate(true).open(path);
    let file = on_disk(create).await.map_err(disk)?;
    let mut sink = Sink::to(file, keys).map_err(disk)?;
    let mut size = 0;
    // A body that ends before its announced length is an error here.
    while let Some(part) = response
        .chunk()
        .await
        .map_err(|_| Setback::later(format!("{host} broke off while it sent the recording")))?
    {
        size += part.len() as u64;
        if size > fetching.max_bytes {
            return Err(too_large());
        }
        sink = on_disk(move || sink.write_all(&part).map(|()| sink)).await.map_err(disk)?;
    }
    on_disk(move || sink.finish()).await.map(drop).map_err(disk)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
