//! Several limits at once, costs, plans and exemptions: what a request takes, and from whom.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    Identity,
    clock::{Clock, ManualClock},
    guard::Head,
    key,
    rate_limit::{Limit, MemoryStore, Plans, Quota, RateLimitLayer, Sharing},
};

use crate::support::{echo, get};

/// A layer over the service of echoes, and how to ask it.
struct Gate {
    layer: RateLimitLayer,
    time: ManualClock,
}

impl Gate {
    fn of(layer: RateLimitLayer) -> Self {
        let (clock, time) = Clock::manual();
        Self { layer: layer.clock(clock), time }
    }

    /// The same, with counts that others could share.
    fn shared(layer: RateLimitLayer) -> Self {
        let (clock, time) = Clock::manual();
        let store = MemoryStore::with(clock.clone(), 1_000);
        Self { layer: layer.clock(clock).shared(Sharing::exact(store)), time }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let response = self.layer.layer(echo()).oneshot(request).await.unwrap();
        let field = response.headers().get_all("ratelimit").iter();
        let field: Vec<_> = field.map(|it| it.to_str().unwrap()).collect();
        (response.status().as_u16(), field.join(", "))
    }

    async fn status(&self, request: Request<Full<Bytes>>) -> u16 {
        self.ask(request).await.0
    }
}

fn tenant(name: &str) -> Request<Full<Bytes>> {
    let mut request = get("/");
    request.headers_mut().insert("x-tenant", name.parse().unwrap());
    request
}

/// Two for each tenant in an hour, three for all.
fn two_of_three() -> RateLimitLayer {
    let each = Limit::new(Quota::per_hour(2), key::header("x-tenant")).name("each");
    RateLimitLayer::of(each).and(Limit::new(Quota::per_hour(3), key::shared()).name("all"))
}

