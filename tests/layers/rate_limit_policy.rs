//! What stands around the decision: costs settled after the response, bans, administration, other limits on the
//! way.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, SharedString, Unit};
use tower::{Layer, Service, ServiceExt, util::BoxCloneService};
use tower_gateway::{
    Rejection,
    clock::{Clock, ManualClock},
    guard::{BoxFuture, Head},
    key::{self, KeyWriter},
    rate_limit::{
        Answer, Demand, Limit, LimitHandle, MemoryStore, Penalty, Plans, Quota, RateLimitLayer,
        Receipt, Sharing, Store, StoreError,
        settle::{self, ResponseHead, Settle},
    },
};

use crate::support::{assert_problem, echo, get};

type Frames = Vec<Result<Frame<Bytes>, std::io::Error>>;
type Body = StreamBody<
    futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, std::io::Error>>>,
>;
type Origin = BoxCloneService<Request<Full<Bytes>>, Response<Body>, Infallible>;

/// Answers as the closure says.
fn origin(answer: impl Fn() -> Response<Frames> + Clone + Send + 'static) -> Origin {
    BoxCloneService::new(tower::service_fn(move |_: Request<Full<Bytes>>| {
        let response = answer().map(|it| StreamBody::new(futures_util::stream::iter(it)));
        std::future::ready(Ok(response))
    }))
}

fn data(text: &str) -> Result<Frame<Bytes>, std::io::Error> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

fn trailers(fields: &[(&'static str, &str)]) -> Result<Frame<Bytes>, std::io::Error> {
    let field = |(name, value): &(&'static str, &str)| {
        (http::HeaderName::from_static(name), value.parse().unwrap())
    };
    Ok(Frame::trailers(fields.iter().map(field).collect::<HeaderMap>()))
}

/// What becomes of a response.
#[derive(Clone, Copy, PartialEq)]
enum Read {
    /// It is read to its end.
    All,
    /// The client leaves after the first frame.
    One,
    /// The client leaves before the body.
    None,
}

/// A limit of 100 an hour for all, settled so; whether its counts are shared.
struct Hundred {
    layer: RateLimitLayer,
}

impl Hundred {
    fn of(limit: Limit, shared: bool) -> Self {
        let (clock, _) = Clock::manual();
        let layer = RateLimitLayer::of(limit).clock(clock.clone());
        match shared {
            true => Self { layer: layer.shared(Sharing::exact(MemoryStore::with(clock, 100))) },
            false => Self { layer },
        }
    }

    /// What remains after this response, of 100.
    async fn after(
        &self,
        read: Read,
        answer: impl Fn() -> Response<Frames> + Clone + Send + 'static,
    ) -> u64 {
        let response = self.layer.layer(origin(answer)).oneshot(get("/")).await.unwrap();
        let mut body = response.into_body();
        match read {
            Read::All => while let Some(Ok(_)) = body.frame().await {},
            Read::One => drop(body.frame().await),
            Read::None => {}
        }
        drop(body);
        tokio::task::yield_now().await; // where the store is told by a task
        self.remaining().await
    }

    async fn remaining(&self) -> u64 {
        let limit = self.layer.handle().limit("default").unwrap();
        limit.remaining(key::shared().of()).await.unwrap()
    }
}

fn hundred() -> Limit {
    Limit::new(Quota::per_hour(100), key::shared())
}

/// What a response costs a limit that reserves 10, here and where counts are shared.
async fn cost(
    settle: impl Settle + Clone + Send + Sync + 'static,
    read: Read,
    answer: impl Fn() -> Response<Frames> + Clone + Send + 'static,
) -> u64 {
    let mut costs = Vec::new();
    for shared in [false, true] {
        let counter = Hundred::of(hundred().cost(|_| 10).settle(settle.clone()), shared);
        costs.push(100 - counter.after(read, answer.clone()).await);
    }
    assert_eq!(costs[0], costs[1], "shared or not");
    costs[0]
}

fn ok(
    frames: impl Fn() -> Frames + Clone + Send + 'static,
) -> impl Fn() -> Response<Frames> + Clone + Send + 'static {
    move || Response::new(frames())
}

#[tokio::test]
async fn the_bytes_of_the_body_are_what_it_costs() {
    let hello =
        || ok(|| vec![data("12345678"), data("9012345678901234567890"), trailers(&[("x", "y")])]);
    assert_eq!(cost(settle::body_bytes(), Read::All, hello()).await, 30, "more than reserved");
    assert_eq!(cost(settle::body_bytes().per_unit(16), Read::All, hello()).await, 2, "less");
    assert_eq!(cost(settle::body_bytes(), Read::One, hello()).await, 8, "as far as it was read");
    assert_eq!(cost(settle::body_bytes(), Read::None, hello()).await, 0);
    assert_eq!(cost(settle::body_bytes(), Read::All, ok(Vec::new)).await, 0);
    let cut = || ok(|| vec![data("123"), Err(std::io::Error::other("reset")), data("456")]);
    assert_eq!(cost(settle::body_bytes(), Read::All, cut()).await, 3, "as far as it came");
}

#[tokio::test]
async fn a_field_tells_the_cost_or_the_reservation_stands() {
    let with = |values: &'static [&'static str]| {
        move || {
            let response =
                values.iter().fold(Response::builder(), |it, value| it.header("x-cost", *value));
            response.body(vec![data("hello")]).unwrap()
        }
    };
    let header = settle::header("x-cost");
    assert_eq!(cost(header.clone(), Read::All, with(&["42"])).await, 42);
    assert_eq!(cost(header.clone(), Read::None, with(&["3"])).await, 3, "the head is enough");
    for nonsense in [&[][..], &["-5"], &["4.2"], &["99999999999999999999"], &["3", "4"], &[""]] {
        assert_eq!(cost(header.clone(), Read::All, with(nonsense)).await, 10, "{nonsense:?}");
    }
}

