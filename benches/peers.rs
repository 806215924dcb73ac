//! What a valid token, and what a limit, costs here, and with the crates that one would use instead: same work, same
//! run.
//!
//! `cargo bench --all-features --bench peers`, with `-- limits` or `-- tokens` for one of them. Of tokens, each line is a whole call less the same call without the layer, the
//! least of many runs; `×` is the multiple of what a token costs ours that was not seen before. Everyone verifies the signature,
//! `iss`, `aud` and `exp`, and reads the claims into a type. Without `--bench` it only checks that it runs.

#[path = "support/cost.rs"]
mod cost;
#[path = "support/leaf.rs"]
mod leaf;
#[path = "support/limits.rs"]
mod limits;
#[path = "../tests/support/tokens.rs"]
#[allow(dead_code, unreachable_pub)]
mod tokens;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode};
use jsonwebtoken::{DecodingKey, Validation};
use jwt_authorizer::{AuthError, IntoLayer, JwtAuthorizer, layer::AuthorizationLayer};
use serde::Deserialize;
use serde_json::json;
use tower::{Layer, Service};
use tower_gateway::auth::jwt::{Issuer, JwtLayer, KeySet};
use tower_oauth2_resource_server::{
    server::OAuth2ResourceServer, tenant::TenantConfiguration, validation::ClaimsValidationSpec,
};

use self::{
    cost::{Cost, cost},
    leaf::Leaf,
    tokens::Signer,
};

/// What handlers want to know.
#[derive(Clone, Deserialize)]
struct Who {
    #[allow(dead_code, reason = "handlers would read it")]
    sub: String,
}

/// How much faster a token that was seen before must be than one that was not.
const FLOORS: [(&str, f64); 3] = [("RS256", 15.0), ("ES256", 30.0), ("EdDSA", 20.0)];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wanted = |name| std::env::args().any(|it| it == name);
    if !wanted("tokens") {
        limits::compare();
    }
    if !wanted("limits") {
        tokens_of_each_algorithm().await;
    }
}

async fn tokens_of_each_algorithm() {
    // The peers and the naive layer ask the library's process-wide provider.
    let provider = &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
    provider.install_default().expect("nobody else does");
    for (algorithm, floor) in FLOORS {
        let signer = Signer::generate(algorithm).kid("one");
        let token = format!("Bearer {}", signer.token(&claims()));
        let token = HeaderValue::try_from(token).expect("ASCII");
        let without = cost(|_| _ = call(&mut Leaf, &token));
        let uncached = ours(&signer).verified_cache(0);
        let uncached = cost_of(uncached.layer(Leaf), &token).beyond(without);
        let row = |name: &str, cost: Cost| {
            let cost = cost.beyond(without);
            cost.report(&format!("{algorithm}, {name}: {:.3} ×", cost.nanos / uncached.nanos));
            cost
        };
        uncached.report(&format!("{algorithm}, ours, not seen before"));
        let cached = row("ours, seen before", cost_of(ours(&signer).layer(Leaf), &token));
        row("naive `decode`", cost_of(Naive::new(&signer), &token));
        row("jwt-authorizer", cost_of(jwt_authorizer(&signer).await.layer(PeersLeaf), &token));
        let server = resource_server(&signer).await;
        row("tower-oauth2-resource-server", cost_of(server.into_layer().layer(Leaf), &token));
        let gain = uncached.nanos / cached.nanos;
        let verdict = if gain >= floor { "above" } else { "BELOW" };
        println!(
            "{algorithm}: seen before is {gain:.1} × faster, {verdict} the floor of {floor} ×\n"
        );
    }
}

/// What access tokens usually say (RFC 9068 §2.2).
fn claims() -> serde_json::Value {
    let mut claims = tokens::claims();
    claims["nbf"] = json!(tokens::NOW - 1_000_000_000);
    claims["iat"] = json!(tokens::NOW - 1_000_000_000);
    claims["jti"] = json!("0b5c4f1e-7d5f-4bb1-9f0a-2a4f6d1f9f10");
    claims["client_id"] = json!("s6BhdRkqt3");
    claims["scope"] = json!("openid profile orders:read orders:write");
    claims
}

// === the layers ===

