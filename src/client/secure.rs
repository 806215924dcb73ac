//! TLS to origins: which roots to trust, and which certificate to show.

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    connect::{self, Fresh},
    error::{ClientError, ClientErrorKind},
    settings::HttpVersion,
};
use crate::config_error::{ConfigError, Mistakes};

/// How to trust `https` origins. Made with [`ClientTls::builder`]; cheap to clone.
///
/// TLS 1.2 and 1.3 by rustls over aws-lc-rs. The default trusts the roots of the Mozilla programme.
///
/// ```
/// use tower_gateway::client::ClientTls;
///
/// assert!(ClientTls::builder().build().is_ok());
/// let mistakes = ClientTls::builder().no_public_roots().root_pem("not PEM").build().unwrap_err();
/// assert!(mistakes.to_string().contains("no certificate"));
/// ```
#[derive(Clone)]
pub struct ClientTls(Arc<Configs>);

/// One configuration for each set of protocols to offer by ALPN (RFC 7301).
struct Configs {
    negotiated: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl ClientTls {
    /// The default trust, to be changed.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder { public_roots: true, roots: Vec::new(), identity: None }
    }

    fn of(config: ClientConfig) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
            Arc::new(config)
        };
        Self(Arc::new(Configs {
            negotiated: offering(&[b"h2", b"http/1.1"]),
            http1: offering(&[b"http/1.1"]),
            http2: offering(&[b"h2"]),
        }))
    }

    fn offering(&self, version: HttpVersion) -> TlsConnector {
        TlsConnector::from(Arc::clone(match version {
            HttpVersion::Negotiated => &self.0.negotiated,
            HttpVersion::Http1 => &self.0.http1,
            HttpVersion::Http2 => &self.0.http2,
        }))
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

/// Builds a [`ClientTls`].
#[derive(Clone)]
pub struct ClientTlsBuilder {
    public_roots: bool,
    roots: Vec<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl ClientTlsBuilder {
    /// Trusts these certificates too: PEM, one or more.
    #[must_use]
    pub fn root_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().to_vec());
        self
    }

    /// Trusts only the roots that were given.
    #[must_use]
    pub fn no_public_roots(mut self) -> Self {
        self.public_roots = false;
        self
    }

    /// Shows this certificate to origins that ask for one: the chain, leaf first, and its private key, both PEM.
    #[must_use]
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some((chain.as_ref().to_vec(), key.as_ref().to_vec()));
        self
    }

    /// Reads everything that was given.
    ///
    /// # Errors
    ///
    /// With every mistake: PEM that holds no certificate or no key, a root that is none, a key that does not
    /// belong to its certificate, nothing to trust.
    pub fn build(self) -> Result<ClientTls, ConfigError> {
        let mut mistakes = Mistakes::of("tls");
        let roots = self.trusted(&mut mistakes);
        if roots.is_empty() {
            mistakes.add("no root is trusted: give one with `root_pem`");
        }
        let identity = self.identity(&mut mistakes);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let config = match identity {
            None => Some(config.with_no_client_auth()),
            Some((chain, key)) => match config.with_client_auth_cert(chain, key) {
                Ok(config) => Some(config),
                Err(_) => {
                    mistakes.add("`certificate_pem`: the key is not the certificate's");
                    None
                }
            },
        };
        let tls = mistakes.or(config.map(ClientTls::of))?;
        tls.ok_or_else(|| ConfigError::new("tls", "no configuration"))
    }

    fn trusted(&self, mistakes: &mut Mistakes) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        if self.public_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for pem in &self.roots {
            for certificate in certificates(pem, "root_pem", mistakes) {
                if roots.add(certificate).is_err() {
                    mistakes.add("`root_pem`: a certificate cannot be read");
                }
            }
        }
        roots
    }

    fn identity(
        &self,
        mistakes: &mut Mistakes,
    ) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let (chain, key) = self.identity.as_ref()?;
        let chain = certificates(chain, "certificate_pem", mistakes);
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| mistakes.add("`certificate_pem`: the PEM holds no private key"))
            .ok();
        Some((chain, key?)).filter(|(chain, _)| !chain.is_empty())
    }
}

impl std::fmt::Debug for ClientTlsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTlsBuilder") // holds a private key
    }
}

/// The certificates in this PEM, of which there must be one.
fn certificates(
    pem: &[u8],
    setting: &str,
    mistakes: &mut Mistakes,
) -> Vec<CertificateDer<'static>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => found,
        Ok(_) => {
            mistakes.add(format!("`{setting}`: the PEM holds no certificate"));
            Vec::new()
        }
        Err(_) => {
            mistakes.add(format!("`{setting}`: the PEM is broken"));
            Vec::new()
        }
    }
}

/// The settings' TLS: the user's, or the default once it is needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secure(pub(crate) Option<ClientTls>);

impl Secure {
    pub(super) async fn connect(
        &self,
        tcp: TcpStream,
        host: &str,
        version: HttpVersion,
    ) -> Result<Fresh, ClientError> {
        static DEFAULT: OnceLock<ClientTls> = OnceLock::new();
        let default = || {
            let tls = ClientTls::builder().build();
            tls.expect("the default settings hold no mistake")
        };
        let tls = match &self.0 {
            Some(tls) => tls,
            None => DEFAULT.get_or_init(default),
        };
        let failed = |error| ClientError::new(ClientErrorKind::Tls, error);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| ClientError::new(ClientErrorKind::Tls, error))?;
        let stream = tls.offering(version).connect(name, tcp).await;
        speak(stream.map_err(failed)?, version).await
    }
}

/// The protocol that was negotiated; one that was demanded must have been.
async fn speak(stream: TlsStream<TcpStream>, version: HttpVersion) -> Result<Fresh, ClientError> {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    match (http2, version) {
        (true, _) => connect::http2(stream).await,
        (false, HttpVersion::Http2) => {
            Err(ClientError::new(ClientErrorKind::Tls, "the origin does not speak HTTP/2"))
        }
        (false, _) => connect::http1(stream).await,
    }
}