#[tokio::test]
async fn trailers_tell_the_cost_if_they_come() {
    let with =
        |value: &'static str| ok(move || vec![data("hello"), trailers(&[("x-cost", value)])]);
    let trailer = settle::trailer("x-cost");
    assert_eq!(cost(trailer.clone(), Read::All, with("42")).await, 42);
    assert_eq!(cost(trailer.clone(), Read::One, with("42")).await, 10, "not seen");
    assert_eq!(cost(trailer.clone(), Read::All, with("many")).await, 10);
    assert_eq!(cost(trailer.clone(), Read::All, ok(|| vec![data("hello")])).await, 10);
    let twice = || ok(|| vec![trailers(&[("x-cost", "1"), ("x-cost", "2")])]);
    assert_eq!(cost(trailer, Read::All, twice()).await, 10);
}

#[tokio::test]
async fn a_language_model_tells_its_tokens() {
    let answer = |kind: &'static str, frames: &'static [&'static str]| {
        move || {
            let response = Response::builder().header("content-type", kind);
            response.body(frames.iter().map(|it| data(it)).collect::<Frames>()).unwrap()
        }
    };
    let tokens = || settle::json_number("usage.total_tokens");
    let json = &[r#"{"choices":["\"usage\":{}"],"us"#, r#"age":{"total_tokens":4"#, "2}}"][..];
    assert_eq!(cost(tokens(), Read::All, answer("application/json", json)).await, 42);
    let events = &[
        "data: {\"usage\":null}\n\n",
        "data: {\"usage\":{\"total_tokens\":21}}\n\nda",
        "ta: [DONE]\n\n",
    ][..];
    assert_eq!(cost(tokens(), Read::All, answer("text/event-stream", events)).await, 21);
    // Who leaves before the tokens are told pays by the bytes.
    let or_bytes = (tokens(), settle::body_bytes().per_unit(4));
    assert_eq!(cost(or_bytes.clone(), Read::One, answer("text/event-stream", events)).await, 6);
    assert_eq!(cost(or_bytes, Read::All, answer("text/event-stream", events)).await, 21);
    assert_eq!(cost(tokens(), Read::One, answer("text/event-stream", events)).await, 10);
}

#[tokio::test]
async fn what_fails_upstream_or_comes_from_a_cache_is_given_back() {
    let status =
        |status: u16| move || Response::builder().status(status).body(vec![data("no")]).unwrap();
    for failed in [502, 503, 504] {
        assert_eq!(cost(settle::refund_failures(), Read::None, status(failed)).await, 0);
    }
    for answered in [200, 404, 500] {
        assert_eq!(cost(settle::refund_failures(), Read::All, status(answered)).await, 10);
    }
    let grpc = |code: &'static str| {
        move || {
            let response = Response::builder().header("content-type", "application/grpc");
            response.body(vec![data("x"), trailers(&[("grpc-status", code)])]).unwrap()
        }
    };
    assert_eq!(cost(settle::refund_failures(), Read::All, grpc("14")).await, 0);
    assert_eq!(cost(settle::refund_failures(), Read::All, grpc("0")).await, 10);
    assert_eq!(cost(settle::refund_failures(), Read::One, grpc("14")).await, 10, "not seen");
    let cache = |value: &'static str| {
        move || Response::builder().header("cache-status", value).body(Vec::new()).unwrap()
    };
    assert_eq!(cost(settle::refund_hits(), Read::All, cache("gate; hit; ttl=30")).await, 0);
    assert_eq!(
        cost(settle::refund_hits(), Read::All, cache("gate; fwd=uri-miss; stored")).await,
        10
    );
}