fn ours(signer: &Signer) -> JwtLayer<Who> {
    let keys = KeySet::from_jwks(tokens::jwks([signer])).expect("a good key");
    let issuer = Issuer::new(tokens::ISSUER, keys).audience(tokens::AUDIENCE);
    JwtLayer::new(issuer).expect("an audience").typed()
}

async fn jwt_authorizer(signer: &Signer) -> AuthorizationLayer<Who> {
    let validation = jwt_authorizer::Validation::new();
    let validation = validation.iss(&[tokens::ISSUER]).aud(&[tokens::AUDIENCE]);
    let authorizer = JwtAuthorizer::<Who>::from_jwks_text(&tokens::jwks([signer]));
    authorizer.validation(validation).build().await.expect("a good key").into_layer()
}

async fn resource_server(signer: &Signer) -> OAuth2ResourceServer<Who> {
    let audiences = vec![tokens::AUDIENCE.to_owned()];
    let tenant = TenantConfiguration::static_builder(tokens::jwks([signer]))
        .claims_validation(ClaimsValidationSpec::recommended(tokens::ISSUER, &audiences))
        .build();
    let server = OAuth2ResourceServer::builder().add_tenant(tenant.expect("a good key"));
    server.build().await.expect("a tenant")
}

/// What one writes first: `decode` in a middleware, with everything prepared that can be.
struct Naive {
    key: DecodingKey,
    validation: Validation,
}

impl Naive {
    fn new(signer: &Signer) -> Self {
        let jwk = serde_json::from_value(signer.jwk()).expect("a JWK");
        let mut validation = Validation::new(signer.alg.parse().expect("an algorithm"));
        validation.set_issuer(&[tokens::ISSUER]);
        validation.set_audience(&[tokens::AUDIENCE]);
        Self { key: DecodingKey::from_jwk(&jwk).expect("a good key"), validation }
    }

    fn who(&self, request: &Request<()>) -> Option<Who> {
        let field = request.headers().get("authorization")?.to_str().ok()?;
        let token = field.strip_prefix("Bearer ")?;
        jsonwebtoken::decode(token, &self.key, &self.validation).ok().map(|it| it.claims)
    }
}

impl Service<Request<()>> for Naive {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        match self.who(&request) {
            Some(who) => {
                request.extensions_mut().insert(who);
                Leaf.call(request)
            }
            None => ready(Ok(refusal())),
        }
    }
}

// === the calls ===

/// A leaf whose answer can also be a peer's refusal.
#[derive(Clone)]
struct PeersLeaf;

struct PeersAnswer(Response<()>);

impl From<AuthError> for PeersAnswer {
    fn from(_: AuthError) -> Self {
        Self(refusal())
    }
}

impl Service<Request<()>> for PeersLeaf {
    type Response = PeersAnswer;
    type Error = Infallible;
    type Future = Ready<Result<PeersAnswer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        black_box(&request);
        ready(Ok(PeersAnswer(Response::new(()))))
    }
}

/// Whether an answer lets the request in.
trait Answer {
    fn admitted(&self) -> bool;
}

impl<B> Answer for Response<B> {
    fn admitted(&self) -> bool {
        self.status().is_success()
    }
}

impl Answer for PeersAnswer {
    fn admitted(&self) -> bool {
        self.0.admitted()
    }
}

fn refusal() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

fn cost_of<S>(mut service: S, token: &HeaderValue) -> Cost
where
    S: Service<Request<()>, Response: Answer, Error = Infallible>,
{
    let mut forged = token.as_bytes().to_vec();
    let last = forged.len() - 10;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = HeaderValue::from_bytes(&forged).expect("ASCII");
    assert!(call(&mut service, token) && !call(&mut service, &forged), "it verifies");
    cost(|_| _ = black_box(call(&mut service, token)))
}

fn call<S>(service: &mut S, token: &HeaderValue) -> bool
where
    S: Service<Request<()>, Response: Answer, Error = Infallible>,
{
    let mut request = Request::new(());
    request.headers_mut().insert("authorization", token.clone());
    let answer = service.call(request).now_or_never().expect("nothing waits");
    answer.unwrap_or_else(|never| match never {}).admitted()
}
