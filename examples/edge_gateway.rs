//! The edge gateway: limit by client address, check the token, `/v1/users` to users, everything else to the default.
//!
//! `cargo run --release --example edge_gateway --all-features` starts it with services and an issuer of its own, and
//! prints what to try. With `--users`, `--default` and `--jwks` it stands in front of yours; `--help` lists all.

use std::{
    error::Error, fs::read_to_string as read, io::IsTerminal, net::SocketAddr, num::NonZeroUsize,
    process::ExitCode,
};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tower::ServiceBuilder;
use tower_gateway::{
    auth::jwt::{Issuer, Jwks, JwtLayer, KeySet, Keys},
    client::HttpClient,
    client_ip::ClientIpLayer,
    clock::Clock,
    key,
    rate_limit::{Limit, Quota, RateLimitLayer},
    route::{RouteLayer, Routes},
    server::Server,
    upstream::Upstream,
};
use tracing_subscriber::EnvFilter;

/// A gateway allocates little and often: this one costs a few percent less CPU than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "edge_gateway/demo.rs"]
mod demo;
#[path = "support/issuer.rs"]
#[allow(dead_code, reason = "another example uses the rest")]
mod issuer;

/// An edge gateway: limit by client address, check the token, route.
#[derive(Parser)]
struct Settings {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The users service, for /v1/users. Default: an embedded one.
    #[arg(long, value_name = "URL")]
    users: Option<String>,
    /// The service for everything else. Default: an embedded one.
    #[arg(long, value_name = "URL")]
    default: Option<String>,
    /// The key set of the issuer. Default: an embedded issuer's.
    #[arg(long, value_name = "URL-or-FILE", requires = "issuer", requires = "audience")]
    jwks: Option<String>,
    /// Whose tokens are accepted: their `iss`.
    #[arg(long, default_value = "https://id.example")]
    issuer: String,
    /// For whom tokens have to be: their `aud`.
    #[arg(long, default_value = "api")]
    audience: String,
    /// Requests per second for each client address.
    #[arg(long, default_value_t = 10)]
    rate: u64,
    /// Requests at once for each client address.
    #[arg(long, default_value_t = 20)]
    burst: u64,
    /// How many proxies of yours stand in front and append to X-Forwarded-For.
    #[arg(long, default_value_t = 0)]
    trusted_hops: usize,
    /// How many cores to use. Default: all.
    #[arg(long)]
    cores: Option<NonZeroUsize>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Settings::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edge_gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let log =
        EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new("tower_gateway=debug"))?;
    let colours = std::io::stdout().is_terminal();
    tracing_subscriber::fmt().with_env_filter(log).with_ansi(colours).init();

    let demo = issuer::DemoIssuer::new();
    let users = origin(&settings.users, "users").await?;
    let default = origin(&settings.default, "default").await?;
    let keys = match settings.jwks.as_deref() {
        Some(url) if url.contains("://") => Jwks::remote(url, HttpClient::new()).start()?.into(),
        Some(file) => {
            let document = read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
            Keys::from(KeySet::from_jwks(document)?)
        }
        None => {
            let url = format!("http://{}/jwks.json", issuer::spawn(demo.jwks()).await?);
            Jwks::remote(url, HttpClient::new()).start()?.into()
        }
    };

    // Made once: all cores share their state.
    let client_ip = ClientIpLayer::behind_proxies(settings.trusted_hops);
    let quota = Quota::per_second(settings.rate).burst(settings.burst);
    let limit = RateLimitLayer::of(Limit::new(quota, key::client_ip()).name("per-client"));
    let issuer = Issuer::new(&settings.issuer, keys).audience(&settings.audience);
    let jwt = JwtLayer::new(issuer)?.forward_claim("sub", "x-auth-sub")?;

    // Made for each core: its own connections.
    let gateway = move || {
        let routes = Routes::new().prefix("/v1/users", users.unshared());
        ServiceBuilder::new()
            .layer(client_ip.clone())
            .layer(limit.clone()) // before the token: guessing is limited, and costs no signature check
            .layer(jwt.clone())
            .layer(RouteLayer::new(routes).expect("one route is no conflict"))
            .service(default.unshared())
    };

    let cores = settings.cores.or(std::thread::available_parallelism().ok());
    let server = Server::new().serve_per_core(
        settings.listen,
        cores.unwrap_or(NonZeroUsize::MIN),
        gateway,
    )?;
    let token = settings.jwks.is_none().then(|| {
        demo.token(&settings.issuer, &settings.audience, Clock::system().unix().as_secs())
    });
    // Before anybody hears that it runs: else a signal that comes at once would kill it.
    let mut terminated = signal(SignalKind::terminate())?;
    welcome(server.addr(), &settings, token.as_deref());

    tokio::select! {
        _ = terminated.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    println!("draining");
    let drained = tokio::task::spawn_blocking(|| server.drain()).await??;
    println!("drained: {} connections finished, {} cut", drained.finished, drained.cut);
    Ok(())
}

/// The named origin, or an embedded service of that name.
async fn origin(url: &Option<String>, name: &'static str) -> Result<Upstream, Box<dyn Error>> {
    let url = match url {
        Some(url) => url.clone(),
        None => format!("http://{}", issuer::spawn(demo::service(name)).await?),
    };
    Ok(Upstream::new(&url)?.x_forwarded())
}

fn welcome(listen: SocketAddr, settings: &Settings, token: Option<&str>) {
    let Settings { rate, burst, issuer, audience, .. } = settings;
    let origin = |url: &Option<String>| url.clone().unwrap_or_else(|| "embedded".to_owned());
    println!(
        "
  request ─► http://{listen}
      │
      ├─ client ip    the peer, or {hops} trusted hops back
      ├─ rate limit   {rate} r/s, burst {burst}, per client      ─► 429
      ├─ jwt          issuer {issuer}, audience {audience}  ─► 401
      └─ route  ┬─ /v1/users  ─► users    ({users})
                └─ otherwise  ─► default  ({default})
",
        hops = settings.trusted_hops,
        users = origin(&settings.users),
        default = origin(&settings.default),
    );
    let Some(token) = token else { return };
    println!(
        "  TOKEN={token}

  curl -i http://{listen}/v1/users/7                                     # 401: no token
  curl -i http://{listen}/v1/users/7 -H \"Authorization: Bearer $TOKEN\"   # 200 from users
  curl -i http://{listen}/orders -H \"Authorization: Bearer $TOKEN\"       # 200 from default
  for i in $(seq 40); do curl -s -o /dev/null -w '%{{http_code}} ' http://{listen}/orders \\
    -H \"Authorization: Bearer $TOKEN\"; done; echo                       # 200s, then 429
"
    );
}
