//! Naming a request: for whom a limit counts, what a cache entry belongs to.
//!
//! A [`Key`] writes what identifies a request into a [`KeyWriter`]; parts are length-prefixed, so that no two
//! different requests can write the same key. Keys combine as tuples: `(key::client_ip(), key::route())` counts
//! each client on each route.
//!
//! ```
//! use http::Request;
//! use tower_gateway::{guard::Head, key::{self, Key, KeyWriter}};
//!
//! let request = Request::get("/").header("x-tenant", "acme").body(()).unwrap();
//! let tenant = key::header("x-tenant");
//! assert!(tenant.write(Head::of(&request), &mut KeyWriter::new()).is_some());
//!
//! // Who has no tenant has no key, and the layer's choice for a missing key applies.
//! let request = Request::get("/").body(()).unwrap();
//! assert!(tenant.write(Head::of(&request), &mut KeyWriter::new()).is_none());
//! ```
//!
//! A closure is a key too:
//!
//! ```
//! use tower_gateway::{guard::Head, key::KeyWriter};
//! let by_method = |head: Head<'_>, key: &mut KeyWriter| {
//!     key.part(head.method().as_str());
//!     Some(())
//! };
//! # fn is_key(_: impl tower_gateway::key::Key) {}
//! # is_key(by_method);
//! ```
//!
//! A key made of what the client can choose freely (a header, say) does not limit a client that changes it: pair
//! it with an address or a subject.
//!
//! Where no request is at hand, as when an administrator asks what a client has left, `of` names it: the bytes are those
//! that its requests have.
//!
//! ```
//! use http::Request;
//! use tower_gateway::{guard::Head, key::{self, Key, KeyWriter}};
//!
//! let request = Request::get("/").header("x-tenant", "acme").body(()).unwrap();
//! let mut written = KeyWriter::new();
//! (key::header("x-tenant"), key::shared()).write(Head::of(&request), &mut written);
//!
//! let acme = key::header("x-tenant").of(["acme"]).unwrap();
//! assert_eq!(key::composite([acme, key::shared().of()]), written);
//! ```

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderName, header::InvalidHeaderName};
use smallvec::SmallVec;

use crate::{client_ip, guard::Head, identity::Identity, matched_route::MatchedRoute};

/// Names a request. See the [module docs](self).
pub trait Key {
    /// Writes the parts of the key, or `None` when the request cannot be named so.
    fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()>;
}

