//! TLS with real certificates.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_gateway::server::ServerTls;

use crate::rig::{Rig, soon, statuses};

/// A certificate and its key, as PEM.
struct Pair {
    cert: String,
    key: String,
}

struct Authority {
    cert: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    Authority { cert, issuer }
}

impl Authority {
    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        Pair { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    fn server(&self) -> ServerTls {
        let pair = self.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        ServerTls::from_pem(pair.cert, pair.key).unwrap()
    }

    fn client(&self) -> Pair {
        self.issue("client", ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Shakes hands with these protocols, with this certificate.
    async fn connect(
        &self,
        rig: &Rig,
        alpn: &[&str],
        pair: Option<&Pair>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        soon(connector.connect(name, rig.connect().await)).await
    }
}

async fn get(mut stream: TlsStream<TcpStream>) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    // with TLS 1.3 a refused client learns of it only now
    if stream.write_all(request).await.is_ok() {
        let _ = soon(stream.read_to_string(&mut answer)).await;
    }
    answer
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let authority = authority();
    let rig = Rig::with(|server| server.tls(authority.server()));
    for alpn in [&["http/1.1"][..], &[]] {
        let stream = authority.connect(&rig, alpn, None).await.unwrap();
        let answer = get(stream).await;
        assert_eq!(statuses(&answer), [200]);
        assert!(answer.contains("[scheme https]") && answer.contains("[peer 127.0.0.1]"));
        assert!(!answer.contains("[certificate"));
    }
    let stream = authority.connect(&rig, &["h2", "http/1.1"], None).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut send, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(String::new()).unwrap();
    let response = soon(send.send_request(request)).await.unwrap();
    assert_eq!(
        (response.status(), response.version()),
        (http::StatusCode::OK, http::Version::HTTP_2)
    );
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let (authority, stranger) = (authority(), self::authority());
    let tls = authority.server().client_roots(&authority.cert).unwrap();
    let rig = Rig::with(|server| server.tls(tls));
    let known = authority.client();
    let stream = authority.connect(&rig, &[], Some(&known)).await.unwrap();
    let answer = get(stream).await;
    let der = CertificateDer::from_pem_slice(known.cert.as_bytes()).unwrap();
    assert!(answer.contains(&format!("[certificate {}]", der.len())), "{answer}");
    assert_eq!(rig.seen(), 1);
    for pair in [None, Some(&stranger.client())] {
        if let Ok(stream) = authority.connect(&rig, &[], pair).await {
            assert_eq!(get(stream).await, "");
        }
    }
    assert_eq!(rig.seen(), 1);
}

#[tokio::test]
async fn a_certificate_can_be_optional_and_never_false() {
    let (authority, stranger) = (authority(), self::authority());
    let tls = authority.server().optional_client_roots(&authority.cert).unwrap();
    let rig = Rig::with(|server| server.tls(tls));
    let stream = authority.connect(&rig, &[], None).await.unwrap();
    assert_eq!(statuses(&get(stream).await), [200]);
    if let Ok(stream) = authority.connect(&rig, &[], Some(&stranger.client())).await {
        assert_eq!(get(stream).await, "");
    }
    assert_eq!(rig.seen(), 1);
}

#[tokio::test]
async fn a_handshake_may_not_take_for_ever() {
    let authority = authority();
    let rig = Rig::with(|server| server.tls(authority.server()));
    let mut stream = rig.connect().await;
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    rig.until(|rig| rig.time.sleepers() == 1).await;
    rig.time.advance(Duration::from_secs(10));
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap_or(0), 0);
    // one deadline for the handshake and the first head
    let mut stream = authority.connect(&rig, &[], None).await.unwrap();
    rig.until(|rig| rig.time.sleepers() == 1).await;
    rig.time.advance(Duration::from_secs(10));
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn plain_text_on_the_tls_port_is_not_served() {
    let authority = authority();
    let rig = Rig::with(|server| server.tls(authority.server()));
    let answer = rig.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(statuses(&answer).is_empty());
    assert_eq!(rig.seen(), 0);
}

#[test]
fn every_mistake_in_the_settings_is_listed() {
    let error = ServerTls::from_pem("nothing", "nothing").unwrap_err();
    assert_eq!(error.mistakes().len(), 2);
    let authority = authority();
    let (one, two) = (authority.client(), authority.client());
    assert!(ServerTls::from_pem(one.cert, two.key).is_err()); // not this certificate's key
    assert!(authority.server().client_roots("nothing").is_err());
}
