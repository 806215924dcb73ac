//! `rediss://`: who is trusted, and who is not.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tower_gateway::rate_limit::{Quota, RedisStore};

use crate::{
    patient,
    redis_server::{RedisServer, free_cluster_port, wait_until},
    take,
};

const MINUTE: Quota = Quota::per_minute(10);

/// Who issues certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for this name, and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// The settings of a server that speaks TLS on a port, as `name`; its files lie here.
fn settings(folder: &Path, authority: &Authority, name: &str, port: u16) -> Vec<String> {
    let (certificate, key) = authority.issue(name);
    std::fs::create_dir_all(folder).unwrap();
    let file = |file: &str, pem: &str| {
        let path = folder.join(file);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let files = [
        ("--tls-cert-file", file("server.pem", &certificate)),
        ("--tls-key-file", file("server.key", &key)),
        ("--tls-ca-cert-file", file("ca.pem", &authority.pem)),
        ("--tls-port", port.to_string()),
        ("--tls-auth-clients", "no".to_owned()),
    ];
    files.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// A server that speaks TLS on a port of its own, and goes with its files.
struct Encrypted {
    server: RedisServer,
    port: u16,
    folder: std::path::PathBuf,
}

impl Encrypted {
    fn start(authority: &Authority, name: &str, more: &[&str]) -> Self {
        Self::launch(authority, name, more, RedisServer::start_with)
    }

    fn launch(
        authority: &Authority,
        name: &str,
        more: &[&str],
        start: impl FnOnce(&[&str]) -> RedisServer,
    ) -> Self {
        let port = free_cluster_port();
        let folder = format!("tower-gateway-tls-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let settings = settings(&folder, authority, name, port);
        let settings: Vec<_> =
            settings.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Self { server: start(&settings), port, folder }
    }

    fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    fn store(&self) -> RedisStore {
        patient(RedisStore::connect(self.url()).unwrap())
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn reason(store: RedisStore) -> String {
    take(&store, b"alice", MINUTE).await.expect_err("it is not to be trusted").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_by_its_certificate() {
    let authority = Authority::new();
    let server = Encrypted::start(&authority, "127.0.0.1", &[]);
    let store = server.store().root_pem(&authority.pem).unwrap();
    assert_eq!(take(&store, b"alice", MINUTE).await.unwrap().remaining(), 9);

    let strangers = server.store().root_pem(Authority::new().pem).unwrap();
    assert!(reason(strangers).await.contains("certificate"), "of another authority");
    assert!(reason(server.store()).await.contains("UnknownIssuer"), "by the public roots");
    let other = Encrypted::start(&authority, "redis.example", &[]);
    let other = other.store().root_pem(&authority.pem).unwrap();
    assert!(reason(other).await.contains("not valid for name"), "for another host");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_ask_who_we_are() {
    let authority = Authority::new();
    let server = Encrypted::start(&authority, "127.0.0.1", &["--tls-auth-clients", "yes"]);
    let nobody = server.store().root_pem(&authority.pem).unwrap();
    reason(nobody.clone()).await;
    let (chain, key) = authority.issue("gateway");
    let known = nobody.certificate_pem(chain, key).unwrap();
    assert_eq!(take(&known, b"alice", MINUTE).await.unwrap().remaining(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_encrypted() {
    let authority = Authority::new();
    let cluster = ["--cluster-enabled", "yes", "--tls-cluster", "yes"];
    let node = Encrypted::start(&authority, "127.0.0.1", &cluster);
    node.server.command("CLUSTER ADDSLOTSRANGE 0 16383");
    wait_until("it has all slots", || {
        node.server.command("CLUSTER INFO").contains("cluster_state:ok")
    });
    let store = patient(RedisStore::cluster([node.url()]).unwrap());
    let store = store.root_pem(&authority.pem).unwrap();
    assert_eq!(take(&store, b"alice", MINUTE).await.unwrap().remaining(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_their_master_are_encrypted() {
    let authority = Authority::new();
    let master = Encrypted::start(&authority, "127.0.0.1", &[]);
    let sentinel =
        Encrypted::launch(&authority, "127.0.0.1", &["--tls-replication", "yes"], |settings| {
            RedisServer::sentinel_of(master.port, settings)
        });
    let store = patient(RedisStore::sentinel("main", [sentinel.url()]).unwrap());
    let store = store.root_pem(&authority.pem).unwrap();
    assert_eq!(take(&store, b"alice", MINUTE).await.unwrap().remaining(), 9);
    assert!(master.server.keys().iter().any(|key| key.starts_with("rate-limit")));
}

#[test]
fn certificates_that_cannot_be_of_use_are_mistakes() {
    let store = |url| RedisStore::connect(url).unwrap();
    let (chain, _) = Authority::new().issue("gateway");
    for pem in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let mistake = store("rediss://localhost").root_pem(pem).unwrap_err().to_string();
        assert!(mistake.contains("`root_pem`"), "{mistake}");
    }
    assert!(store("rediss://localhost").certificate_pem(&chain, "no key").is_err());
    let plain = store("redis://localhost").root_pem(&chain).unwrap_err().to_string();
    assert!(plain.contains("rediss://"), "nobody believes to be safe who is not: {plain}");
    let blind = RedisStore::connect("rediss://:secret@localhost/#insecure").unwrap_err();
    assert!(blind.to_string().contains("`#insecure`") && !blind.to_string().contains("secret@"));
}
