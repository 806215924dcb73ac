//! What is to be signed, and what comes of it.

use std::{fmt, net::IpAddr, time::Duration};

use http::Method;

/// What a URL shall permit: for [`UrlSigner::sign`](super::UrlSigner::sign).
///
/// The URL is a path with an optional query (`/videos/7?quality=hd`), or an absolute URL, whose host is then covered
/// as well. All parameters of its query are covered, in their order.
#[derive(Clone, Debug)]
pub struct Link {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) lifetime: Duration,
    pub(super) starts_at: Option<Duration>,
    pub(super) prefix: Option<String>,
    pub(super) any_host: bool,
    pub(super) client_ip: Option<IpAddr>,
    pub(super) subject: Option<String>,
}

impl Link {
    /// Permits GET, and HEAD, for so long; whole seconds, rounded up.
    pub fn get(url: impl Into<String>, lifetime: Duration) -> Self {
        Self::new(Method::GET, url, lifetime)
    }

    /// Permits PUT, for so long.
    pub fn put(url: impl Into<String>, lifetime: Duration) -> Self {
        Self::new(Method::PUT, url, lifetime)
    }

    /// Permits this method and no other, but that HEAD goes with GET.
    pub fn new(method: Method, url: impl Into<String>, lifetime: Duration) -> Self {
        Self {
            method,
            url: url.into(),
            lifetime,
            starts_at: None,
            prefix: None,
            any_host: false,
            client_ip: None,
            subject: None,
        }
    }

    /// Permits nothing before this time since the Unix epoch, in whole seconds; the lifetime then counts from there.
    #[must_use]
    pub fn starts_at(self, unix: Duration) -> Self {
        Self { starts_at: Some(unix), ..self }
    }

    /// Permits this path and everything below it, instead of the URL's path alone, which must be one of them:
    /// `/videos/7` covers `/videos/7/seg1.ts` and not `/videos/77`. The query is the same for all of them:
    /// [`SignedLink::query`].
    #[must_use]
    pub fn prefix(self, path: impl Into<String>) -> Self {
        Self { prefix: Some(path.into()), ..self }
    }

    /// Does not cover the host of an absolute URL, so that the link is good at every host with the same keys.
    #[must_use]
    pub fn any_host(self) -> Self {
        Self { any_host: true, ..self }
    }

    /// Permits it to the client at this address, or in the same /64 for IPv6. The address does not stand in the
    /// URL.
    #[must_use]
    pub fn client_ip(self, ip: IpAddr) -> Self {
        Self { client_ip: Some(ip), ..self }
    }

    /// Who the requests speak for: the subject of their [`Identity`](crate::Identity), in place of the key's id.
    /// It can be read in the URL.
    #[must_use]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }
}

/// A URL with its signature. `Display` and [`as_str`](Self::as_str) show it; `Debug` does not, because whoever has it
/// can use it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedLink(pub(super) String);

impl SignedLink {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The query with its signature, to be appended to other paths below a [`prefix`](Link::prefix).
    pub fn query(&self) -> &str {
        self.0.split_once('?').map_or("", |(_, query)| query)
    }
}

impl fmt::Display for SignedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SignedLink> for String {
    fn from(link: SignedLink) -> Self {
        link.0
    }
}

impl fmt::Debug for SignedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedLink(..)")
    }
}
