//! Requests that wait for their turn.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    clock::Clock,
    key,
    rate_limit::{Limit, MemoryStore, Quota, RateLimitLayer, Sharing},
};

type Log = Arc<Mutex<Vec<String>>>;

/// Sends requests by tenant, which write down when they are let through.
fn sender(layer: &RateLimitLayer) -> (impl Fn(&str, &str) -> BoxFuture<'static, u16> + use<>, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let service = layer.layer(service_fn(move |request: Request<Full<Bytes>>| {
        seen.lock().unwrap().push(request.uri().path()[1..].to_owned());
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
    }));
    let send = move |tenant: &str, name: &str| {
        let request = Request::get(format!("/{name}")).header("x-tenant", tenant);
        let answer = service.clone().oneshot(request.body(Full::default()).unwrap());
        answer.map(|it| it.unwrap().status().as_u16()).boxed()
    };
    (send, log)
}

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

fn limit(burst: u64, undelayed: u64) -> Limit {
    let quota = Quota::per_second(10).leaky_bucket(burst, undelayed);
    Limit::new(quota, key::header("x-tenant"))
}

#[test]
fn each_key_waits_in_the_order_in_which_it_came() {
    let (clock, time) = Clock::manual();
    let (send, log) = sender(&RateLimitLayer::of(limit(10, 0)).clock(clock));
    let mut waiting = Vec::new();
    for n in 0..4 {
        for tenant in ["a", "b"] {
            waiting.push(send(tenant, &format!("{tenant}{n}")));
            waiting.retain_mut(|it| it.now_or_never().is_none());
        }
    }
    assert_eq!((taken(&log), waiting.len()), (vec!["a0".into(), "b0".to_owned()], 6));
    waiting.reverse(); // whoever is polled first
    for n in 1..4 {
        time.advance(Duration::from_millis(99));
        waiting.retain_mut(|it| it.now_or_never().is_none());
        assert_eq!(taken(&log), [""; 0]);
        time.advance(Duration::from_millis(1));
        waiting.retain_mut(|it| it.now_or_never().is_none());
        let mut turn = taken(&log);
        turn.sort();
        assert_eq!(turn, [format!("a{n}"), format!("b{n}")]);
    }
}

#[test]
fn who_leaves_the_queue_leaves_nothing_behind_but_its_turn() {
    let (clock, time) = Clock::manual();
    let (send, log) = sender(&RateLimitLayer::of(limit(5, 0)).clock(clock).max_waiting(2));
    let polled = |name: &str| {
        let mut answer = send("a", name);
        let at_once = (&mut answer).now_or_never();
        (answer, at_once)
    };
    assert_eq!(polled("first").1, Some(200));
    for _ in 0..3 {
        let (one, other) = (polled("one"), polled("other"));
        assert_eq!((one.1, other.1), (None, None), "both wait");
        assert_eq!(polled("third").1, Some(429), "there is no third place");
        drop((one, other));
        time.advance(Duration::from_millis(200)); // their turns pass without them
    }
    time.advance(Duration::from_millis(100));
    assert_eq!(taken(&log), ["first"]);
    assert_eq!(polled("last").1, Some(200));
}

#[test]
fn who_finds_no_place_to_wait_spends_nothing() {
    let (clock, time) = Clock::manual();
    let limits = RateLimitLayer::of(limit(5, 0))
        .and(Limit::new(Quota::per_hour(3), key::shared()).name("hour"));
    let layer = limits.max_waiting(0).clock(clock);
    let (send, _) = sender(&layer);
    let status = |name| send("a", name).now_or_never();
    assert_eq!(status("1"), Some(200));
    for _ in 0..20 {
        assert_eq!(status("2"), Some(429));
    }
    time.advance(Duration::from_millis(100)); // the turn of the next, whom nobody has come before
    assert_eq!(status("2"), Some(200));
    time.advance(Duration::from_millis(100));
    assert_eq!(status("3"), Some(200));
    time.advance(Duration::from_millis(100));
    assert_eq!(status("4"), Some(429), "three an hour");
}

#[test]
fn shared_limits_let_no_more_wait() {
    let (clock, time) = Clock::manual();
    let store = Sharing::exact(MemoryStore::with(clock.clone(), 100));
    let layer = RateLimitLayer::of(limit(5, 0)).shared(store).max_waiting(1).clock(clock);
    let (send, log) = sender(&layer);
    let mut first = send("a", "1");
    assert_eq!((&mut first).now_or_never(), Some(200));
    let mut waits = send("a", "2");
    assert_eq!((&mut waits).now_or_never(), None);
    assert_eq!(send("a", "3").now_or_never(), Some(429));
    time.advance(Duration::from_millis(100));
    assert_eq!(waits.now_or_never(), Some(200));
    assert_eq!(taken(&log), ["1", "2"]);
}

/// nginx 1.x, `ngx_http_limit_req_lookup` and `_account`: all in thousandths of a request, and in milliseconds.
struct Nginx {
    rate: i64,
    burst: i64,
    /// `None` for the key's first request.
    known: Option<(i64, i64)>,
}

impl Nginx {
    /// The delay in milliseconds, or `None` for a refusal.
    fn request(&mut self, now: i64, delay: i64) -> Option<i64> {
        let excess = match self.known {
            None => 0,
            Some((last, excess)) => (excess - self.rate * (now - last) / 1_000 + 1_000).max(0),
        };
        if excess > self.burst {
            return None;
        }
        self.known = Some((now, excess));
        Some((excess - delay).max(0) * 1_000 / self.rate)
    }
}

/// A schedule of a few hundred requests, in milliseconds from one to the next; the same each time.
fn pauses(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some([0, 0, 1, 30, 90, 100, 101, 250][(seed >> 40) as usize % 8])
    })
    .take(400)
}

#[test]
fn decides_and_delays_as_nginx_does() {
    // burst=20; burst=20 nodelay; burst=12 delay=8; no burst at all
    for (burst, undelayed) in [(20, 0), (20, 20), (12, 8), (0, 0)] {
        for rate in [1, 10, 100, 500] {
            for seed in 0..4 {
                against_nginx(burst, undelayed, rate, seed);
            }
        }
    }
}

fn against_nginx(burst: u64, undelayed: u64, rate: u64, seed: u64) {
    let (clock, time) = Clock::manual();
    let quota = Quota::per_second(rate).leaky_bucket(burst, undelayed);
    let layer = RateLimitLayer::new(quota, key::header("x-tenant")).clock(clock);
    let (send, _) = sender(&layer);
    let thousandths = |units: u64| 1_000 * units as i64;
    let mut nginx = Nginx { rate: thousandths(rate), burst: thousandths(burst), known: None };
    let mut now = 0;
    // When each that waits goes on, as nginx says.
    let mut waiting: Vec<(u64, BoxFuture<'static, u16>)> = Vec::new();
    for pause in pauses(seed) {
        for _ in 0..pause {
            time.advance(Duration::from_millis(1));
            now += 1;
            waiting.retain_mut(|(turn, it)| {
                let goes_on = it.now_or_never().is_some();
                assert_eq!(goes_on, *turn <= now, "its turn is at {turn}, and it is {now}");
                !goes_on
            });
        }
        let mut answer = send("a", "x");
        let at_once = (&mut answer).now_or_never();
        match nginx.request(now as i64, thousandths(undelayed)) {
            None => assert_eq!(at_once, Some(429)),
            Some(0) => assert_eq!(at_once, Some(200)),
            Some(delay) => {
                assert_eq!(at_once, None, "it waits for {delay} ms");
                waiting.push((now + delay as u64, answer));
            }
        }
    }
}
