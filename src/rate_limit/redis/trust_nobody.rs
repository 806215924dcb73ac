//! Without feature `tls` there is no `rediss://`, and nobody to trust.

use redis::{
    Client, ConnectionInfo, RedisResult, cluster::ClusterClientBuilder,
    sentinel::SentinelClientBuilder,
};

#[derive(Clone, Default)]
pub(super) struct Trust(());

impl Trust {
    pub(super) fn client(&self, server: ConnectionInfo) -> RedisResult<Client> {
        Client::open(server)
    }

    pub(super) fn cluster(
        &self,
        client: ClusterClientBuilder,
        _: &[ConnectionInfo],
    ) -> ClusterClientBuilder {
        client
    }

    pub(super) fn sentinel(
        &self,
        client: SentinelClientBuilder,
        _: &[ConnectionInfo],
    ) -> SentinelClientBuilder {
        client
    }
}