#[tokio::test]
async fn a_request_that_one_limit_refuses_spends_from_none() {
    for gate in [Gate::of(two_of_three()), Gate::shared(two_of_three())] {
        let asked = [gate.ask(tenant("a")).await, gate.ask(tenant("a")).await];
        assert_eq!(asked[1], (200, r#""each";r=0;t=3600, "all";r=1;t=2400"#.to_owned()));
        for _ in 0..5 {
            let (status, left) = gate.ask(tenant("a")).await;
            assert_eq!((status, &*left), (429, r#""each";r=0;t=3600, "all";r=1;t=2400"#));
        }
        assert_eq!(gate.status(tenant("b")).await, 200, "what a was refused is left for b");
        let (status, left) = gate.ask(tenant("b")).await;
        assert_eq!((status, &*left), (429, r#""each";r=1;t=1800, "all";r=0;t=3600"#));
        gate.time.advance(Duration::from_secs(1_200)); // one for all
        assert_eq!(gate.status(tenant("b")).await, 200);
    }
}

#[tokio::test]
async fn a_refusal_names_who_refuses_and_waits_for_the_last_of_them() {
    let slow = Limit::new(Quota::per_day(1), key::shared()).name("day");
    let fast = Limit::new(Quota::per_minute(1), key::shared()).name("minute");
    let roomy = Limit::new(Quota::per_minute(100), key::shared()).name("roomy");
    let gate = Gate::of(RateLimitLayer::of(fast).and(roomy).and(slow));
    assert_eq!(gate.status(get("/")).await, 200);
    let refused = gate.layer.layer(echo()).oneshot(get("/")).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "86400");
    let no = refused.extensions().get::<tower_gateway::Rejection>().unwrap();
    let named: Vec<_> = no.members().map(|(_, value)| value).collect();
    assert_eq!(named, ["minute", "day"]);
}

#[tokio::test]
async fn a_cost_is_taken_whole_or_not_at_all() {
    let dear = |head: Head<'_>| if head.uri().path() == "/search" { 4 } else { 1 };
    let limit = || Limit::new(Quota::per_hour(10), key::shared()).cost(dear);
    for gate in [Gate::of(RateLimitLayer::of(limit())), Gate::shared(RateLimitLayer::of(limit()))] {
        for status in [200, 200, 429] {
            assert_eq!(gate.status(get("/search")).await, status);
        }
        for status in [200, 200, 429] {
            assert_eq!(gate.status(get("/")).await, status);
        }
    }
    let never = Limit::new(Quota::per_hour(3), key::shared()).cost(dear);
    let gate = Gate::of(RateLimitLayer::of(never));
    let refused = gate.layer.layer(echo()).oneshot(get("/search")).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(!refused.headers().contains_key("retry-after"), "no wait makes it smaller");
}

#[tokio::test]
async fn each_plan_has_its_quota_and_algorithm() {
    let plans = Plans::otherwise(Quota::per_hour(1))
        .plan("pro", Quota::per_hour(3).sliding_window())
        .plan("exact", Quota::per_hour(2).sliding_log())
        .plan("house", Quota::unlimited());
    let gate = Gate::of(RateLimitLayer::new(plans, key::subject()));
    let who = |subject: &str, plan: &str| {
        let mut request = get("/");
        request.extensions_mut().insert(Identity::new("jwt", subject).with_plan(plan));
        request
    };
    for (subject, plan, quota) in
        [("a", "pro", 3), ("b", "exact", 2), ("c", "free", 1), ("d", "house", 20)]
    {
        for n in 0..20 {
            let expected = if n < quota { 200 } else { 429 };
            assert_eq!(gate.status(who(subject, plan)).await, expected, "{plan} {n}");
        }
    }
    assert_eq!(gate.ask(who("d", "house")).await, (200, String::new()), "no limit, no fields");
    assert_eq!(gate.status(who("c", "pro")).await, 200, "the plan has changed");
}

#[tokio::test]
async fn who_is_exempt_is_not_counted() {
    let exempt = |head: Head<'_>| head.method() == Method::OPTIONS;
    let limit = Limit::new(Quota::per_hour(1), key::shared()).exempt(exempt);
    let gate = Gate::of(RateLimitLayer::of(limit));
    let preflight = || {
        let mut request = get("/");
        *request.method_mut() = Method::OPTIONS;
        request
    };
    for _ in 0..3 {
        assert_eq!(gate.ask(preflight()).await, (200, String::new()));
    }
    assert_eq!(gate.status(get("/")).await, 200);
    assert_eq!(gate.status(get("/")).await, 429);
    assert_eq!(gate.status(preflight()).await, 200);
}

#[tokio::test]
async fn a_limit_that_only_reports_counts_and_refuses_nobody() {
    let tried = Limit::new(Quota::per_hour(1), key::shared()).name("tried").report_only();
    let kept = Limit::new(Quota::per_hour(3), key::shared()).name("kept");
    let gate = Gate::of(RateLimitLayer::of(tried).and(kept));
    for left in [2, 1, 0] {
        let (status, fields) = gate.ask(get("/")).await;
        assert_eq!(status, 200);
        assert!(fields.contains(&format!(r#""kept";r={left}"#)), "{fields}");
        assert!(fields.contains(r#""tried";r=0"#), "{fields}");
    }
    assert_eq!(gate.status(get("/")).await, 429);
}

#[tokio::test]
async fn limits_of_one_name_are_told_apart() {
    let one = || Limit::new(Quota::per_hour(2), key::shared());
    let gate = Gate::shared(RateLimitLayer::of(one()).and(one()).and(one()));
    let (_, fields) = gate.ask(get("/")).await;
    let expected = r#""default";r=1;t=1800, "default-2";r=1;t=1800, "default-3";r=1;t=1800"#;
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn a_shared_store_counts_for_all_its_layers() {
    let (clock, _time) = Clock::manual();
    let store = MemoryStore::with(clock.clone(), 1_000);
    let node = || two_of_three().clock(clock.clone()).shared(Sharing::exact(store.clone()));
    let (one, other) = (node(), node());
    let status = async |layer: &RateLimitLayer| {
        layer.layer(echo()).oneshot(tenant("a")).await.unwrap().status().as_u16()
    };
    assert_eq!([status(&one).await, status(&other).await, status(&one).await], [200, 200, 429]);
}
