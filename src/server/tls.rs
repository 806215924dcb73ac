//! TLS by rustls over aws-lc-rs.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{PeerCertificate, connection::Protocol};
use crate::config_error::{ConfigError, Mistakes};

/// TLS 1.2 and 1.3 for a [`Server`](super::Server), with HTTP/2 and HTTP/1.1 by ALPN.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_gateway::server::{Server, ServerTls};
///
/// let tls = ServerTls::from_pem(std::fs::read("cert.pem")?, std::fs::read("key.pem")?)?
///     .client_roots(std::fs::read("clients.pem")?)?;
/// let server = Server::new().tls(tls);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>, Identity);

type Identity = Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>;

impl ServerTls {
    /// The server's certificate chain, leaf first, and its private key (PKCS#8, PKCS#1 or SEC1), as PEM.
    ///
    /// # Errors
    ///
    /// When either cannot be read, or the key is not the certificate's.
    pub fn from_pem(
        cert_chain: impl AsRef<[u8]>,
        private_key: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("tls");
        let chain = certificates(cert_chain.as_ref());
        if chain.is_empty() {
            mistakes.add("the certificate chain holds no PEM certificate that can be read");
        }
        let key = PrivateKeyDer::from_pem_slice(private_key.as_ref()).ok();
        if key.is_none() {
            mistakes.add("the private key holds no PEM key that can be read");
        }
        let Some(key) = mistakes.or(key)? else {
            return Err(ConfigError::new("tls", "the private key is missing"));
        };
        Self::assemble(Arc::new((chain, key)), None)
    }

    /// The certificate authorities that clients' certificates must come from, as PEM. A client without one is
    /// refused in the handshake.
    ///
    /// # Errors
    ///
    /// When there is no usable certificate.
    pub fn client_roots(self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::assemble(self.1, Some((roots(pem.as_ref())?, true)))
    }

    /// As [`client_roots`](Self::client_roots), but a client may come without a certificate: its requests have no
    /// [`PeerCertificate`]. One that does not verify is refused all the same.
    ///
    /// # Errors
    ///
    /// When there is no usable certificate.
    pub fn optional_client_roots(self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::assemble(self.1, Some((roots(pem.as_ref())?, false)))
    }

    fn assemble(
        identity: Identity,
        clients: Option<(RootCertStore, bool)>,
    ) -> Result<Self, ConfigError> {
        let mistake = |error: rustls::Error| ConfigError::new("tls", error.to_string());
        // Never the process's default provider: which one that is depends on who came first.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(mistake)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((roots, required)) => {
                builder.with_client_cert_verifier(verifier(roots, required, provider)?)
            }
        };
        let mut config = builder
            .with_single_cert(identity.0.clone(), identity.1.clone_key())
            .map_err(mistake)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config), identity))
    }

    pub(super) fn acceptor(&self) -> Acceptor {
        Acceptor(TlsAcceptor::from(Arc::clone(&self.0)))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls") // it holds a private key
    }
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap_or_default()
}

fn roots(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let mut mistakes = Mistakes::of("tls");
    let mut roots = RootCertStore::empty();
    for (nth, certificate) in certificates(pem).into_iter().enumerate() {
        if let Err(error) = roots.add(certificate) {
            mistakes.add(format!("client root {}: {error}", nth + 1));
        }
    }
    if roots.is_empty() {
        mistakes.add("the client roots hold no usable PEM certificate");
    }
    mistakes.or(roots)
}

fn verifier(
    roots: RootCertStore,
    required: bool,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, ConfigError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match required {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| ConfigError::new("tls", error.to_string()))
}

/// Makes TLS connections of TCP connections.
#[derive(Clone)]
pub(super) struct Acceptor(TlsAcceptor);

/// A connection whose handshake is done.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) protocol: Option<Protocol>,
    pub(super) certificate: Option<PeerCertificate>,
}

impl Acceptor {
    pub(super) async fn accept(self, stream: TcpStream) -> io::Result<Secured> {
        let stream = self.0.accept(stream).await?;
        let (_, session) = stream.get_ref();
        let protocol = session.alpn_protocol().map(|name| match name {
            b"h2" => Protocol::Http2,
            _ => Protocol::Http1,
        });
        let certificate = session
            .peer_certificates()
            .map(|chain| PeerCertificate::new(chain.iter().map(|it| Bytes::copy_from_slice(it))));
        Ok(Secured { stream, protocol, certificate })
    }
}
