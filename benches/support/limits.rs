//! What a limit costs here, and with the crates that one would use instead: same keys, same rate, same run.
//!
//! Each is a whole call over a service that does nothing, less the same call without the layer. Whose request it is
//! stands in a cell of the thread, where each crate's own key looks it up, so that no line pays for how a host
//! records an address. `×` is the multiple of ours. `tower-rate-limiter` 0.2.0-alpha needs rustc 1.96, and is not
//! among them.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    task::{Context, Poll},
};

use axum::body::Body;
use futures_util::FutureExt;
use http::{Request, Response, request::Parts};
use tower::{Layer, Service};
use tower_gateway::{
    clock::Clock,
    guard::Head,
    key::KeyWriter,
    rate_limit::{Quota, RateLimitLayer},
};

use crate::cost::cost;

const KEYS: usize = 1_000_000;

/// How much faster than the best of the others ours must be, with a million keys.
const FLOOR: f64 = 1.3;

thread_local! {
    static CLIENT: Cell<u32> = const { Cell::new(0) };
}

fn client() -> IpAddr {
    Ipv4Addr::from(CLIENT.get()).into()
}

#[derive(Clone)]
struct Empty;

impl Service<Request<()>> for Empty {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(Body::empty())))
    }
}

fn call<S, B>(service: &mut S, client: usize)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    CLIENT.set(client as u32);
    let answer = service.call(Request::new(())).now_or_never().expect("nothing waits");
    let answer = black_box(answer.unwrap_or_else(|never| match never {}));
    assert!(answer.status().is_success(), "nobody comes near the limit");
}

/// Clients in an order that no cache foresees.
fn spread(turn: usize) -> usize {
    (turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % KEYS
}

/// Nanoseconds for a client that is known, of a million, and for each of two threads at once.
struct Figures {
    hot: f64,
    many: f64,
    hot_of_two: f64,
    many_of_two: f64,
}

fn figures<S, B>(service: S) -> Figures
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone + Send,
{
    let mut one = service.clone();
    let hot = cost(|_| call(&mut one, 7)).nanos;
    if std::env::args().any(|it| it == "--bench") {
        (0..KEYS).for_each(|client| call(&mut one, client));
    }
    let many = cost(|turn| call(&mut one, spread(turn))).nanos;
    Figures {
        hot,
        many,
        hot_of_two: two_threads(&service, |_| 7),
        many_of_two: two_threads(&service, spread),
    }
}

/// Two threads at once: the least time of a call in either.
fn two_threads<S, B>(service: &S, client: impl Fn(usize) -> usize + Copy + Send) -> f64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone + Send,
{
    const A_RUN: usize = 20_000;
    let runs = if std::env::args().any(|it| it == "--bench") { 60 } else { 1 };
    let thread = |offset: usize| {
        let mut service = service.clone();
        move || {
            let clock = Clock::system();
            let run = |run: usize| {
                let start = clock.now();
                (0..A_RUN).for_each(|n| call(&mut service, client(offset + run * A_RUN + n)));
                (clock.now() - start).as_nanos() as f64 / A_RUN as f64
            };
            // The first and the last have a thread for themselves.
            let all: Vec<f64> = (0..runs).map(run).collect();
            let middle = all.get(runs / 5..runs - runs / 5).unwrap_or(&all);
            middle.iter().copied().fold(f64::MAX, f64::min)
        }
    };
    std::thread::scope(|scope| {
        let (one, other) = (scope.spawn(thread(0)), scope.spawn(thread(usize::MAX / 2)));
        let least = |it: std::thread::ScopedJoinHandle<'_, f64>| it.join().expect("no panic");
        least(one).max(least(other))
    })
}

impl Figures {
    fn beyond(self, other: &Self) -> Self {
        Self {
            hot: self.hot - other.hot,
            many: self.many - other.many,
            hot_of_two: self.hot_of_two - other.hot_of_two,
            many_of_two: self.many_of_two - other.many_of_two,
        }
    }

    fn all(&self) -> [f64; 4] {
        [self.hot, self.many, self.hot_of_two, self.many_of_two]
    }

    fn report(&self, name: &str, ours: &Self) {
        let cell = |(nanos, ours): (f64, f64)| format!("{nanos:8.1} ns {:5.2} ×", nanos / ours);
        let cells: Vec<_> = self.all().into_iter().zip(ours.all()).map(cell).collect();
        println!("{name:<36}{}", cells.join(" "));
    }
}

/// Prints the table.
pub fn compare() {
    let without = figures(Empty);
    let of = |figures: Figures| figures.beyond(&without);
    let (plain, told) =
        (of(figures(ours().hide_fields().layer(Empty))), of(figures(ours().layer(Empty))));
    let tower_governor = of(figures(tower_governor().layer(Empty)));
    let axum_governor = of(figures(axum_governor().layer(Empty)));
    let title = ["one key", "1,000,000 keys", "one key, 2 threads", "1,000,000, 2 threads"];
    println!("{:<36}{}", "a limit", title.map(|it| format!("{it:>19}")).join(" "));
    plain.report("ours, no fields", &plain);
    tower_governor.report("tower_governor, no fields", &plain);
    told.report("ours, two fields", &told);
    axum_governor.report("axum-governor, three fields or more", &told);
    let gain = tower_governor.many / plain.many;
    let verdict = if gain >= FLOOR { "above" } else { "BELOW" };
    println!("with 1,000,000 keys {gain:.2} × faster, {verdict} the floor of {FLOOR} ×\n");
}

// === the layers, of a rate that nobody reaches ===

fn ours() -> RateLimitLayer {
    let key = |_: Head<'_>, key: &mut KeyWriter| {
        match client() {
            IpAddr::V4(v4) => key.part(v4.octets()),
            IpAddr::V6(v6) => key.part(v6.octets()),
        }
        Some(())
    };
    RateLimitLayer::new(Quota::per_second(u32::MAX.into()), key)
}

#[derive(Clone, Debug)]
struct Known;

impl tower_governor::key_extractor::KeyExtractor for Known {
    type Key = IpAddr;

    fn extract<T>(&self, _: &Request<T>) -> Result<IpAddr, tower_governor::GovernorError> {
        Ok(client())
    }
}

fn tower_governor() -> tower_governor::GovernorLayer<
    Known,
    governor::middleware::NoOpMiddleware<governor::clock::QuantaInstant>,
    Body,
> {
    let mut config =
        tower_governor::governor::GovernorConfigBuilder::default().key_extractor(Known);
    let config = config.per_nanosecond(1).burst_size(u32::MAX).finish();
    tower_governor::GovernorLayer::new(config.expect("a rate"))
}

impl axum_governor::extractor::KeyExtractor for Known {
    type Key = IpAddr;

    fn extract(
        &self,
        _: &Parts,
    ) -> Result<axum_governor::extractor::KeyOutcome<IpAddr>, axum_governor::ExtractionError> {
        Ok(axum_governor::extractor::KeyOutcome::new(client()))
    }
}

fn axum_governor() -> axum_governor::GovernorLayer<IpAddr> {
    let config = axum_governor::GovernorConfigBuilder::default().with_extractor(Known);
    let quota = axum_governor::Quota::requests_per_second(NonZeroU32::MAX);
    let config = config.quota_default(quota).max_keys(2 * KEYS).gc_disable().finish();
    axum_governor::GovernorLayer::new(config.expect("a quota"))
}
