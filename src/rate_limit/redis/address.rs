//! Where the store is: URLs, read when it is built.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use std::time::Duration;

use crate::config_error::{ConfigError, Mistakes};

/// The error's title.
const WHAT: &str = "redis store";

/// Whom to ask for a connection.
pub(super) enum Address {
    One(Client),
    Cluster(Vec<ConnectionInfo>),
    Sentinel(Sentinels),
}

/// Those who know the master of this name.
pub(super) struct Sentinels {
    name: String,
    sentinels: Vec<ConnectionInfo>,
}

impl Address {
    pub(super) fn one(url: &str) -> Result<Self, ConfigError> {
        let server = parse(&[url])?.remove(0);
        Client::open(server).map(Self::One).map_err(|_| unusable())
    }

    pub(super) fn cluster<U: AsRef<str>>(urls: &[U]) -> Result<Self, ConfigError> {
        let nodes = parse(urls)?;
        ClusterClient::new(nodes.clone()).map_err(|_| {
            let alike = "the nodes of a cluster need one user, password and kind of connection";
            ConfigError::new(WHAT, alike)
        })?;
        Ok(Self::Cluster(nodes))
    }

    pub(super) fn sentinel<U: AsRef<str>>(name: &str, urls: &[U]) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of(WHAT);
        if name.is_empty() {
            mistakes.add("the master that the sentinels watch needs a name");
        }
        let sentinels = mistakes.note(parse(urls)).unwrap_or_default();
        let sentinels = Sentinels { name: name.to_owned(), sentinels };
        mistakes.or(())?;
        sentinels.client().map_err(|_| unusable())?;
        Ok(Self::Sentinel(sentinels))
    }
}

impl Sentinels {
    /// A client of the master. User and password of the first URL are those of all servers, sentinels included.
    pub(super) fn client(&self) -> redis::RedisResult<SentinelClient> {
        let addresses = self.sentinels.iter().map(|it| it.addr().clone());
        let mut client =
            SentinelClientBuilder::new(addresses, &self.name, SentinelServerType::Master)?;
        let settings = self.sentinels.first().map(ConnectionInfo::redis_settings);
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

/// A client of these nodes, which gives up an attempt after so long.
pub(super) fn cluster_client(
    nodes: &[ConnectionInfo],
    timeout: Duration,
) -> redis::RedisResult<ClusterClient> {
    let client = ClusterClient::builder(nodes.to_vec());
    client.response_timeout(timeout).connection_timeout(timeout).retries(2).build()
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
            _ => mistakes.add(format!("URL {} is not redis://host:port/database", place + 1)),
        }
    }
    mistakes.or(servers)
}

/// Whether connections of this kind are compiled in.
fn is_within_reach(address: &ConnectionAddr) -> bool {
    address.is_supported()
}

fn unusable() -> ConfigError {
    ConfigError::new(WHAT, "the address cannot be used by this build")
}