#[tokio::test]
async fn a_refusal_of_our_own_is_a_failure_in_any_dialect() {
    let ours = || {
        let mut response = Response::new(Vec::new());
        response.extensions_mut().insert(Rejection::unavailable("Later."));
        response
    };
    assert_eq!(cost(settle::refund_failures(), Read::All, ours).await, 0);
}

#[tokio::test]
async fn only_failed_logins_count() {
    let (clock, time) = Clock::manual();
    let limit = Limit::new(Quota::per_minute(3).sliding_window(), key::shared())
        .settle(settle::only(|response| matches!(response.status().as_u16(), 401 | 403)));
    let layer = RateLimitLayer::of(limit).clock(clock);
    let ask = async |status: u16| {
        let login = origin(move || Response::builder().status(status).body(Vec::new()).unwrap());
        layer.layer(login).oneshot(get("/login")).await.unwrap().status().as_u16()
    };
    for _ in 0..50 {
        assert_eq!(ask(200).await, 200, "who knows the password may come as often as they like");
    }
    assert_eq!(
        [ask(401).await, ask(200).await, ask(403).await, ask(401).await],
        [401, 200, 403, 401]
    );
    assert_eq!(ask(200).await, 429);
    time.advance(Duration::from_secs(120));
    assert_eq!(ask(401).await, 401);
}

