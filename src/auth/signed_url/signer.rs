//! Makes signed URLs.

use std::{fmt, fmt::Write as _, time::Duration};

use http::{Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use smallvec::SmallVec;

use super::{
    key::SigningKey,
    link::{Link, SignedLink},
    message::{self, Message},
    parameters::{Name, is_ours},
};
use crate::{
    auth::query,
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    guard::Head,
    target::{PathRules, host_name},
};

/// What is encoded in a subject: all but unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes URLs that a [`SignedUrlLayer`](super::SignedUrlLayer) with the same key admits. See the
/// [module docs](super).
#[derive(Clone)]
pub struct UrlSigner {
    key: SigningKey,
    clock: Clock,
    rules: PathRules,
}

impl UrlSigner {
    /// Signs with this key.
    pub fn new(key: SigningKey) -> Self {
        Self { key, clock: Clock::system(), rules: PathRules::default() }
    }

    /// The clock that lifetimes count from. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// What a path may contain; the same as at the layer. Default: [`PathRules::default`].
    #[must_use]
    pub fn path_rules(self, rules: PathRules) -> Self {
        Self { rules, ..self }
    }

    /// The URL, with our parameters and the signature at the end of its query. Its path is brought into the one
    /// form that the layer accepts.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read, or in two ways; has a fragment, or a parameter whose name begins with `gw-`;
    /// when the lifetime is zero, the subject is empty, the prefix is the whole site or does not cover the path, or
    /// the method is HEAD or CONNECT. All mistakes are listed.
    pub fn sign(&self, link: Link) -> Result<SignedLink, ConfigError> {
        let mut mistakes = Mistakes::of("signed_url");
        check(&link, &mut mistakes);
        let uri = mistakes.note(target(&link.url));
        let path = uri.as_ref().and_then(|uri| mistakes.note(self.canonical(uri.path())));
        let covered = path.as_deref().and_then(|path| mistakes.note(self.covered(path, &link)));
        let host = uri.as_ref().and_then(|uri| mistakes.note(host(uri, link.any_host)));
        let found = uri.zip(path).zip(covered.zip(host));
        let ((uri, path), (covered, host)) =
            mistakes.or(found)?.expect("what was not found is a mistake");

        let mut signed = String::with_capacity(path.len() + 256);
        if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
            let _ = write!(signed, "{scheme}://{authority}");
        }
        let _ = write!(signed, "{path}?");
        let start = signed.len();
        if let Some(query) = uri.query().filter(|it| !it.is_empty()) {
            let _ = write!(signed, "{query}&");
        }
        self.write_parameters(&mut signed, &link, &covered, host.is_some());
        let message = Message {
            method: link.method.as_str(),
            host: host.unwrap_or_default(),
            client: link.client_ip.map(message::client).unwrap_or_default(),
            path: &covered.path,
            query: &signed[start..],
        };
        let signature = self.key.sign(&message)?;
        let _ = write!(signed, "&{}={signature}", Name::Signature.as_str());
        Ok(SignedLink(signed))
    }

    fn write_parameters(&self, query: &mut String, link: &Link, covered: &Covered, host: bool) {
        let from = link.starts_at.map(|it| it.as_secs());
        let start = from.map_or_else(|| self.clock.unix(), Duration::from_secs);
        let end = start.saturating_add(link.lifetime).saturating_add(ALMOST_A_SECOND).as_secs();
        let _ = write!(query, "{}={}", Name::Key.as_str(), self.key.id());
        let mut add = |name: Name, value: &dyn fmt::Display| {
            let _ = write!(query, "&{}={value}", name.as_str());
        };
        add(Name::Expires, &end);
        if let Some(from) = from {
            add(Name::From, &from);
        }
        if let Some(count) = covered.segments {
            add(Name::Prefix, &count);
        }
        if host {
            add(Name::Host, &1);
        }
        if link.client_ip.is_some() {
            add(Name::Ip, &1);
        }
        if let Some(subject) = &link.subject {
            add(Name::Subject, &utf8_percent_encode(subject, RESERVED));
        }
    }

    fn canonical(&self, path: &str) -> Result<String, ConfigError> {
        let path = self.rules.canonical(path);
        path.map(Into::into).map_err(|why| ConfigError::new("signed_url", why.to_string()))
    }

    /// The part of this path that the link covers.
    fn covered(&self, path: &str, link: &Link) -> Result<Covered, ConfigError> {
        let Some(prefix) = &link.prefix else {
            return Ok(Covered { path: path.to_owned(), segments: None });
        };
        let prefix = self.canonical(prefix)?;
        let prefix = prefix.strip_suffix('/').unwrap_or(&prefix);
        let segments = prefix.matches('/').count();
        match message::leading(path, segments) {
            Some(covered) if covered == prefix => {
                Ok(Covered { path: prefix.to_owned(), segments: Some(segments) })
            }
            None if segments == 0 => Err(mistake("the prefix is the whole site")),
            _ => Err(mistake("the prefix does not cover the URL's path")),
        }
    }
}

impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UrlSigner").field(&self.key).finish()
    }
}

/// To round up.
const ALMOST_A_SECOND: Duration = Duration::from_nanos(999_999_999);

/// A path, or its leading segments.
struct Covered {
    path: String,
    segments: Option<usize>,
}

fn check(link: &Link, mistakes: &mut Mistakes) {
    if link.lifetime.is_zero() {
        mistakes.add("the lifetime is zero");
    }
    let longest = Duration::from_secs(999_999_999_999);
    if link.lifetime.saturating_add(link.starts_at.unwrap_or_default()) > longest / 2 {
        mistakes.add("the link would live for thousands of years");
    }
    if link.starts_at.is_some_and(|it| it.as_secs() == 0) {
        mistakes.add("the start is the epoch");
    }
    if link.subject.as_deref() == Some("") {
        mistakes.add("the subject is empty");
    }
    if link.method == Method::HEAD || link.method == Method::CONNECT {
        mistakes.add("a link for GET serves HEAD as well, and none serves CONNECT");
    }
}

/// The URL in its parts.
fn target(url: &str) -> Result<Uri, ConfigError> {
    let uri: Uri = url.parse().map_err(|_| {
        mistake("the URL cannot be read; escape what may not stand in one, such as a space by %20")
    })?;
    if url.contains('#') {
        return Err(mistake("the URL has a fragment, which no server sees"));
    }
    if uri.path_and_query().is_none_or(|it| !it.path().starts_with('/')) {
        return Err(mistake("the URL has no path"));
    }
    if query::parameters(&uri).any(is_ours) {
        return Err(mistake("the URL has a parameter whose name begins with `gw-`"));
    }
    Ok(uri)
}

/// The line of the URL's host, if it is covered.
fn host(uri: &Uri, any_host: bool) -> Result<Option<SmallVec<[u8; 64]>>, ConfigError> {
    if any_host || uri.authority().is_none() {
        return Ok(None);
    }
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    match host_name(Head::of(&request)) {
        Ok(Some(name)) => Ok(Some(message::host(name))),
        _ => Err(mistake("the URL's host is none")),
    }
}

fn mistake(why: &'static str) -> ConfigError {
    ConfigError::new("signed_url", why)
}

#[cfg(all(test, feature = "test-util"))]
mod tests;
