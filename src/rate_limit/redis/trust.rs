//! What servers of `rediss://` are trusted by, and what we show them.

use redis::{
    Client, ClientTlsConfig, ConnectionInfo, RedisResult, TlsCertificates, TlsMode,
    cluster::ClusterClientBuilder, sentinel::SentinelClientBuilder,
};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};

use super::address::{WHAT, is_encrypted};
use crate::config_error::ConfigError;

/// Certificates as PEM. Without roots, those of the Mozilla programme are trusted.
#[derive(Clone, Default)]
pub(super) struct Trust {
    roots: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Trust {
    pub(super) fn with_roots(self, pem: &[u8]) -> Result<Self, ConfigError> {
        if !holds_roots(pem) {
            let mistake = "`root_pem`: the PEM holds no certificate that can be read";
            return Err(ConfigError::new(WHAT, mistake));
        }
        Ok(Self { roots: Some(pem.to_vec()), ..self })
    }

    pub(super) fn with_identity(self, chain: &[u8], key: &[u8]) -> Self {
        Self { identity: Some((chain.to_vec(), key.to_vec())), ..self }
    }

    pub(super) fn client(&self, server: ConnectionInfo) -> RedisResult<Client> {
        if !is_encrypted(&server) {
            return Client::open(server);
        }
        provide();
        Client::build_with_tls(server, self.certificates())
    }

    pub(super) fn cluster(
        &self,
        client: ClusterClientBuilder,
        nodes: &[ConnectionInfo],
    ) -> ClusterClientBuilder {
        if !nodes.iter().any(is_encrypted) {
            return client;
        }
        provide();
        client.certs(self.certificates())
    }

    /// The master is reached as its sentinels are.
    pub(super) fn sentinel(
        &self,
        client: SentinelClientBuilder,
        sentinels: &[ConnectionInfo],
    ) -> SentinelClientBuilder {
        if !sentinels.iter().any(is_encrypted) {
            return client;
        }
        provide();
        client
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(self.certificates())
            .set_client_to_sentinel_certificates(self.certificates())
    }

    fn certificates(&self) -> TlsCertificates {
        let identity = self.identity.clone();
        let identity =
            identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        TlsCertificates { client_tls: identity, root_cert: self.roots.clone() }
    }
}

/// Whether all that stands in it are certificates, and there are some.
fn holds_roots(pem: &[u8]) -> bool {
    let mut roots = RootCertStore::empty();
    let mut found = CertificateDer::pem_slice_iter(pem);
    found.all(|it| it.is_ok_and(|root| roots.add(root).is_ok())) && !roots.is_empty()
}

/// Where a program has several providers compiled in, rustls takes none by itself, and panics. One that the program
/// has chosen stays.
fn provide() {
    if CryptoProvider::get_default().is_none() {
        let _ = aws_lc_rs::default_provider().install_default(); // another thread was faster
    }
}
