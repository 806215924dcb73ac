//! What a client is admitted that never pauses, through the layer.

use std::{convert::Infallible, pin::Pin, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    clock::Clock,
    key,
    rate_limit::{Quota, RateLimitLayer},
};

/// A client that asks through the layer, and those of its requests that wait.
struct Client {
    ask: Box<dyn Fn() -> BoxFuture<'static, u16>>,
    waiting: Vec<Pin<Box<dyn Future<Output = u16> + Send>>>,
}

impl Client {
    fn of(layer: &RateLimitLayer) -> Self {
        let inner = async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()));
        let service = layer.layer(service_fn(inner));
        let ask = move || {
            let answer = service.clone().oneshot(Request::new(()));
            answer.map(|it| it.unwrap().status().as_u16()).boxed()
        };
        Self { ask: Box::new(ask), waiting: Vec::new() }
    }

    /// Asks so often, and says how many go on at once.
    fn ask(&mut self, times: usize) -> usize {
        let mut one = || {
            let mut answer = (self.ask)();
            match answer.as_mut().now_or_never() {
                Some(status) => status == 200,
                None => {
                    self.waiting.push(answer);
                    false
                }
            }
        };
        (0..times).filter(|_| one()).count()
    }

    /// How many of those that wait go on now.
    fn turns(&mut self) -> usize {
        let before = self.waiting.len();
        self.waiting.retain_mut(|it| it.as_mut().now_or_never().is_none());
        before - self.waiting.len()
    }
}

/// So many seconds into a minute of the clock: how many go on in the first instant, in the first minute, and how
/// many wait at its end.
fn from_cold(quota: Quota, seconds: u64) -> (usize, usize, usize) {
    let (clock, time) = Clock::manual();
    time.set_unix(Duration::from_secs(1_999_999_980 + seconds));
    let layer = RateLimitLayer::new(quota, key::shared()).clock(clock).hide_fields();
    let mut client = Client::of(&layer);
    let first = client.ask(200);
    let mut all = first;
    for _ in 1..6_000 {
        time.advance(Duration::from_millis(10));
        all += client.turns() + client.ask(1);
    }
    (first, all, client.waiting.len())
}

/// The table in the docs of `Quota`.
#[test]
fn what_the_first_minute_admits_from_cold() {
    let quota = Quota::per_minute(60);
    let table = [
        (quota, (60, 119, 0)),
        (quota.burst(10), (10, 69, 0)),
        (quota.spike_arrest(), (1, 60, 0)),
        (quota.sliding_log(), (60, 60, 0)),
        (quota.sliding_window(), (60, 60, 0)),
        (quota.fixed_window(), (60, 60, 0)),
        (quota.leaky_bucket(10, 0), (1, 60, 10)),
    ];
    for (quota, expected) in table {
        assert_eq!(from_cold(quota, 0), expected, "{quota:?}");
    }
    // Across a full minute of the clock, windows of the clock admit twice as many.
    assert_eq!(from_cold(quota.fixed_window(), 40), (60, 120, 0));
    assert_eq!(from_cold(quota.sliding_window(), 40), (60, 60, 0));
}
