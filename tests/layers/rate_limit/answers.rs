//! What clients read of several limits.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt};
use tower_gateway::{
    clock::Clock,
    key,
    rate_limit::{Limit, Quota, RateLimitLayer},
};

use crate::support::{assert_problem, echo, get};

use super::list;

fn limit(name: &'static str, quota: Quota) -> Limit {
    Limit::new(quota, key::shared()).name(name)
}

async fn call<S, B>(service: &S, request: Request<Full<Bytes>>) -> Response<B>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
{
    service.clone().oneshot(request).await.unwrap()
}

/// Two that the second request breaks, and one that it does not.
fn three() -> RateLimitLayer {
    let layer = RateLimitLayer::of(limit("burst", Quota::per_second(1)));
    let layer = layer.and(limit("day", Quota::per_day(1).sliding_log()));
    layer.and(limit("wide", Quota::per_hour(100))).clock(Clock::manual().0)
}

#[tokio::test]
async fn all_limits_have_their_fields_and_those_that_refuse_are_named() {
    let service = three().layer(echo());
    let first = call(&service, get("/")).await;
    assert_eq!(list(&first, "ratelimit"), ["burst r=0 t=1", "day r=0 t=86400", "wide r=99 t=36"]);
    let policies = ["burst q=1 w=1", "day q=1 w=86400", "wide q=100 w=3600"];
    assert_eq!(list(&first, "ratelimit-policy"), policies);

    let refused = call(&service, get("/")).await;
    assert_eq!(refused.headers()["retry-after"], "86400", "when all of them would admit it");
    assert_eq!(list(&refused, "ratelimit"), list(&first, "ratelimit"));
    assert_eq!(list(&refused, "ratelimit-policy"), policies);
    let problem = assert_problem(refused, 429, "rate-limited").await;
    assert_eq!(problem["violated-policies"], serde_json::json!(["burst", "day"]));
}

#[tokio::test]
async fn a_grpc_client_reads_each_violation() {
    let service = three().layer(echo());
    call(&service, get("/")).await;
    let grpc = Request::post("/pkg.Svc/M").header("content-type", "application/grpc");
    let refused = call(&service, grpc.body(Full::default()).unwrap()).await;
    let status = tonic::Status::from_header_map(refused.headers()).unwrap();
    let details = tonic_types::StatusExt::get_error_details(&status);
    let violations = &details.quota_failure().unwrap().violations;
    let subjects: Vec<_> = violations.iter().map(|it| it.subject.as_str()).collect();
    assert_eq!(subjects, ["burst", "day"]);
    assert!(violations.iter().all(|it| !it.description.is_empty()));
    let wait = details.retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(Duration::from_secs(86_400)));
    assert_eq!(details.error_info().unwrap().metadata["policy"], "burst");
    assert_eq!(refused.headers().get_all("ratelimit").iter().count(), 3, "as metadata");
}

fn legacy(headers: &HeaderMap) -> [Option<&str>; 3] {
    ["limit", "remaining", "reset"]
        .map(|name| Some(headers.get(format!("x-ratelimit-{name}"))?.to_str().unwrap()))
}

#[tokio::test]
async fn the_older_fields_tell_of_the_tightest_limit_if_they_are_asked_for() {
    let service = three().layer(echo());
    assert_eq!(legacy(call(&service, get("/")).await.headers()), [None; 3]);

    for layer in [three().legacy_fields(), three().legacy_fields().hide_fields()] {
        let service = layer.layer(echo());
        for status in [200, 429] {
            let response = call(&service, get("/")).await;
            assert_eq!(response.status(), status);
            assert_eq!(legacy(response.headers()), [Some("1"), Some("0"), Some("86400")]);
        }
    }
    let outer = RateLimitLayer::of(limit("outer", Quota::per_minute(10))).legacy_fields();
    let service = outer.layer(three().legacy_fields().layer(echo()));
    for _ in 0..2 {
        let told = call(&service, get("/")).await;
        assert_eq!(legacy(told.headers()), [Some("1"), Some("0"), Some("86400")]);
    }
}

#[tokio::test]
async fn a_unit_that_is_not_requests_is_told() {
    let bytes = limit("traffic", Quota::per_day(1_000_000)).unit("content-bytes").cost(|_| 1_000);
    let service = RateLimitLayer::of(bytes).layer(echo());
    let response = call(&service, get("/")).await;
    let policy = response.headers()["ratelimit-policy"].to_str().unwrap();
    assert_eq!(policy, r#""traffic";q=1000000;qu="content-bytes";w=86400"#);
    sfv::Parser::new(policy).parse::<sfv::List>().unwrap();
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..5, any::<u64>(), Just(u64::MAX), (0u32..64).prop_map(|bit| 1 << bit)]
}

fn quota() -> impl Strategy<Value = Quota> {
    (number(), number(), number(), 0u8..8).prop_map(|(count, period, burst, algorithm)| {
        let quota = Quota::per(count, Duration::from_nanos(period));
        match algorithm {
            0 => quota.burst(burst),
            1 => quota.sliding_window(),
            2 => quota.sliding_log(),
            3 => quota.fixed_window().starting(Duration::from_nanos(burst)),
            4 => quota.leaky_bucket(burst, burst),
            5 => Quota::per_calendar_month(count).starting(Duration::from_nanos(burst)),
            6 => Quota::unlimited(),
            _ => quota,
        }
    })
}

proptest! {
    #[test]
    fn whatever_the_quota_is_the_fields_are_well_formed_and_who_waits_as_told_is_admitted(
        (quota, name) in (quota(), any::<String>()),
        steps in prop::collection::vec((number(), number()), 1..20),
    ) {
        let (clock, time) = Clock::manual();
        let by_header = |head: tower_gateway::guard::Head<'_>| {
            head.headers()["x-cost"].to_str().unwrap().parse().unwrap()
        };
        let limit = Limit::new(quota, key::shared()).name(name.clone()).unit(name).cost(by_header);
        let service = RateLimitLayer::of(limit).legacy_fields().clock(clock).layer(echo());
        let call = |cost: u64| {
            let request = Request::get("/").header("x-cost", cost).body(Full::default()).unwrap();
            futures_util::FutureExt::now_or_never(service.clone().oneshot(request))
        };
        for (nanos, cost) in steps {
            time.advance(Duration::from_nanos(nanos >> 12));
            // Who has to wait for its turn is answered later.
            let Some(response) = call(cost) else { continue };
            let response = response.unwrap();
            if quota == Quota::unlimited() {
                let told = ["ratelimit", "ratelimit-policy", "x-ratelimit-limit"];
                prop_assert!(told.iter().all(|name| !response.headers().contains_key(*name)));
                continue;
            }
            prop_assert_eq!(list(&response, "ratelimit").len(), 1);
            let policy = response.headers()["ratelimit-policy"].to_str().unwrap();
            prop_assert_eq!(sfv::Parser::new(policy).parse::<sfv::List>().unwrap().len(), 1);
            prop_assert!(legacy(response.headers()).iter().all(|it| it.unwrap().parse::<u64>().is_ok()));
            if let Some(wait) = response.headers().get("retry-after") {
                let wait: u64 = wait.to_str().unwrap().parse().unwrap();
                prop_assert!(wait > 0);
                if wait > 100_000_000 {
                    continue; // years, of which a clock has not so many
                }
                time.advance(Duration::from_secs(wait));
                let again = call(cost).unwrap().unwrap();
                prop_assert_eq!(again.status(), 200, "after {} s", wait);
            }
        }
    }
}
