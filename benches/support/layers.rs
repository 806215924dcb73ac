//! Each layer over a service that does nothing, and a request that shows what it does.

use std::{convert::Infallible, future::ready, hint::black_box, net::SocketAddr, time::Duration};

use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, Uri};
use tower::{Layer, Service, ServiceBuilder};
use tower_gateway::{
    BoxError, Identity,
    auth::{
        api_key::{
            ApiKeyLayer, Hashing, KeyDigest, KeyFactory, KeyRecord, KeyStore, MemoryKeys,
            StoredKeys,
        },
        first_of,
        introspection::{Introspection, IntrospectionLayer},
        jwt::{Issuer, JwtLayer, KeySet, RevocationList},
        require::{self, RequireLayer, Rules, role, scope},
        signed_url::{Link, SignedUrlLayer, SigningKey, UrlSigner},
    },
    client_ip::{ClientIpLayer, PeerAddr},
    guard::{BoxFuture, Guard, GuardLayer, Head, Verdict},
    key,
    rate_limit::{Quota, RateLimitLayer},
    route::{Route, RouteLayer, Routes},
};

use self::leaf::Leaf;
use crate::{
    cost::{Cost, cost},
    tokens::{self, Signer},
};

#[path = "leaf.rs"]
mod leaf;

/// The row of a guard that does nothing.
pub const NOTHING: &str = "a guard that does nothing";

/// The private key of RFC 8032 §7.1, test 1.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

/// What a layer costs for one kind of request.
pub struct Layered {
    pub name: &'static str,
    pub cost: Cost,
}

