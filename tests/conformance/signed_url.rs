//! The vectors of `docs/signed-urls.md`, read from there: signer and layer agree with them and with each other.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use http::{Method, Request, Uri};
use tower::{Layer, ServiceExt};
use tower_gateway::{
    auth::signed_url::{Link, SignedUrlLayer, SigningKey, UrlSigner, VerifyingKey},
    client_ip::PeerAddr,
    clock::Clock,
};

use crate::support;

const DOC: &str = include_str!("../../docs/signed-urls.md");

type Vector = HashMap<&'static str, &'static str>;

/// The fenced blocks of text that begin so.
fn blocks(start: &str) -> impl Iterator<Item = &'static str> {
    let blocks = DOC.split("```text\n").skip(1).map(|it| it.split("```").next().unwrap());
    blocks.filter(move |it| it.starts_with(start))
}

fn vectors() -> Vec<Vector> {
    let line = |line: &'static str| line.split_once(':').map(|(name, value)| (name, value.trim()));
    let vectors: Vec<Vector> =
        blocks("vector:").map(|it| it.lines().filter_map(line).collect()).collect();
    assert_eq!(vectors.len(), 4);
    vectors
}

fn pem(label: &str) -> &'static str {
    let block = blocks("-----BEGIN PRIVATE KEY").next().unwrap();
    block.split("\n\n").find(|it| it.contains(label)).unwrap()
}

fn secret() -> Vec<u8> {
    (0..32).collect()
}

fn signer(id: &str) -> UrlSigner {
    let key = match id {
        "partner-a" => SigningKey::ed25519_pem(id, pem("PRIVATE")),
        _ => SigningKey::hmac(id, secret()),
    };
    UrlSigner::new(key.unwrap()).clock(Clock::manual().0)
}

fn layer() -> SignedUrlLayer {
    let keys = [
        VerifyingKey::hmac("2033-05", secret()).unwrap(),
        VerifyingKey::ed25519_pem("partner-a", pem("PUBLIC")).unwrap(),
    ];
    SignedUrlLayer::new(keys).unwrap().clock(Clock::manual().0)
}

/// The link that should become this vector's URL.
fn link(vector: &Vector) -> Link {
    let (path, query) = vector["url"].split_once('?').unwrap();
    let parameters = |ours: bool| {
        let query = query.split('&').filter(move |it| it.starts_with("gw-") == ours);
        query.collect::<Vec<_>>()
    };
    let url = format!("{path}?{}", parameters(false).join("&"));
    let method = Method::from_bytes(vector["method"].as_bytes()).unwrap();
    let mut link = Link::new(method, url, Duration::from_secs(900));
    for parameter in parameters(true) {
        link = match parameter.split_once('=').unwrap() {
            ("gw-from", value) => link.starts_at(Duration::from_secs(value.parse().unwrap())),
            ("gw-prefix", _) => link.prefix(vector["path"]),
            ("gw-ip", _) => link.client_ip(client(vector).ip()),
            ("gw-sub", "ada%20l") => link.subject("ada l"),
            ("gw-key" | "gw-expires" | "gw-host" | "gw-sig", _) => link,
            other => panic!("{other:?}"),
        };
    }
    link
}

/// An address of the network that the vector names.
fn client(vector: &Vector) -> SocketAddr {
    let ip = vector["client"].replace("::/64", ":a:b:c:d");
    SocketAddr::new(ip.parse().unwrap_or([192, 0, 2, 1].into()), 4711)
}

#[test]
fn the_signer_makes_the_urls_of_the_document() {
    for vector in vectors() {
        let id = if vector["vector"].starts_with("Ed25519") { "partner-a" } else { "2033-05" };
        let url = signer(id).sign(link(&vector)).unwrap();
        assert_eq!(url.as_str(), vector["url"]);
        let end = format!("?{}&gw-sig={}", vector["query"], vector["signature"]);
        assert!(url.as_str().ends_with(&end), "{end}");
    }
}

#[tokio::test]
async fn the_layer_admits_the_urls_of_the_document_and_for_nothing_else_than_they_say() {
    for vector in vectors() {
        let status = async |method: &str, host: &str, peer: SocketAddr| {
            let uri: Uri = vector["url"].parse().unwrap();
            let request =
                Request::builder().method(method).uri(uri.path_and_query().unwrap().as_str());
            let request = request.header("host", host).extension(PeerAddr(peer));
            let request = request.body(Default::default()).unwrap();
            layer().layer(support::echo()).oneshot(request).await.unwrap().status()
        };
        let (method, host, peer) = (vector["method"], vector["host"], client(&vector));
        let elsewhere = SocketAddr::from(([198, 51, 100, 1], 1));
        let bound = |name: &str| if vector[name].is_empty() { 200 } else { 403 };
        assert_eq!(status(method, "CDN.example.:8443", peer).await, 200, "{host}");
        assert_eq!(status("POST", "cdn.example", peer).await, 403);
        assert_eq!(status(method, "other.example", peer).await, bound("host"));
        assert_eq!(status(method, "cdn.example", elsewhere).await, bound("client"));
    }
}

#[test]
fn the_program_of_the_document_prints_the_first_vector() {
    let printed = blocks("/reports").next().unwrap().trim();
    assert_eq!(printed, vectors()[0]["url"]);
}

#[test]
fn keys_are_what_they_are_said_to_be() {
    let public: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ];
    assert!(VerifyingKey::ed25519("a", public).is_ok());
    assert!(VerifyingKey::ed25519("a", &public[1..]).is_err());
    let error = VerifyingKey::ed25519_pem("a", pem("PRIVATE")).unwrap_err();
    assert!(error.to_string().contains("private key"), "{error}");
    assert!(SigningKey::ed25519_pem("a", pem("PUBLIC")).is_err());
    for junk in ["", "junk", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        assert!(VerifyingKey::ed25519_pem("a", junk).is_err());
        assert!(SigningKey::ed25519_pem("a", junk).is_err());
    }
}
