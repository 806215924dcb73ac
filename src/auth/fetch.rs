//! Small exchanges over HTTP with those whom the operator names: no redirects, a cap on what is read.

use std::{error::Error, fmt, future::poll_fn, pin::pin, time::Duration};

use bytes::Buf;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header, uri::Scheme};
use tower_service::Service;

use crate::{BoxError, config_error::ConfigError};

/// A document, and for how long its source lets it be used.
pub(crate) struct Document {
    pub(crate) content: Vec<u8>,
    pub(crate) max_age: Option<Duration>,
}

/// GETs the document at `uri`, of at most `cap` bytes.
pub(crate) async fn get<S, B>(client: S, uri: Uri, cap: usize) -> Result<Document, BoxError>
where
    S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>>,
    B: http_body::Body<Error: Into<BoxError>>,
{
    let mut request = Request::new(String::new());
    *request.uri_mut() = uri;
    let accept = header::HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::ACCEPT, accept);
    let response = send(client, request).await?;
    // A redirect would let whoever answers choose where to fetch from.
    if response.status() != StatusCode::OK {
        return Err(format!("the source answered {}", response.status()).into());
    }
    let max_age = max_age(response.headers());
    let content = read(response.into_body(), cap).await?;
    Ok(Document { content, max_age })
}

/// Sends one request.
pub(crate) async fn send<S, B>(
    mut client: S,
    request: Request<String>,
) -> Result<Response<B>, BoxError>
where
    S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>>,
{
    poll_fn(|cx| client.poll_ready(cx)).await.map_err(Into::into)?;
    client.call(request).await.map_err(Into::into)
}

/// The content, of at most `cap` bytes; [`TooLarge`] if there is more.
pub(crate) async fn read<B>(body: B, cap: usize) -> Result<Vec<u8>, BoxError>
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    let mut content = Vec::new();
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(Into::into)?.into_data() else {
            continue; // trailers
        };
        if content.len() + data.remaining() > cap {
            return Err(TooLarge(cap).into());
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            content.extend_from_slice(chunk);
            let read = chunk.len();
            data.advance(read);
        }
    }
    Ok(content)
}

/// There is more content than is read.
#[derive(Debug)]
pub(crate) struct TooLarge(usize);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the document is larger than {} bytes", self.0)
    }
}

impl Error for TooLarge {}

/// `what` as an absolute `https` URL, or an `http` one where nobody can sit on the path. One with a user is refused:
/// clients do not send it, and the URL is shown where a password must not be.
pub(crate) fn checked_url(
    concern: &'static str,
    what: &str,
    url: &str,
    http_allowed: bool,
) -> Result<Uri, ConfigError> {
    let refuse = |why: &str| Err(ConfigError::new(concern, format!("{what} {why}")));
    let Ok(uri) = url.parse::<Uri>() else {
        return refuse("is no URL");
    };
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return refuse("names a user; credentials have no place in it");
    }
    match (uri.scheme(), uri.host()) {
        (Some(scheme), Some(_)) if *scheme == Scheme::HTTPS => Ok(uri),
        (Some(scheme), Some(host)) if *scheme == Scheme::HTTP => {
            match http_allowed || is_loopback(host) {
                true => Ok(uri),
                false => refuse("must be https; or, for a network that you trust, `allow_http`"),
            }
        }
        _ => refuse("must begin with https://"),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// `max-age` less the time spent in caches (RFC 9111 §4.2); zero for what must not be stored or reused.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL);
    let directives: Vec<_> = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| directive.trim().to_ascii_lowercase())
        .collect();
    if directives.iter().any(|it| it == "no-store" || it == "no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = |text: &str| text.trim_matches('"').parse::<u64>().ok();
    let stated = directives.iter().find_map(|it| seconds(it.strip_prefix("max-age=")?))?;
    let age = headers.get(header::AGE).and_then(|value| seconds(value.to_str().ok()?));
    Some(Duration::from_secs(stated.saturating_sub(age.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_that_the_source_states() {
        let stated = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, header::HeaderValue::from_static(value));
            }
            max_age(&headers).map(|it| it.as_secs())
        };
        assert_eq!(stated(&[]), None);
        assert_eq!(stated(&[("cache-control", "public, Max-Age=60")]), Some(60));
        assert_eq!(stated(&[("cache-control", "max-age=60"), ("age", "20")]), Some(40));
        assert_eq!(stated(&[("cache-control", "max-age=60"), ("age", "90")]), Some(0));
        assert_eq!(stated(&[("cache-control", "no-store, max-age=60")]), Some(0));
        assert_eq!(stated(&[("cache-control", "max-age=forever")]), None);
        assert_eq!(stated(&[("cache-control", "s-maxage=60")]), None);
    }

    #[tokio::test]
    async fn a_large_body_is_given_up_at_the_cap() {
        assert_eq!(read("12345".to_owned(), 5).await.unwrap(), b"12345");
        assert!(read("123456".to_owned(), 5).await.is_err());
    }

    #[test]
    fn https_unless_nobody_is_on_the_path() {
        let ok = |url| checked_url("test", "it", url, false).is_ok();
        for good in [
            "https://id.example/jwks",
            "http://127.0.0.1:1/",
            "http://[::1]/",
            "http://localhost/k",
        ] {
            assert!(ok(good), "{good}");
        }
        for bad in [
            "http://id.example/jwks",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "/jwks",
            "id.example",
            "file:///etc/passwd",
            "ftp://id.example/",
            "https://gateway:hunter2@id.example/introspect",
            "https://gateway@id.example/",
            "",
        ] {
            assert!(!ok(bad), "{bad}");
        }
        assert!(checked_url("test", "it", "http://id.example/jwks", true).is_ok());
    }
}
