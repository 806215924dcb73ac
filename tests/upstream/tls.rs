use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http::Request;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_gateway::{client::ClientTls, upstream::Upstream};

use super::{
    origin::answer,
    support::{assert_problem, get, text},
};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Chain and key for a name.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A TLS server for `localhost` that answers with the protocol that was spoken; asks for a client certificate of
/// the same authority, if told so.
async fn serve(authority: &Authority, alpn: &[&str], client_auth: bool) -> SocketAddr {
    let (chain, key) = authority.issue("localhost");
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = match client_auth {
        true => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            );
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        false => config.with_no_client_auth(),
    }
    .with_single_cert(chain, key)
    .unwrap();
    config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let seen = format!("{:?}", request.version());
                    Ok::<_, Infallible>(answer(http_body_util::Full::from(seen)))
                });
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    addr
}

fn upstream(addr: SocketAddr, tls: ClientTls) -> Upstream {
    Upstream::new(format!("https://localhost:{}", addr.port())).unwrap().tls(tls)
}

fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::builder().no_public_roots().root_pem(authority.pem()).build().unwrap()
}

#[tokio::test]
async fn the_protocol_is_negotiated() {
    let authority = Authority::new();
    for (alpn, spoken) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let addr = serve(&authority, alpn, false).await;
        let upstream = upstream(addr, trusting(&authority));
        for _ in 0..3 {
            let response = upstream.clone().oneshot(get("/")).await.unwrap();
            assert_eq!(text(response).await, spoken);
        }
    }
}

#[tokio::test]
async fn a_protocol_that_is_demanded_is_spoken_or_none_is() {
    let authority = Authority::new();
    let both = serve(&authority, &["h2", "http/1.1"], false).await;
    let http1 = upstream(both, trusting(&authority)).http1();
    assert_eq!(text(http1.oneshot(get("/")).await.unwrap()).await, "HTTP/1.1");
    let old = serve(&authority, &["http/1.1"], false).await;
    let http2 = upstream(old, trusting(&authority)).http2();
    assert_problem(http2.oneshot(get("/")).await.unwrap(), 502, "bad-gateway").await;
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_a_502() {
    let (authority, other) = (Authority::new(), Authority::new());
    let addr = serve(&authority, &[], false).await;
    let public = ClientTls::builder().build().unwrap();
    for tls in [trusting(&other), public] {
        let response = upstream(addr, tls).oneshot(get("/")).await.unwrap();
        assert_problem(response, 502, "bad-gateway").await;
    }
    // another name
    let wrong_name = Upstream::new(format!("https://{addr}")).unwrap().tls(trusting(&authority));
    assert_problem(wrong_name.oneshot(get("/")).await.unwrap(), 502, "bad-gateway").await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let authority = Authority::new();
    let addr = serve(&authority, &["http/1.1"], true).await;
    let (chain, key) = authority.issue("gateway");
    let tls = ClientTls::builder()
        .no_public_roots()
        .root_pem(authority.pem())
        .certificate_pem(chain, key);
    let response = upstream(addr, tls.build().unwrap()).oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), 200);
    let response = upstream(addr, trusting(&authority)).oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), 502);
}

#[tokio::test]
async fn https_to_a_server_without_tls_is_a_502() {
    let origin = super::origin::echo().await;
    let tls = ClientTls::builder().build().unwrap();
    let response = upstream(origin.addr, tls).oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), 502);
}

#[test]
fn every_mistake_is_reported() {
    let authority = Authority::new();
    let ((chain, _), (_, other_key)) = (authority.issue("a"), authority.issue("b"));
    let mistakes = |builder: tower_gateway::client::ClientTlsBuilder| {
        let error = builder.build().unwrap_err();
        error.mistakes().map(str::to_owned).collect::<Vec<_>>()
    };
    let found =
        mistakes(ClientTls::builder().no_public_roots().root_pem("").certificate_pem("", ""));
    assert_eq!(found.len(), 4, "{found:?}");
    let found = mistakes(ClientTls::builder().certificate_pem(chain, other_key));
    assert_eq!(found.len(), 1, "{found:?}");
}
