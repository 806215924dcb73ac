//! Where the store is: URLs, read when it is built.

use std::time::Duration;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use super::trust::Trust;
use crate::config_error::{ConfigError, Mistakes};

/// The error's title.
pub(super) const WHAT: &str = "redis store";

/// Whom to ask for a connection, and how to know that it is they who answer.
#[derive(Clone)]
pub(super) struct Address {
    servers: Servers,
    trust: Trust,
}

#[derive(Clone)]
pub(super) enum Servers {
    One(ConnectionInfo),
    Cluster(Vec<ConnectionInfo>),
    /// Those who know the master of this name.
    Sentinels(String, Vec<ConnectionInfo>),
}

impl Address {
    pub(super) fn one(url: &str) -> Result<Self, ConfigError> {
        Self::of(Servers::One(parse(&[url])?.remove(0)), Trust::default())
    }

    pub(super) fn cluster<U: AsRef<str>>(urls: &[U]) -> Result<Self, ConfigError> {
        Self::of(Servers::Cluster(parse(urls)?), Trust::default())
    }

    pub(super) fn sentinel<U: AsRef<str>>(name: &str, urls: &[U]) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of(WHAT);
        if name.is_empty() {
            mistakes.add("the master that the sentinels watch needs a name");
        }
        let sentinels = mistakes.note(parse(urls)).unwrap_or_default();
        mistakes.or(())?;
        Self::of(Servers::Sentinels(name.to_owned(), sentinels), Trust::default())
    }

    /// The same servers, trusted so.
    #[cfg(feature = "tls")]
    pub(super) fn trusting(
        &self,
        change: impl FnOnce(Trust) -> Result<Trust, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let servers = match &self.servers {
            Servers::One(server) => std::slice::from_ref(server),
            Servers::Cluster(servers) | Servers::Sentinels(_, servers) => servers,
        };
        if !servers.iter().all(is_encrypted) {
            return Err(ConfigError::new(WHAT, "certificates are of use for rediss:// URLs only"));
        }
        Self::of(self.servers.clone(), change(self.trust.clone())?)
    }

    /// Tries whether a client can be made of it.
    fn of(servers: Servers, trust: Trust) -> Result<Self, ConfigError> {
        let this = Self { servers, trust };
        match &this.servers {
            Servers::One(server) => this.client(server).map(drop).map_err(|_| unusable())?,
            Servers::Cluster(nodes) => {
                this.cluster_client(nodes, Duration::ZERO).map(drop).map_err(|_| {
                    let alike =
                        "the nodes of a cluster need one user, password and kind of connection";
                    ConfigError::new(WHAT, alike)
                })?;
            }
            Servers::Sentinels(name, them) => {
                this.sentinel_client(name, them).map(drop).map_err(|_| unusable())?;
            }
        }
        Ok(this)
    }

    pub(super) fn servers(&self) -> &Servers {
        &self.servers
    }

    pub(super) fn client(&self, server: &ConnectionInfo) -> RedisResult<Client> {
        self.trust.client(server.clone())
    }

    /// A client of these nodes, which gives up an attempt after so long.
    pub(super) fn cluster_client(
        &self,
        nodes: &[ConnectionInfo],
        timeout: Duration,
    ) -> RedisResult<ClusterClient> {
        let client = self.trust.cluster(ClusterClient::builder(nodes.to_vec()), nodes);
        client.response_timeout(timeout).connection_timeout(timeout).retries(2).build()
    }

    /// A client of the master. User and password of the first URL are those of all servers, sentinels included.
    pub(super) fn sentinel_client(
        &self,
        name: &str,
        sentinels: &[ConnectionInfo],
    ) -> RedisResult<SentinelClient> {
        let addresses = sentinels.iter().map(|it| it.addr().clone());
        let client = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?;
        let mut client = self.trust.sentinel(client, sentinels);
        let settings = sentinels.first().map(ConnectionInfo::redis_settings);
        if let Some(user) = settings.and_then(|it| it.username()) {
            client = client.set_client_to_redis_username(user);
            client = client.set_client_to_sentinel_username(user);
        }
        if let Some(password) = settings.and_then(|it| it.password()) {
            client = client.set_client_to_redis_password(password);
            client = client.set_client_to_sentinel_password(password);
        }
        client = client.set_client_to_redis_db(settings.map_or(0, redis::RedisConnectionInfo::db));
        client.build()
    }
}

/// Reads all of them; mistakes name a URL by its place, for it may hold a password.
fn parse<U: AsRef<str>>(urls: &[U]) -> Result<Vec<ConnectionInfo>, ConfigError> {
    let mut mistakes = Mistakes::of(WHAT);
    if urls.is_empty() {
        mistakes.add("at least one URL is needed");
    }
    let mut servers = Vec::new();
    for (place, url) in urls.iter().enumerate() {
        match url.as_ref().into_connection_info() {
            Ok(server) if is_within_reach(server.addr()) => servers.push(server),
            Ok(server) if is_encrypted(&server) => mistakes.add(format!(
                "URL {}: rediss:// needs feature `tls`, and no `#insecure`",
                place + 1
            )),
            _ => mistakes.add(format!("URL {} is not redis://host:port/database", place + 1)),
        }
    }
    mistakes.or(servers)
}

/// Whether connections of this kind are compiled in, and verify who answers.
fn is_within_reach(address: &ConnectionAddr) -> bool {
    address.is_supported() && !matches!(address, ConnectionAddr::TcpTls { insecure: true, .. })
}

/// Whether it is `rediss://`.
pub(super) fn is_encrypted(server: &ConnectionInfo) -> bool {
    matches!(server.addr(), ConnectionAddr::TcpTls { .. })
}

fn unusable() -> ConfigError {
    ConfigError::new(WHAT, "the address, or a certificate, cannot be used by this build")
}