/// Every layer, alone and then together, with what it costs beyond the same call without it.
pub fn measure() -> Vec<Layered> {
    let mut all = vec![Layered { name: "no layer", cost: cost(|_| _ = call(&mut Leaf, plain())) }];
    let mut row = |name, cost| all.push(Layered { name, cost });

    let nothing = GuardLayer::new(Nothing);
    row(NOTHING, of(&nothing, 200, plain));

    row("client address, of the peer", of(&ClientIpLayer::direct(), 200, plain));
    row("client address, one proxy", of(&ClientIpLayer::behind_proxies(1), 200, forwarded));

    let endless = RateLimitLayer::new(Quota::per_second(u32::MAX.into()), key::client_ip());
    row("limit, admitted", of(&endless, 200, plain));
    row("limit, admitted, no fields", of(&endless.hide_fields(), 200, plain));
    let spent = RateLimitLayer::new(Quota::per_day(1), key::client_ip());
    call(&mut spent.layer(Leaf), plain());
    row("limit, refused", of(&spent, 429, plain));

    let secret = Signer::secret("HS256", &tokens::SECRET);
    for (name, signer) in [
        ("token, HS256", &secret),
        ("token, RS256", tokens::rs256()),
        ("token, ES256", tokens::es256()),
    ] {
        let token = bearer(&signer.token(&tokens::claims()));
        row(name, of(&jwt(signer).verified_cache(0), 200, || with_token(&token)));
    }
    for (name, signer) in [
        ("token, HS256, seen before", &secret),
        ("token, RS256, seen before", tokens::rs256()),
        ("token, ES256, seen before", tokens::es256()),
    ] {
        let token = bearer(&signer.token(&tokens::claims()));
        row(name, of(&jwt(signer), 200, || with_token(&token)));
    }
    let revocations = RevocationList::new();
    revocations.revoke_subject(tokens::ISSUER, "somebody else").expect("there is room");
    revocations.revoke_token(tokens::ISSUER, "another", Duration::MAX).expect("there is room");
    revocations.revoke_issuer("https://other.example").expect("there is room");
    let token = bearer(&tokens::rs256().token(&tokens::claims_with("jti", "b5c1".into())));
    let revoking = jwt(tokens::rs256()).revocations(revocations);
    row("token, RS256, seen before, not revoked", of(&revoking, 200, || with_token(&token)));
    let uncached = jwt(&secret).verified_cache(0);
    let forwarding = uncached.clone().forward_claim("sub", "x-auth-sub").expect("a name of ours");
    let token = bearer(&tokens::hs256(&tokens::claims()));
    row("token, HS256, claim forwarded", of(&forwarding, 200, || with_token(&token)));
    let forwarding = forwarding.verified_cache(10_000);
    row("token, HS256, seen before, claim forwarded", of(&forwarding, 200, || with_token(&token)));
    row("token, none", of(&jwt(&secret), 401, plain));
    let stranger = Signer::secret("HS256", &[8; 32]).token(&tokens::claims());
    let stranger = bearer(&stranger);
    row("token, HS256, forged", of(&jwt(&secret), 401, || with_token(&stranger)));

    let stranger = jwt(tokens::es256());
    let both = first_of((jwt(&secret), stranger));
    row("token, HS256, seen before, first of two", of(&both, 200, || with_token(&token)));

    let who = Identity::new("jwt", "7")
        .with_scope("orders:read orders:write")
        .with_claims(r#"{"sub":"7","exp":99999999999,"roles":["clerk","admin"]}"#);
    let known = |path| {
        let mut request = at(path);
        request.extensions_mut().insert(who.clone());
        request
    };
    let layer = |rule| RequireLayer::new(rule).expect("a good rule");
    row("require, a scope", of(&layer(scope("orders:write")), 200, || known("/")));
    row("require, a role of the claims", of(&layer(role("admin")), 200, || known("/")));
    row("require, a scope, refused", of(&layer(scope("orders")), 403, || known("/")));
    let own = require::that(|who, asked| asked.captured("id", who.subject()));
    let rules = Rules::new().get("/v1/users/{id}", own).any("/admin/{*rest}", role("admin"));
    let table = RequireLayer::table(rules.public("/health")).expect("good rules");
    row("require, table and closure", of(&table, 200, || known("/v1/users/7")));
    row("require, table, encoded path", of(&table, 200, || known("/v1/%75sers/7")));
    for (name, key) in [
        ("signed URL, HMAC-SHA256", SigningKey::hmac("k", [7; 32])),
        ("signed URL, Ed25519", SigningKey::ed25519_pem("k", ED25519)),
    ] {
        let key = key.expect("a good key");
        let layer = SignedUrlLayer::new([key.verifying_key()]).expect("a key");
        let link = Link::get("/v1/files/7?page=2", Duration::from_secs(3_600));
        let url = UrlSigner::new(key).sign(link).expect("a good link").to_string();
        let (good, forged) = (uri(&url), uri(&url.replace("page=2", "page=3")));
        row(name, of(&layer, 200, || to(&good)));
        if name == "signed URL, HMAC-SHA256" {
            row("signed URL, HMAC-SHA256, tampered with", of(&layer, 403, || to(&forged)));
        }
    }
    api_keys(&mut row);
    let opaque = introspection();
    let [good, bad] = OPAQUE.map(bearer);
    row("opaque token, remembered", of(&opaque, 200, || with_token(&good)));
    row("opaque token, remembered, not active", of(&opaque, 401, || with_token(&bad)));

    let routes = Routes::new()
        .prefix("/v1/users", Leaf)
        .route(Route::prefix("/v1/files").strip_prefix(), Leaf)
        .route(Route::get("/v1/orders/{id}"), Leaf);
    let route = RouteLayer::new(routes).expect("patterns differ");
    row("route, prefix", of(&route, 200, || at("/v1/users/7")));
    row("route, prefix that is cut off", of(&route, 200, || at("/v1/files/7")));
    row("route, capture", of(&route, 200, || at("/v1/orders/7")));
    row("route, default", of(&route, 200, || at("/health")));

    let limit = RateLimitLayer::new(Quota::per_second(u32::MAX.into()), key::client_ip());
    let stack = ServiceBuilder::new()
        .layer(ClientIpLayer::direct())
        .layer(limit)
        .layer(uncached)
        .layer(route);
    row("all four: address, limit, HS256, prefix", of(&stack, 200, || with_token(&token)));
    all
}

fn api_keys(row: &mut impl FnMut(&'static str, Cost)) {
    let factory = KeyFactory::new("acme").expect("a prefix");
    let pepper = Hashing::with_pepper([7; 32]).expect("long enough");
    let key = factory.mint().expect("random numbers");
    let others = (0..10_000).map(|_| factory.mint().expect("random numbers"));
    let others = others.map(|it| it.record("quentin"));
    let record = || key.record("paula").with_plan("gold").with_scopes(["orders:read"]);
    let keys = MemoryKeys::new(others.chain([record()])).expect("good records");
    let of_any_form = ApiKeyLayer::new(keys);
    let layer = of_any_form.clone().minted_by(&factory);
    let good = HeaderValue::from_str(key.reveal()).expect("ASCII");
    let good = || with("x-api-key", &good);
    row("key, in memory", of(&layer, 200, good));
    row("key, in memory, of any form", of(&of_any_form, 200, good));
    let forwarding = layer.clone().forward_claim("sub", "x-consumer").expect("a name of ours");
    row("key, in memory, claim forwarded", of(&forwarding, 200, good));

    let peppered = KeyRecord::new(pepper.digest(key.reveal()), "1", "paula");
    let peppered = MemoryKeys::new([peppered]).expect("a good record");
    row("key, in memory, peppered", of(&ApiKeyLayer::new(peppered).hashing(pepper), 200, good));
    let bound = record().with_networks(["192.0.2.0/24", "10.0.0.0/8"]);
    let bound = ApiKeyLayer::new(MemoryKeys::new([bound]).expect("a good record"));
    row("key, in memory, bound to networks", of(&bound, 200, good));

    let stored = ApiKeyLayer::new(StoredKeys::new(One(record())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = stored.layer(Leaf).call(good());
    let asked = runtime.expect("a runtime").block_on(asked);
    assert_eq!(asked.unwrap_or_else(|never| match never {}).status(), 200);
    row("key, in a store, remembered", of(&stored, 200, good));

    let unknown = factory.mint().expect("random numbers").into_string();
    let unknown = HeaderValue::try_from(unknown).expect("ASCII");
    row("key, unknown", of(&layer, 401, || with("x-api-key", &unknown)));
    let typo = HeaderValue::from_static("acme_0123456789abcdefghijklmnopqrst000000");
    row("key, without its checksum", of(&layer, 401, || with("x-api-key", &typo)));
}

/// A store of one key.
struct One(KeyRecord);

impl KeyStore for One {
    fn find(&self, _: &KeyDigest) -> BoxFuture<Result<Option<KeyRecord>, BoxError>> {
        Box::pin(ready(Ok(Some(self.0.clone()))))
    }
}

/// A guard that does nothing: what the engine costs.
struct Nothing;

impl Guard for Nothing {
    const NAME: &'static str = "nothing";
    type Pass = ();

    fn check(&self, _: Head<'_>) -> Verdict<()> {
        Verdict::admit(())
    }
}

fn jwt(signer: &Signer) -> JwtLayer {
    let keys = KeySet::from_jwk(signer.jwk().to_string()).expect("a good key");
    JwtLayer::new(Issuer::new(tokens::ISSUER, keys).audience(tokens::AUDIENCE))
        .expect("an audience")
}

/// One that is active, and one that is not.
const OPAQUE: [&str; 2] = ["2YotnFZFEjr1zCsicMWpAA", "other"];

/// A layer that has asked about the tokens already: that took a runtime, this takes none.
fn introspection() -> IntrospectionLayer {
    let server = tower::service_fn(async |request: Request<String>| {
        let active = request.body().starts_with("token=2Yot");
        let answer = format!(r#"{{"active":{active},"sub":"alice","aud":"orders","scope":"a b"}}"#);
        Ok::<_, Infallible>(Response::new(answer))
    });
    let forever = std::time::Duration::MAX;
    let endpoint = Introspection::at("https://id.example/introspect", server)
        .client_secret_basic("gateway", "hunter2")
        .ttl(forever)
        .negative_ttl(forever);
    let introspection = endpoint.build().expect("good settings").audience("orders");
    let layer = IntrospectionLayer::new(introspection).expect("an audience");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        for token in OPAQUE {
            let asked = layer.layer(Leaf).call(with_token(&bearer(token))).await;
            asked.unwrap_or_else(|never| match never {});
        }
    });
    layer
}

// === the calls ===

/// What the layer costs beyond the same call without it; it answers with this status.
fn of<L, B>(layer: &L, status: u16, request: impl Fn() -> Request<()>) -> Cost
where
    L: Layer<Leaf>,
    L::Service: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let mut service = layer.layer(Leaf);
    assert_eq!(call(&mut service, request()), status);
    let without = cost(|_| _ = call(&mut Leaf, request()));
    cost(|_| _ = call(&mut service, request())).beyond(without)
}

fn call<S, B>(service: &mut S, request: Request<()>) -> u16
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let answer = service.call(request).now_or_never().expect("nothing waits");
    let answer = black_box(answer.unwrap_or_else(|never| match never {}));
    answer.status().as_u16()
}

fn plain() -> Request<()> {
    at("/v1/users/7")
}

fn at(path: &'static str) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static(path);
    request.headers_mut().insert("host", HeaderValue::from_static("api.example"));
    let peer = PeerAddr(SocketAddr::from(([10, 0, 0, 1], 4711)));
    request.extensions_mut().insert(peer);
    request
}

fn to(uri: &Uri) -> Request<()> {
    let mut request = plain();
    *request.uri_mut() = uri.clone();
    request
}

fn uri(text: &str) -> Uri {
    text.parse().expect("a URI")
}

fn forwarded() -> Request<()> {
    let mut request = plain();
    let proxies = HeaderValue::from_static("6.6.6.6, 203.0.113.7");
    request.headers_mut().insert("x-forwarded-for", proxies);
    request
}

fn with_token(bearer: &HeaderValue) -> Request<()> {
    with("authorization", bearer)
}

fn with(field: &'static str, value: &HeaderValue) -> Request<()> {
    let mut request = plain();
    request.headers_mut().insert(field, value.clone());
    request
}

fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).expect("ASCII")
}
