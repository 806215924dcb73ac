//! Who is connected: the client's address, found without believing the client.
//!
//! [`ClientIpLayer`] puts a [`ClientIp`] into the request's extensions. What it believes is your choice:
//!
//! | constructor | the client is |
//! |---|---|
//! | [`direct`](ClientIpLayer::direct) | the peer of the connection |
//! | [`behind_proxies(n)`](ClientIpLayer::behind_proxies) | the `n`th address from the right of `X-Forwarded-For` |
//! | [`trusting(cidrs)`](ClientIpLayer::trusting) | the first address from the right that is none of your proxies |
//! | [`dangerous_leftmost`](ClientIpLayer::dangerous_leftmost) | whatever the client says |
//!
//! The field is read **from the right**, because each proxy appends the address of its own peer: what your
//! proxies wrote stands at the end, and everything left of it is the client's word. For
//! `X-Forwarded-For: 203.0.113.7, 10.0.0.2, 10.0.0.1`:
//!
//! | proxies in front | client |
//! |---|---|
//! | 1 | 10.0.0.1 |
//! | 2 | 10.0.0.2 |
//! | 3, or more | 203.0.113.7 |
//!
//! An entry that is no address (`unknown`, an obfuscated name, junk) ends the walk: the client is then the last
//! good address to its right. IPv4-mapped IPv6 addresses are folded to IPv4.
//!
//! ```
//! use std::net::{IpAddr, SocketAddr};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_gateway::client_ip::{ClientIp, ClientIpLayer, PeerAddr};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let whoami = |request: Request<String>| async move {
//!     let client = request.extensions().get::<ClientIp>().unwrap().ip().to_string();
//!     Ok::<_, std::convert::Infallible>(Response::new(client))
//! };
//! let mut request = Request::get("/").header("x-forwarded-for", "6.6.6.6, 203.0.113.7");
//! let mut request = request.body(String::new()).unwrap();
//! request.extensions_mut().insert(PeerAddr(SocketAddr::from(([10, 0, 0, 1], 4711))));
//!
//! let service = ServiceBuilder::new().layer(ClientIpLayer::behind_proxies(1)).service_fn(whoami);
//! # use http_body_util::BodyExt;
//! # let body = |r: Response<tower_gateway::body::Body<String>>| async { String::from_utf8(r.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap() };
//! assert_eq!(body(service.oneshot(request.clone()).await.unwrap()).await, "203.0.113.7");
//!
//! let service = ServiceBuilder::new().layer(ClientIpLayer::direct()).service_fn(whoami);
//! assert_eq!(body(service.oneshot(request).await.unwrap()).await, "10.0.0.1");
//! # });
//! ```
//!
//! The peer's address comes from the host: axum's `ConnectInfo<SocketAddr>` (feature `axum`), tonic's
//! `TcpConnectInfo` (feature `tonic`), or a [`PeerAddr`], which this crate's server sets. Without one there is
//! no `ClientIp`, and whoever needs it refuses the request.

mod forwarded;
pub(crate) mod peer;

use std::net::IpAddr;

use http::{HeaderName, Request, header};
use ipnet::IpNet;
use tower_layer::Layer;

use crate::{
    config_error::{ConfigError, Mistakes},
    guard::{Guard, GuardLayer, Guarded, Head, Pass, Verdict},
};

pub use peer::PeerAddr;

/// The client's address, in the request's extensions. See the [module docs](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp {
    ip: IpAddr,
    peer_is_trusted: bool,
}

impl ClientIp {
    /// An address that was found out in a way of your own.
    pub fn new(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), peer_is_trusted: false }
    }

    /// The address; IPv4-mapped IPv6 is folded to IPv4.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether the peer of the connection is one of your proxies, so that what it says about the request that
    /// it forwards can be passed on.
    pub fn peer_is_trusted(&self) -> bool {
        self.peer_is_trusted
    }
}

/// The field in which your proxies name their peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedField {
    /// The de-facto `X-Forwarded-For`: a comma-separated list of addresses.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239: the `for` parameters of its elements.
    Forwarded,
}

impl ForwardedField {
    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => header::FORWARDED,
        }
    }
}

/// Finds the client's address and puts it into the request's extensions. See the [module docs](self).
#[derive(Clone, Debug)]
pub struct ClientIpLayer {
    guard: GuardLayer<FindClientIp>,
}

impl ClientIpLayer {
    /// The client is the peer of the connection; no field is read. Right at the edge.
    pub fn direct() -> Self {
        Self::with(Trust::Nobody)
    }

    /// Behind a fixed number of your own proxies, each of which appends to `X-Forwarded-For`.
    ///
    /// `hops` counts your proxies: 1 for one load balancer in front of this process. 0 is
    /// [`direct`](Self::direct). Whoever can reach this process around your proxies can choose its address.
    pub fn behind_proxies(hops: usize) -> Self {
        Self::with(if hops == 0 { Trust::Nobody } else { Trust::Hops(hops) })
    }

    /// Behind proxies whose addresses lie in these networks (`"10.0.0.0/8"`, `"192.0.2.7"`, `"fd00::/8"`).
    ///
    /// # Errors
    ///
    /// When an entry is no network, or is one that trusts every address.
    pub fn trusting<I>(networks: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut mistakes = Mistakes::of("client_ip");
        let mut trusted = Vec::new();
        for entry in networks {
            match network(entry.as_ref()) {
                Ok(net) => trusted.push(net),
                Err(mistake) => mistakes.add(mistake),
            }
        }
        mistakes.or(Self::with(Trust::Networks(trusted)))
    }