#[tokio::test]
async fn guesses_at_once_do_not_all_go_through() {
    let (clock, _) = Clock::manual();
    let limit = Limit::new(Quota::per_minute(3).sliding_log(), key::shared())
        .settle(settle::only(|response| response.status() == 401));
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let slow = tower::service_fn(move |_: Request<Full<Bytes>>| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let service = RateLimitLayer::of(limit).clock(clock).layer(slow);
    let asked: Vec<_> =
        (0..20).map(|_| tokio::spawn(service.clone().oneshot(get("/login")))).collect();
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(reached.load(Ordering::Relaxed), 3);
    asked.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn who_leaves_before_the_response_gets_nothing_back() {
    let counter = Hundred::of(hundred().cost(|_| 10).settle(|_: ResponseHead<'_>| Some(0)), false);
    let never = tower::service_fn(|_: Request<Full<Bytes>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let mut service = counter.layer.layer(never);
    let mut call = service.ready().await.unwrap().call(get("/"));
    assert!(futures_util::poll!(&mut call).is_pending());
    drop(call);
    assert_eq!(counter.remaining().await, 90);
    let fails = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>("reset")
    });
    assert_eq!(counter.layer.layer(fails).oneshot(get("/")).await.unwrap_err(), "reset");
    assert_eq!(counter.remaining().await, 80);
}

#[tokio::test]
async fn the_fields_say_what_remained_at_admission() {
    let counter = Hundred::of(hundred().cost(|_| 10).settle(|_: ResponseHead<'_>| Some(60)), false);
    let service = counter.layer.layer(echo());
    let first = service.clone().oneshot(get("/")).await.unwrap();
    assert_eq!(first.headers()["ratelimit"], r#""default";r=90;t=360"#);
    let second = service.oneshot(get("/")).await.unwrap();
    assert_eq!(second.headers()["ratelimit"], r#""default";r=30;t=2520"#);
}

#[tokio::test]
async fn a_debt_is_paid_off_before_anything_is_admitted() {
    let (clock, time) = Clock::manual();
    let limit = hundred().cost(|_| 0).settle(settle::header("x-cost"));
    let layer = RateLimitLayer::of(limit).clock(clock);
    let dear = origin(|| Response::builder().header("x-cost", "250").body(Vec::new()).unwrap());
    let service = layer.layer(dear);
    let ask = async || service.clone().oneshot(get("/")).await.unwrap();
    assert_eq!(ask().await.status(), 200);
    let refused = ask().await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], (36 * 151).to_string());
    time.advance(Duration::from_secs(36 * 151 - 1));
    assert_eq!(ask().await.status(), 429);
    time.advance(Duration::from_secs(1));
    assert_eq!(ask().await.status(), 200);
}

#[tokio::test]
async fn the_absurd_cost_is_a_debt_that_an_administrator_can_forgive_or_cut() {
    let all = [
        Quota::per_hour(100),
        Quota::per_hour(100).leaky_bucket(99, 99),
        Quota::per_hour(100).sliding_window(),
        Quota::per_hour(100).sliding_log(),
        Quota::per_hour(100).fixed_window(),
        Quota::per_calendar_month(100),
    ];
    for quota in all {
        let limit = Limit::new(quota, key::shared()).settle(settle::header("x-cost"));
        let counter = Hundred::of(limit, false);
        let absurd =
            || Response::builder().header("x-cost", u64::MAX.to_string()).body(Vec::new()).unwrap();
        assert_eq!(counter.after(Read::All, absurd).await, 0, "{quota:?}");
        let handle = counter.layer.handle().limit("default").unwrap();
        handle.charge(key::shared().of(), u64::MAX).await.unwrap();
        handle.credit(key::shared().of(), 1).await.unwrap();
        assert_eq!(counter.remaining().await, 0, "{quota:?}");
        handle.reset(key::shared().of()).await.unwrap();
        assert_eq!(counter.remaining().await, 100, "{quota:?}");

        let cut = settle::at_most(30, settle::header("x-cost"));
        let limit = Limit::new(quota, key::shared()).settle(cut);
        assert_eq!(Hundred::of(limit, false).after(Read::All, absurd).await, 70, "{quota:?}");
    }
}

#[tokio::test]
async fn each_limit_settles_on_its_own_and_once() {
    for shared in [false, true] {
        let (clock, _) = Clock::manual();
        let layer = RateLimitLayer::of(hundred().name("requests"))
            .and(hundred().name("bytes").cost(|_| 20).settle(settle::body_bytes()))
            .and(hundred().name("units").cost(|_| 0).settle(settle::trailer("x-cost")))
            .and(hundred().name("hits").settle(settle::refund_hits()))
            .and(
                hundred().name("reported").cost(|_| 101).settle(settle::body_bytes()).report_only(),
            )
            .clock(clock.clone());
        let layer = match shared {
            true => layer.shared(Sharing::exact(MemoryStore::with(clock, 100))),
            false => layer,
        };
        let answer = || {
            let response = Response::builder().header("cache-status", "c; hit");
            response
                .body(vec![data("hello"), trailers(&[("x-cost", "7")]), data("ignored?")])
                .unwrap()
        };
        let response = layer.layer(origin(answer)).oneshot(get("/")).await.unwrap();
        let _ = response.into_body().collect().await.unwrap();
        tokio::task::yield_now().await;
        let remaining = async |name: &str| {
            layer.handle().limit(name).unwrap().remaining(key::shared().of()).await.unwrap()
        };
        assert_eq!(remaining("requests").await, 99);
        assert_eq!(remaining("bytes").await, 100 - 13, "all that goes by");
        assert_eq!(remaining("units").await, 93);
        assert_eq!(remaining("hits").await, 100);
        assert_eq!(remaining("reported").await, 100, "would have been refused: it took nothing");
    }
}

// Bans.

fn penalised() -> Limit {
    let penalty = Penalty::after(3).within(Duration::from_secs(60)).ban(Duration::from_secs(300));
    Limit::new(Quota::per_second(1), key::header("x-tenant")).name("calls").penalty(penalty)
}

fn of(tenant: &str) -> Request<Full<Bytes>> {
    Request::get("/").header("x-tenant", tenant).body(Full::default()).unwrap()
}

fn tenant(name: &str) -> Option<KeyWriter> {
    key::header("x-tenant").of([name])
}

/// Two layers with the same limit and the same time: one keeps its counts, one has them kept.
fn here_and_shared(limit: impl Fn() -> Limit) -> Vec<(RateLimitLayer, ManualClock)> {
    let shared = |shared| {
        let (clock, time) = Clock::manual();
        let layer = RateLimitLayer::of(limit()).clock(clock.clone());
        match shared {
            true => (layer.shared(Sharing::exact(MemoryStore::with(clock, 100))), time),
            false => (layer, time),
        }
    };
    vec![shared(false), shared(true)]
}

#[tokio::test]
async fn who_is_refused_too_often_is_banned_for_a_time() {
    for (layer, time) in here_and_shared(penalised) {
        let service = layer.layer(echo());
        let ask = async |name: &str| service.clone().oneshot(of(name)).await.unwrap();
        let first = ask("acme").await;
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers().get_all("ratelimit").iter().count(), 1, "no word of the box");
        for _ in 0..2 {
            let refused = ask("acme").await;
            assert_eq!(refused.headers()["retry-after"], "1");
            let problem = assert_problem(refused, 429, "rate-limited").await;
            assert_eq!(problem["policy"], "calls");
        }
        // The third brings the ban, and says so.
        let banned = ask("acme").await;
        assert_eq!(banned.headers()["retry-after"], "300");
        assert_eq!(assert_problem(banned, 429, "rate-limited").await["policy"], "calls-penalty");

        time.advance(Duration::from_secs(100));
        let banned = ask("acme").await;
        assert_eq!(banned.headers()["retry-after"], "200", "though the bucket is full again");
        let fields: Vec<_> = banned.headers().get_all("ratelimit").iter().collect();
        assert_eq!(fields, [r#""calls";r=1;t=0"#, r#""calls-penalty";r=0;t=200"#]);
        assert_eq!(ask("bmce").await.status(), 200, "others are not");

        let limit = layer.handle().limit("calls").unwrap();
        assert_eq!(limit.banned(tenant("acme")).await.unwrap(), Some(Duration::from_secs(200)));
        assert_eq!(limit.banned(tenant("bmce")).await.unwrap(), None);
        time.advance(Duration::from_secs(200));
        assert_eq!(ask("acme").await.status(), 200);
        assert_eq!(limit.banned(tenant("acme")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_prolong_a_ban() {
    for (layer, time) in here_and_shared(penalised) {
        let service = layer.layer(echo());
        let ask = async || service.clone().oneshot(of("acme")).await.unwrap().status().as_u16();
        assert_eq!(ask().await, 200);
        for _ in 0..300 {
            assert_eq!(ask().await, 429);
            assert_eq!(ask().await, 429);
            assert_eq!(ask().await, 429);
            time.advance(Duration::from_secs(1));
        }
        assert_eq!(ask().await, 200);
    }
}

#[tokio::test]
async fn a_ban_can_be_lifted() {
    for (layer, _) in here_and_shared(penalised) {
        let service = layer.layer(echo());
        let ask = async || service.clone().oneshot(of("acme")).await.unwrap().status().as_u16();
        assert_eq!([ask().await, ask().await, ask().await, ask().await], [200, 429, 429, 429]);
        let limit = layer.handle().limit("calls").unwrap();
        limit.reset(tenant("acme")).await.unwrap();
        assert_eq!(ask().await, 429, "that is not its quota");
        limit.unban(tenant("bmce")).await.unwrap();
        assert_eq!(ask().await, 429, "nor another's");
        limit.unban(tenant("acme")).await.unwrap();
        assert_eq!([ask().await, ask().await, ask().await], [200, 429, 429]);
        let plain = RateLimitLayer::of(Limit::new(Quota::per_hour(1), key::shared()));
        let plain = plain.handle().limit("default").unwrap();
        plain.unban(key::shared().of()).await.unwrap();
        assert_eq!(plain.banned(None).await.unwrap(), None);
    }
}

#[tokio::test]
async fn refusals_by_others_and_those_that_are_only_reported_ban_nobody() {
    let strict = || Limit::new(Quota::per_hour(1), key::shared()).name("strict");
    let (clock, _) = Clock::manual();
    let lax = Limit::new(Quota::per_hour(100), key::header("x-tenant")).name("lax");
    let layer = RateLimitLayer::of(lax.penalty(Penalty::after(1))).and(strict()).clock(clock);
    let service = layer.layer(echo());
    for _ in 0..10 {
        service.clone().oneshot(of("acme")).await.unwrap();
    }
    let limit = layer.handle().limit("lax").unwrap();
    assert_eq!(limit.banned(tenant("acme")).await.unwrap(), None);

    for (layer, _) in here_and_shared(|| penalised().report_only()) {
        let service = layer.layer(echo());
        for _ in 0..10 {
            assert_eq!(service.clone().oneshot(of("acme")).await.unwrap().status(), 200);
        }
        let limit = layer.handle().limit("calls").unwrap();
        assert!(limit.banned(tenant("acme")).await.unwrap().is_some(), "what would be is known");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_refusals_ban_once_and_admit_no_more() {
    let (clock, time) = Clock::manual();
    let layer = RateLimitLayer::of(penalised()).clock(clock);
    let service = layer.layer(echo());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let service = service.clone();
        tasks.spawn(async move {
            let mut admitted = 0;
            for _ in 0..50 {
                admitted +=
                    u32::from(service.clone().oneshot(of("acme")).await.unwrap().status() == 200);
            }
            admitted
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 1);
    let limit = layer.handle().limit("calls").unwrap();
    assert_eq!(limit.banned(tenant("acme")).await.unwrap(), Some(Duration::from_secs(300)));
    time.advance(Duration::from_secs(300));
    assert_eq!(service.oneshot(of("acme")).await.unwrap().status(), 200);
}

// Administration.

#[tokio::test]
async fn credit_charge_and_reset_are_seen_by_requests_of_each_algorithm() {
    let all = [
        Quota::per_hour(10),
        Quota::per_hour(10).leaky_bucket(9, 9),
        Quota::per_hour(10).sliding_window(),
        Quota::per_hour(10).sliding_log(),
        Quota::per_hour(10).fixed_window(),
        Quota::per_calendar_month(10),
    ];
    for quota in all {
        for (layer, _) in here_and_shared(|| Limit::new(quota, key::header("x-tenant"))) {
            let service = layer.layer(echo());
            let limit = layer.handle().limit("default").unwrap();
            let left = async || limit.remaining(tenant("acme")).await.unwrap();
            assert_eq!(left().await, 10, "{quota:?}");
            for _ in 0..3 {
                service.clone().oneshot(of("acme")).await.unwrap();
            }
            assert_eq!(left().await, 7, "{quota:?}");
            limit.charge(tenant("acme"), 5).await.unwrap();
            assert_eq!(left().await, 2, "{quota:?}");
            limit.charge(tenant("acme"), 5).await.unwrap();
            assert_eq!(left().await, 0, "{quota:?}: a debt");
            let refused = service.clone().oneshot(of("acme")).await.unwrap();
            assert_eq!(refused.status(), 429, "{quota:?}");
            limit.credit(tenant("acme"), 3).await.unwrap();
            assert_eq!(left().await, 0, "{quota:?}: the debt is paid");
            limit.credit(tenant("acme"), 2).await.unwrap();
            assert_eq!(left().await, 2, "{quota:?}");
            limit.credit(tenant("acme"), u64::MAX).await.unwrap();
            assert_eq!(left().await, 10, "{quota:?}: never more than the quota");
            limit.charge(tenant("acme"), 10).await.unwrap();
            limit.reset(tenant("acme")).await.unwrap();
            assert_eq!(left().await, 10, "{quota:?}");
            assert_eq!(limit.remaining(tenant("bmce")).await.unwrap(), 10);
        }
    }
}

#[tokio::test]
async fn a_plan_has_to_be_named() {
    let plans = Plans::otherwise(Quota::per_hour(10)).plan("pro", Quota::per_hour(1_000));
    let layer = RateLimitLayer::of(Limit::new(plans, key::subject()).name("plan"))
        .and(Limit::new(|_: Head<'_>| Quota::per_hour(5), key::shared()).name("closure"));
    let limits = layer.handle();
    assert_eq!(limits.names(), ["plan", "closure"]);
    let alice = key::subject().of(&tower_gateway::Identity::new("jwt", "alice"));
    let left = async |limit: LimitHandle| limit.remaining(alice.clone()).await.unwrap();
    assert_eq!(left(limits.limit("plan").unwrap()).await, 10);
    assert_eq!(left(limits.limit_under("plan", Quota::per_hour(1_000)).unwrap()).await, 1_000);
    assert!(limits.limit("closure").unwrap_err().to_string().contains("depends on the request"));
    assert_eq!(left(limits.limit_under("closure", Quota::per_hour(5)).unwrap()).await, 5);
    let unknown = limits.limit("pl\nan").unwrap_err().to_string();
    assert!(unknown.contains("there is no limit `pl\\nan`"), "{unknown}");
}

#[tokio::test]
async fn other_limits_are_in_force_from_the_next_request_and_names_keep_their_counts() {
    let (clock, _) = Clock::manual();
    let tenants = |quota| Limit::new(quota, key::header("x-tenant")).name("tenants");
    let layer =
        RateLimitLayer::of(tenants(Quota::per_hour(5)).penalty(Penalty::after(2))).clock(clock);
    let service = layer.clone().layer(echo());
    let ask = async |name: &str| service.clone().oneshot(of(name)).await.unwrap().status().as_u16();
    for _ in 0..5 {
        assert_eq!(ask("acme").await, 200);
    }
    assert_eq!([ask("acme").await, ask("acme").await], [429, 429]);
    let limits = layer.handle();
    let left = async |name: &str, tenant: &str| {
        limits.limit(name).unwrap().remaining(self::tenant(tenant)).await.unwrap()
    };

    // An empty bucket stays empty. The ban is the name's too.
    limits.replace([tenants(Quota::per_hour(10)).penalty(Penalty::after(2))]);
    assert_eq!(left("tenants", "acme").await, 0);
    assert_eq!(ask("acme").await, 429);
    assert_eq!(ask("bmce").await, 200);
    // Without a penalty nobody is banned.
    limits.replace([
        tenants(Quota::per_hour(20)),
        Limit::new(Quota::per_hour(3), key::shared()).name("all"),
    ]);
    assert_eq!([left("tenants", "acme").await, left("tenants", "bmce").await], [0, 18]);
    limits.replace([
        Limit::new(Quota::per_hour(3), key::shared()).name("all"),
        tenants(Quota::per_hour(40)),
    ]);
    assert_eq!([ask("bmce").await, ask("bmce").await, ask("bmce").await], [200, 200, 200]);
    assert_eq!(ask("cmce").await, 429, "all together");
    assert_eq!(
        layer.layer(echo()).oneshot(of("cmce")).await.unwrap().status(),
        429,
        "every service"
    );
    // Another algorithm begins anew, and so does a name that was gone.
    limits.replace([tenants(Quota::per_hour(5).sliding_window())]);
    assert_eq!(left("tenants", "acme").await, 5);
    limits.replace([]);
    for _ in 0..20 {
        assert_eq!(ask("acme").await, 200);
    }
    limits.replace([tenants(Quota::per_hour(5))]);
    assert_eq!(left("tenants", "acme").await, 5);
}

#[tokio::test]
async fn a_request_is_settled_with_the_limit_that_judged_it() {
    let (clock, _) = Clock::manual();
    let limit = || hundred().cost(|_| 10).settle(settle::body_bytes());
    let layer = RateLimitLayer::of(limit()).clock(clock);
    let answer = || Response::new(vec![data("hello")]);
    let response = layer.layer(origin(answer)).oneshot(get("/")).await.unwrap();
    let limits = layer.handle();
    // The name stays, the settlement does not: what is under way goes by the old one, into the counts of the name.
    limits.replace([hundred()]);
    let left =
        async || limits.limit("default").unwrap().remaining(key::shared().of()).await.unwrap();
    assert_eq!(left().await, 90);
    let _ = response.into_body().collect().await.unwrap();
    assert_eq!(left().await, 95);

    limits.replace([limit()]);
    let response = layer.layer(origin(answer)).oneshot(get("/")).await.unwrap();
    limits.replace([hundred().name("other")]);
    drop(response);
    let other = limits.limit("other").unwrap();
    assert_eq!(other.remaining(key::shared().of()).await.unwrap(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_that_are_replaced_under_load_neither_deadlock_nor_admit_more() {
    let (clock, _) = Clock::manual();
    let limit =
        |name: &'static str| Limit::new(Quota::per_hour(500), key::header("x-tenant")).name(name);
    let layer = RateLimitLayer::of(limit("a")).and(limit("b")).clock(clock);
    let service = layer.layer(echo());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let service = service.clone();
        tasks.spawn(async move {
            let mut admitted = 0;
            for _ in 0..200 {
                admitted +=
                    u32::from(service.clone().oneshot(of("acme")).await.unwrap().status() == 200);
            }
            admitted
        });
    }
    let limits = layer.handle();
    for round in 0..200 {
        match round % 2 {
            0 => limits.replace([limit("b"), limit("a")]),
            _ => limits.replace([limit("a"), limit("b")]),
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 500);
}

#[tokio::test]
async fn names_stay_apart_from_those_of_penalty_boxes() {
    let layer = RateLimitLayer::of(penalised())
        .and(Limit::new(Quota::per_hour(5), key::shared()).name("calls-penalty"))
        .and(Limit::new(Quota::per_hour(5), key::shared()).name("calls"));
    assert_eq!(layer.handle().names(), ["calls", "calls-penalty", "calls-2"]);
    let service = layer.clock(Clock::manual().0).layer(echo());
    for _ in 0..3 {
        service.clone().oneshot(of("acme")).await.unwrap();
    }
    let banned = service.oneshot(of("acme")).await.unwrap();
    assert_eq!(assert_problem(banned, 429, "rate-limited").await["policy"], "calls-penalty-2");
}

// Stores that fail.

/// Decides as the other, and never answers to charges and refunds, or fails.
#[derive(Clone)]
struct Deaf {
    inner: MemoryStore,
    told: Arc<AtomicUsize>,
    fails: bool,
}

impl Deaf {
    fn answer(&self) -> BoxFuture<Result<(), StoreError>> {
        self.told.fetch_add(1, Ordering::Relaxed);
        match self.fails {
            true => Box::pin(async { Err(StoreError::new("connection refused")) }),
            false => Box::pin(std::future::pending()),
        }
    }
}

impl Store for Deaf {
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>> {
        self.inner.take(demands)
    }

    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.inner.borrow(demand)
    }

    fn charge(&self, _: Vec<Demand>) -> BoxFuture<Result<(), StoreError>> {
        self.answer()
    }

    fn refund(&self, _: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>> {
        self.answer()
    }

    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.inner.read(demand)
    }

    fn reset(&self, _: Demand) -> BoxFuture<Result<(), StoreError>> {
        self.answer()
    }

    fn nodes(&self, node: &str, lives: Duration) -> BoxFuture<Result<u32, StoreError>> {
        self.inner.nodes(node, lives)
    }
}

fn deaf(fails: bool) -> (RateLimitLayer, Arc<AtomicUsize>) {
    let (clock, _) = Clock::manual();
    let told = Arc::new(AtomicUsize::new(0));
    let inner = MemoryStore::with(clock.clone(), 100);
    let store = Deaf { inner, told: Arc::clone(&told), fails };
    let limit = Limit::new(Quota::unlimited(), key::shared()).settle(|_: ResponseHead<'_>| Some(5));
    (RateLimitLayer::of(limit).clock(clock).shared(Sharing::exact(store)), told)
}

#[tokio::test]
async fn a_store_that_does_not_answer_holds_so_many_tasks_and_no_request() {
    let (layer, told) = deaf(false);
    let service = layer.layer(echo());
    for _ in 0..1_500 {
        assert_eq!(service.clone().oneshot(get("/")).await.unwrap().status(), 200);
        tokio::task::yield_now().await;
    }
    assert_eq!(told.load(Ordering::Relaxed), 1_024);
}

#[tokio::test]
async fn a_store_that_fails_is_told_again_and_errors_reach_the_administrator() {
    let (layer, told) = deaf(true);
    let service = layer.layer(echo());
    for _ in 0..1_500 {
        assert_eq!(service.clone().oneshot(get("/")).await.unwrap().status(), 200);
        tokio::task::yield_now().await;
    }
    assert_eq!(told.load(Ordering::Relaxed), 1_500);
    let limit = layer.handle().limit("default").unwrap();
    let error = limit.credit(key::shared().of(), 1).await.unwrap_err();
    assert!(error.to_string().contains("connection refused"));
    assert!(limit.reset(None).await.is_err() && limit.charge(None, 1).await.is_err());
}

#[test]
fn a_body_that_ends_without_a_runtime_panics_nowhere() {
    let (clock, _) = Clock::manual();
    let limit = hundred().cost(|_| 10).settle(settle::body_bytes());
    let store = MemoryStore::with(clock.clone(), 100);
    let layer = RateLimitLayer::of(limit).clock(clock).shared(Sharing::exact(store));
    let response = futures_util::FutureExt::now_or_never(layer.layer(echo()).oneshot(get("/")));
    drop(response.unwrap().unwrap());
    let left = futures_util::FutureExt::now_or_never(async {
        layer.handle().limit("default").unwrap().remaining(key::shared().of()).await.unwrap()
    });
    assert_eq!(left, Some(90), "the reservation stands");
}

// Counters.

/// Keeps what counters have counted, by their keys.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counts {
    /// The policies' counters, such as `calls admitted 5`.
    fn of_policies(&self) -> Vec<String> {
        let counts = self.0.lock().unwrap();
        let all = counts.iter().filter(|(key, _)| !key.is_empty());
        all.map(|(key, count)| format!("{key} {}", count.load(Ordering::Relaxed))).collect()
    }
}

impl metrics::Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
        let ours = key.name() == "tower_gateway_rate_limit_total";
        let labels: Vec<_> = key.labels().filter(|_| ours).map(metrics::Label::value).collect();
        Counter::from_arc(Arc::clone(self.0.lock().unwrap().entry(labels.join(" ")).or_default()))
    }

    fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// What the policies count while so many requests of a tenant's are answered.
fn counted(layer: &RateLimitLayer, requests: usize) -> Vec<String> {
    let counts = Counts::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    metrics::with_local_recorder(&counts, || {
        runtime.block_on(async {
            for _ in 0..requests {
                layer.layer(echo()).oneshot(of("acme")).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    });
    counts.of_policies()
}

#[test]
fn each_policy_counts_what_it_did() {
    let all = |count| Limit::new(Quota::per_hour(count), key::shared()).name("all");
    let layer = |limit: Limit| RateLimitLayer::of(limit).clock(Clock::manual().0);
    // One is admitted, two are refused, the third of them is banned, and so is the rest.
    let both = layer(penalised()).and(all(100));
    assert_eq!(
        counted(&both, 10),
        ["all admitted 1", "calls admitted 1", "calls banned 7", "calls refused 2"]
    );
    let watched = layer(penalised().report_only()).and(all(4));
    assert_eq!(
        counted(&watched, 10),
        ["all admitted 4", "all refused 6", "calls admitted 1", "calls reported 9"]
    );
    let reporting = layer(penalised()).and(all(100)).report_only();
    assert_eq!(counted(&reporting, 10), ["all admitted 1", "calls admitted 1", "calls reported 9"]);
    let (failing, _) = deaf(true);
    assert_eq!(counted(&failing, 3), ["default admitted 3", "default unsettled 3"]);
    let (silent, _) = deaf(false);
    assert_eq!(counted(&silent, 1_030), ["default admitted 1030", "default unsettled 6"]);
}