impl<F> Key for F
where
    F: Fn(Head<'_>, &mut KeyWriter) -> Option<()>,
{
    fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()> {
        self(head, key)
    }
}

/// Takes the parts of a key; up to 64 bytes without an allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyWriter(SmallVec<[u8; 64]>);

impl KeyWriter {
    /// An empty key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a part, so that it cannot run into its neighbours.
    #[inline]
    pub fn part(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        match part.len() {
            // An address, as most are: at one go.
            len @ ..=16 => {
                let mut both = [0; 20];
                both[..4].copy_from_slice(&length.to_be_bytes());
                both[4..4 + len].copy_from_slice(part);
                self.0.extend_from_slice(&both[..4 + len]);
            }
            _ => {
                self.0.extend_from_slice(&length.to_be_bytes());
                self.0.extend_from_slice(part);
            }
        }
    }

    /// The key so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The client's address; see [`ClientIp::ipv6_prefix`] for why IPv6 counts by network.
///
/// The [`ClientIp`](crate::client_ip::ClientIp) that its layer found, else the peer of the connection.
pub fn client_ip() -> ClientIp {
    ClientIp { ipv6_prefix: 64 }
}

/// The authenticated subject, together with who vouches for it and how.
pub fn subject() -> Subject {
    Subject(())
}

/// The plan that the [`Identity`] is on: all who are on it count together.
pub fn plan() -> Plan {
    Plan(())
}

/// The pattern of the matched route, or of axum's (feature `axum`).
pub fn route() -> Route {
    Route(())
}

/// All values of a header field, which has to be a valid name.
///
/// # Panics
///
/// When `name` is no field name in lower case; use [`try_header`] for names from a configuration.
pub fn header(name: &'static str) -> Header {
    Header(HeaderName::from_static(name))
}

/// As [`header`], for a name that is read from a configuration.
///
/// # Errors
///
/// When `name` is no field name.
pub fn try_header(name: &str) -> Result<Header, InvalidHeaderName> {
    Ok(Header(name.parse()?))
}

/// One key for all requests: a limit on the whole.
pub fn shared() -> Shared {
    Shared(())
}

/// The key that a tuple of keys writes, of what each of them writes: see the [module docs](self).
pub fn composite(parts: impl IntoIterator<Item = KeyWriter>) -> KeyWriter {
    let mut key = KeyWriter::new();
    parts.into_iter().for_each(|part| key.part(part.as_bytes()));
    key
}

/// Made by [`client_ip()`].
#[derive(Clone, Copy, Debug)]
pub struct ClientIp {
    ipv6_prefix: u8,
}

impl ClientIp {
    /// How many leading bits of an IPv6 address name a client. Default 64: a subscriber holds at least a /64, and
    /// with it 2⁶⁴ addresses to hide behind. Values above 128 are 128.
    #[must_use]
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.ipv6_prefix = bits.min(128);
        self
    }

    /// The key of the client at this address.
    pub fn of(&self, address: IpAddr) -> KeyWriter {
        written(|key| self.write_address(address.to_canonical(), key))
    }

    fn write_address(&self, address: IpAddr, key: &mut KeyWriter) {
        match address {
            IpAddr::V4(v4) => key.part(v4.octets()),
            IpAddr::V6(v6) => key.part(masked(v6, self.ipv6_prefix).octets()),
        }
    }
}

/// What this writes.
fn written(write: impl FnOnce(&mut KeyWriter)) -> KeyWriter {
    let mut key = KeyWriter::new();
    write(&mut key);
    key
}

impl Key for ClientIp {
    fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()> {
        self.write_address(client_ip::client_ip(head)?, key);
        Some(())
    }
}

fn masked(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

/// Made by [`subject`].
#[derive(Clone, Copy, Debug)]
pub struct Subject(());

impl Subject {
    /// The key of this principal; `None` for one without a subject.
    pub fn of(&self, who: &Identity) -> Option<KeyWriter> {
        let mut key = KeyWriter::new();
        self.write_identity(who, &mut key).map(|()| key)
    }

    fn write_identity(&self, who: &Identity, key: &mut KeyWriter) -> Option<()> {
        if who.subject().is_empty() {
            return None;
        }
        key.part(who.scheme());
        key.part(who.issuer().unwrap_or_default());
        key.part(who.subject());
        Some(())
    }
}

impl Key for Subject {
    fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()> {
        self.write_identity(head.get()?, key)
    }
}

/// Made by [`plan`].
#[derive(Clone, Copy, Debug)]
pub struct Plan(());

impl Plan {
    /// The key of this plan.
    pub fn of(&self, plan: &str) -> KeyWriter {
        written(|key| key.part(plan))
    }
}

impl Key for Plan {
    fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()> {
        key.part(head.get::<Identity>()?.plan()?);
        Some(())
    }
}

/// Made by [`route`].
#[derive(Clone, Copy, Debug)]
pub struct Route(());

impl Route {
    /// The key of the route with this pattern.
    pub fn of(&self, pattern: &str) -> KeyWriter {
        written(|key| key.part(pattern))
    }
}

impl Key for Route {
    fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()> {
        let pattern = head.get::<MatchedRoute>().map(MatchedRoute::pattern);
        key.part(pattern.or_else(|| axum_pattern(head))?);
        Some(())
    }
}

#[cfg(feature = "axum")]
fn axum_pattern(head: Head<'_>) -> Option<&str> {
    head.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn axum_pattern(_: Head<'_>) -> Option<&str> {
    None
}

/// Made by [`header`] and [`try_header`].
#[derive(Clone, Debug)]
pub struct Header(HeaderName);

impl Header {
    /// The key of a request whose fields of this name have these values, in their order; `None` for none.
    pub fn of(&self, values: impl IntoIterator<Item: AsRef<[u8]>>) -> Option<KeyWriter> {
        let mut key = KeyWriter::new();
        write_all(values, &mut key).map(|()| key)
    }
}

fn write_all(values: impl IntoIterator<Item: AsRef<[u8]>>, key: &mut KeyWriter) -> Option<()> {
    let mut values = values.into_iter().peekable();
    values.peek()?;
    values.for_each(|value| key.part(value));
    Some(())
}

impl Key for Header {
    fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()> {
        write_all(head.headers().get_all(&self.0), key)
    }
}

/// Made by [`shared`].
#[derive(Clone, Copy, Debug)]
pub struct Shared(());

impl Shared {
    /// The key of all requests.
    pub fn of(&self) -> KeyWriter {
        written(|key| key.part([]))
    }
}

impl Key for Shared {
    fn write(&self, _: Head<'_>, key: &mut KeyWriter) -> Option<()> {
        key.part([]);
        Some(())
    }
}

macro_rules! composite {
    ($($part:ident),+) => {
        /// A composite: every part must be there. Parts of different keys cannot be confused.
        impl<$($part: Key),+> Key for ($($part,)+) {
            #[allow(non_snake_case)]
            fn write(&self, head: Head<'_>, key: &mut KeyWriter) -> Option<()> {
                let ($($part,)+) = self;
                $(
                    let mut part = KeyWriter::new();
                    $part.write(head, &mut part)?;
                    key.part(part.as_bytes());
                )+
                Some(())
            }
        }
    };
}

composite!(A, B);
composite!(A, B, C);
composite!(A, B, C, D);

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_is_named_as_its_requests_write_it(
            address: IpAddr, prefix: u8, values in proptest::collection::vec("[ -~]{0,40}", 0..4),
            subject in "\\PC{0,30}", issuer: Option<String>, plan: String, pattern: String,
        ) {
            let who = Identity::new("jwt", subject).with_plan(plan.clone());
            let who = issuer.into_iter().fold(who, Identity::with_issuer);
            let mut request = Request::builder()
                .extension(crate::client_ip::ClientIp::new(address))
                .extension(MatchedRoute::new(pattern.as_str()))
                .extension(who.clone());
            for value in &values {
                request = request.header("x-tenant", value);
            }
            let request = request.body(()).unwrap();
            let by_address = client_ip().ipv6_prefix(prefix);
            let tenant = header("x-tenant");
            prop_assert_eq!(of(by_address, &request), Some(by_address.of(address)));
            prop_assert_eq!(of(subject_of(), &request), subject_of().of(&who));
            prop_assert_eq!(of(super::plan(), &request), Some(super::plan().of(&plan)));
            prop_assert_eq!(of(route(), &request), Some(route().of(&pattern)));
            prop_assert_eq!(of(tenant.clone(), &request), tenant.of(&values));
            let all = [Some(by_address.of(address)), tenant.of(&values), Some(shared().of())];
            let all = all.into_iter().collect::<Option<Vec<_>>>().map(composite);
            prop_assert_eq!(of((by_address, tenant, shared()), &request), all);
        }
    }

    fn subject_of() -> Subject {
        subject()
    }

    fn of(key: impl Key, request: &Request<()>) -> Option<KeyWriter> {
        let mut writer = KeyWriter::new();
        key.write(Head::of(request), &mut writer).map(|()| writer)
    }

    fn from_ip(text: &str) -> Request<()> {
        let client = crate::client_ip::ClientIp::new(text.parse().unwrap());
        Request::builder().extension(client).body(()).unwrap()
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let key = |text| of(client_ip(), &from_ip(text));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        let exact = |text| of(client_ip().ipv6_prefix(128), &from_ip(text));
        assert_ne!(exact("2001:db8::1"), exact("2001:db8::2"));
        let all = |text| of(client_ip().ipv6_prefix(0), &from_ip(text));
        assert_eq!(all("2001:db8::1"), all("2002::1"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let request =
            |a: &str, b: &str| Request::builder().header("a", a).header("b", b).body(()).unwrap();
        let key = |request| of((header("a"), header("b")), &request);
        assert_ne!(key(request("x:", "y")), key(request("x", ":y")));
        let twice = Request::builder().header("a", "x").header("a", "y").header("b", "");
        assert_ne!(key(twice.body(()).unwrap()), key(request("x", "y")));
    }

    #[test]
    fn subjects_of_two_issuers_are_two() {
        let with = |issuer: &str| {
            let who = Identity::new("jwt", "alice").with_issuer(issuer);
            Request::builder().extension(who).body(()).unwrap()
        };
        assert_ne!(of(subject(), &with("https://a")), of(subject(), &with("https://b")));
        let nobody = Request::builder().extension(Identity::new("jwt", "")).body(()).unwrap();
        assert_eq!(of(subject(), &nobody), None);
    }
}