    /// Believes the leftmost address of the field, which any client can set to what it likes.
    ///
    /// Good for statistics behind a proxy that overwrites the field. Limits and bans keyed by it do not hold.
    pub fn dangerous_leftmost() -> Self {
        Self::with(Trust::Hops(usize::MAX))
    }

    /// Reads this field, and no other. Default: [`ForwardedField::XForwardedFor`].
    #[must_use]
    pub fn field(self, field: ForwardedField) -> Self {
        let FindClientIp { trust, .. } = &**self.guard.guard();
        Self { guard: GuardLayer::new(FindClientIp { trust: trust.clone(), field }) }
    }

    fn with(trust: Trust) -> Self {
        let field = ForwardedField::default();
        Self { guard: GuardLayer::new(FindClientIp { trust, field }) }
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match net {
        Ok(net) if net.prefix_len() == 0 => {
            Err(format!("`{text}` trusts every address; name the networks of your proxies"))
        }
        Ok(net) => Ok(net),
        Err(_) => {
            Err(format!("`{}` is no network; write 10.0.0.0/8 or fd00::/8", text.escape_debug()))
        }
    }
}

impl<S> Layer<S> for ClientIpLayer {
    type Service = Guarded<S, FindClientIp>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}

/// The guard of [`ClientIpLayer`]: it admits everyone, and says who they are.
#[derive(Debug)]
pub struct FindClientIp {
    trust: Trust,
    field: ForwardedField,
}

#[derive(Clone, Debug)]
enum Trust {
    Nobody,
    Hops(usize),
    Networks(Vec<IpNet>),
}

impl Trust {
    /// The rule: who the client is, given the peer and the chain of addresses from right to left.
    fn client(&self, peer: IpAddr, mut chain: impl Iterator<Item = IpAddr>) -> ClientIp {
        let (ip, peer_is_trusted) = match self {
            Self::Nobody => (peer, false),
            Self::Hops(hops) => (chain.take(*hops).last().unwrap_or(peer), true),
            Self::Networks(trusted) => {
                let is_proxy = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
                let mut client = peer;
                while is_proxy(&client) {
                    match chain.next() {
                        Some(next) => client = next,
                        None => break,
                    }
                }
                (client, is_proxy(&peer))
            }
        };
        ClientIp { ip, peer_is_trusted }
    }
}

impl Guard for FindClientIp {
    const NAME: &'static str = "client_ip";
    type Pass = FoundClientIp;

    fn check(&self, head: Head<'_>) -> Verdict<FoundClientIp> {
        let values = head.headers().get_all(self.field.name());
        let client = peer::addr(head.extensions()).map(|peer| {
            let chain = forwarded::from_the_right(self.field, values.iter());
            self.trust.client(peer.ip().to_canonical(), chain)
        });
        Verdict::admit(FoundClientIp(client))
    }
}

/// Carries the address into the request.
#[derive(Debug)]
pub struct FoundClientIp(Option<ClientIp>);

impl Pass for FoundClientIp {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        match self.0 {
            Some(client) => request.extensions_mut().insert(client),
            None => request.extensions_mut().remove::<ClientIp>(),
        };
    }
}

/// The client's address: the extension, or else the peer's, which needs no trust.
pub(crate) fn client_ip(head: Head<'_>) -> Option<IpAddr> {
    match head.get::<ClientIp>() {
        Some(client) => Some(client.ip()),
        None => peer::addr(head.extensions()).map(|peer| peer.ip().to_canonical()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The client behind peer 10.9.9.9, for an `X-Forwarded-For` of this value.
    fn client(chain: &str, trust: &Trust) -> IpAddr {
        let value = http::HeaderValue::from_str(chain).unwrap();
        let chain =
            forwarded::from_the_right(ForwardedField::XForwardedFor, std::iter::once(&value));
        trust.client(ip("10.9.9.9"), chain).ip()
    }

    #[test]
    fn counts_hops_from_the_right() {
        let chain = "203.0.113.7, 10.0.0.2, 10.0.0.1";
        assert_eq!(client(chain, &Trust::Hops(1)), ip("10.0.0.1"));
        assert_eq!(client(chain, &Trust::Hops(3)), ip("203.0.113.7"));
        assert_eq!(client(chain, &Trust::Hops(9)), ip("203.0.113.7"));
        assert_eq!(client("", &Trust::Hops(1)), ip("10.9.9.9"));
        assert_eq!(client(chain, &Trust::Nobody), ip("10.9.9.9"));
    }

    #[test]
    fn walks_past_trusted_proxies_only() {
        let trust = Trust::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(client("6.6.6.6, 203.0.113.7, 10.0.0.2", &trust), ip("203.0.113.7"));
        assert_eq!(client("10.0.0.3, 10.0.0.2", &trust), ip("10.0.0.3"));
        let stranger = Trust::Networks(vec!["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(client("203.0.113.7", &stranger), ip("10.9.9.9"));
    }

    #[test]
    fn junk_ends_the_walk() {
        let trust = Trust::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(client("203.0.113.7, junk, 10.0.0.2", &trust), ip("10.0.0.2"));
        assert_eq!(client("203.0.113.7, unknown", &Trust::Hops(2)), ip("10.9.9.9"));
    }

    #[test]
    fn networks_that_trust_everyone_are_refused() {
        let error = ClientIpLayer::trusting(["0.0.0.0/0", "10.0.0.0/8", "nonsense", "::/0"]);
        assert_eq!(error.unwrap_err().mistakes().len(), 3);
        assert!(ClientIpLayer::trusting(["192.0.2.7", "fd00::/8"]).is_ok());
    }
}
