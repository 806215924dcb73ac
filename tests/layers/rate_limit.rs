mod admits;
mod answers;
mod leaky_bucket;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_gateway::{
    Identity, Rejection,
    client_ip::{ClientIpLayer, PeerAddr},
    clock::Clock,
    key,
    rate_limit::{Limit, MissingKey, Quota, RateLimitLayer},
};

use crate::support::{assert_problem, echo, get};

fn from(ip: &str) -> Request<Full<Bytes>> {
    let ip: IpAddr = ip.parse().unwrap();
    let mut request = get("/");
    request.extensions_mut().insert(PeerAddr(SocketAddr::new(ip, 4711)));
    request
}

/// The statuses of these requests, one after the other.
async fn statuses<S, B>(
    service: &S,
    requests: impl IntoIterator<Item = Request<Full<Bytes>>>,
) -> Vec<u16>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
{
    let mut statuses = Vec::new();
    for request in requests {
        let response = service.clone().oneshot(request).await.unwrap();
        statuses.push(response.status().as_u16());
    }
    statuses
}

fn list(response: &Response<impl Sized>, name: &str) -> Vec<String> {
    let lines = response.headers().get_all(name).iter();
    let joined: Vec<_> = lines.map(|it| it.to_str().unwrap()).collect();
    let parsed = sfv::Parser::new(&joined.join(", ")).parse::<sfv::List>();
    let member = |it: sfv::ListEntry| match it {
        sfv::ListEntry::Item(item) => {
            let name = item.bare_item.as_string().unwrap().to_string();
            let number = |it: &sfv::BareItem| i64::from(it.as_integer().unwrap());
            let all = item.params.iter();
            let params: Vec<_> = all.map(|(key, it)| format!("{key}={}", number(it))).collect();
            format!("{name} {}", params.join(" "))
        }
        sfv::ListEntry::InnerList(_) => panic!("members are items"),
    };
    parsed.unwrap().into_iter().map(member).collect()
}

#[tokio::test]
async fn the_limit_is_admitted_and_the_rest_told_when_to_come_back() {
    let (clock, time) = Clock::manual();
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let service = ServiceBuilder::new()
        .layer(
            RateLimitLayer::of(
                Limit::new(Quota::per_minute(6).burst(5), key::client_ip()).name("per-client"),
            )
            .clock(clock),
        )
        .map_request(move |request| {
            count.fetch_add(1, Ordering::Relaxed);
            request
        })
        .service(echo());
    for left in (0..5).rev() {
        let response = service.clone().oneshot(from("192.0.2.1")).await.unwrap();
        assert_eq!(response.status(), 200);
        let full_in = 10 * (5 - left);
        assert_eq!(list(&response, "ratelimit"), [format!("per-client r={left} t={full_in}")]);
        assert_eq!(list(&response, "ratelimit-policy"), ["per-client q=5 w=50"]);
    }
    time.advance(Duration::from_millis(8_500));
    for _ in 0..6 {
        let response = service.clone().oneshot(from("192.0.2.1")).await.unwrap();
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(list(&response, "ratelimit"), ["per-client r=0 t=42"]);
        assert_eq!(list(&response, "ratelimit-policy"), ["per-client q=5 w=50"]);
        assert!(response.extensions().get::<Rejection>().is_some());
        let problem = assert_problem(response, 429, "rate-limited").await;
        assert_eq!(problem["policy"], "per-client");
        assert_eq!(problem["violated-policies"], serde_json::json!(["per-client"]));
    }
    assert_eq!(reached.load(Ordering::Relaxed), 5);
    assert_eq!(statuses(&service, [from("192.0.2.2")]).await, [200]);

    // A second spent on each refusal buys nothing; who waits as told is admitted, once.
    time.advance(Duration::from_secs(2));
    let two = [from("192.0.2.1"), from("192.0.2.1")];
    assert_eq!(statuses(&service, two).await, [200, 429]);
}

#[tokio::test]
async fn a_grpc_client_reads_resource_exhausted() {
    let layer = RateLimitLayer::new(Quota::per_hour(1), key::shared()).clock(Clock::manual().0);
    let service = layer.layer(echo());
    let call = || {
        let call = Request::post("/pkg.Svc/M").header("content-type", "application/grpc");
        call.body(Full::default()).unwrap()
    };
    assert_eq!(statuses(&service, [call()]).await, [200]);
    let response = service.oneshot(call()).await.unwrap();
    assert_eq!(response.status(), 200);
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = tonic_types::StatusExt::get_error_details(&status);
    let delay = details.retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(3_600)));
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "default");
}

#[tokio::test]
async fn every_service_of_a_layer_counts_together() {
    let layer = RateLimitLayer::new(Quota::per_hour(3), key::shared()).clock(Clock::manual().0);
    let (one, other) = (layer.layer(echo()), layer.clone().layer(echo()));
    assert_eq!(statuses(&one, [get("/"), get("/")]).await, [200, 200]);
    assert_eq!(statuses(&other, [get("/"), get("/")]).await, [200, 429]);
    assert_eq!(statuses(&layer.layer(echo()), [get("/")]).await, [429]);
}

#[tokio::test]
async fn no_field_that_a_client_rotates_gives_it_more() {
    let service = ServiceBuilder::new()
        .layer(ClientIpLayer::direct())
        .layer(RateLimitLayer::new(Quota::per_hour(2), key::client_ip()))
        .service(echo());
    let fields =
        ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"];
    let rotating = (0..20).map(|n| {
        let mut request = from("192.0.2.1");
        let value = format!("203.0.113.{n}").parse().unwrap();
        request.headers_mut().insert(fields[n % 5], value);
        request
    });
    let admitted = statuses(&service, rotating).await;
    assert_eq!(admitted.iter().filter(|it| **it == 200).count(), 2);
}

#[tokio::test]
async fn the_addresses_of_one_network_are_one_client() {
    let layer = RateLimitLayer::new(Quota::per_hour(4), key::client_ip()).clock(Clock::manual().0);
    let service = layer.layer(echo());
    let addresses = (0..1_000).map(|n: u32| from(&format!("2001:db8::{:x}:{n:x}", n * 7)));
    let admitted = statuses(&service, addresses).await;
    assert_eq!(admitted.iter().filter(|it| **it == 200).count(), 4);
    assert_eq!(statuses(&service, [from("2001:db8:0:1::")]).await, [200]);
}

#[tokio::test]
async fn a_request_without_a_key_is_refused_unless_chosen_otherwise() {
    let by = |missing| {
        let limit = Limit::new(Quota::per_hour(2), key::subject()).missing_key(missing);
        RateLimitLayer::of(limit).clock(Clock::manual().0).layer(echo())
    };
    let nobody = || [get("/"), get("/"), get("/")];

    let service = by(MissingKey::default());
    assert_eq!(statuses(&service, nobody()).await, [403, 403, 403]);
    let response = service.oneshot(get("/")).await.unwrap();
    let cause = response.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string();
    assert!(cause.contains("key::Subject"), "{cause}");
    let problem = assert_problem(response, 403, "forbidden").await;
    assert!(!problem.to_string().contains("Subject"));

    let skip = by(MissingKey::Skip);
    assert_eq!(statuses(&skip, nobody()).await, [200, 200, 200]);
    assert!(!skip.oneshot(get("/")).await.unwrap().headers().contains_key("ratelimit"));

    let shared = by(MissingKey::Shared);
    assert_eq!(statuses(&shared, nobody()).await, [200, 200, 429]);
    let mut alice = get("/");
    alice.extensions_mut().insert(Identity::new("jwt", "alice"));
    assert_eq!(statuses(&shared, [alice]).await, [200]);
}

#[tokio::test]
async fn a_key_that_writes_nothing_is_not_a_missing_one() {
    let empty = |_: tower_gateway::guard::Head<'_>, _: &mut key::KeyWriter| Some(());
    let service = RateLimitLayer::new(Quota::per_hour(1), empty).clock(Clock::manual().0);
    let service = service.layer(echo());
    assert_eq!(statuses(&service, [get("/"), get("/")]).await, [200, 429]);
}

#[tokio::test]
async fn limits_in_a_stack_each_have_their_say() {
    let clock = Clock::manual().0;
    let limit = |name, quota| {
        RateLimitLayer::of(Limit::new(quota, key::shared()).name(name)).clock(clock.clone())
    };
    let service = ServiceBuilder::new()
        .layer(limit("all", Quota::per_second(10)))
        .layer(limit("slow", Quota::per_hour(1)))
        .service(echo());
    let first = service.clone().oneshot(get("/")).await.unwrap();
    assert_eq!(list(&first, "ratelimit"), ["slow r=0 t=3600", "all r=9 t=1"]);
    assert_eq!(list(&first, "ratelimit-policy"), ["slow q=1 w=3600", "all q=10 w=1"]);
    let second = service.oneshot(get("/")).await.unwrap();
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["retry-after"], "3600");
    assert_eq!(list(&second, "ratelimit"), ["slow r=0 t=3600", "all r=8 t=1"]);
}

#[tokio::test]
async fn the_fields_can_be_hidden() {
    let layer = RateLimitLayer::new(Quota::per_hour(1), key::shared()).hide_fields();
    for status in [200, 429] {
        let response = layer.layer(echo()).oneshot(get("/")).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("ratelimit"));
        assert!(!response.headers().contains_key("ratelimit-policy"));
        assert_eq!(response.headers().contains_key("retry-after"), status == 429);
    }
}

#[tokio::test]
async fn a_quota_of_zero_admits_nothing_and_promises_nothing() {
    for quota in [Quota::per_second(0), Quota::per_second(9).burst(0)] {
        let service = RateLimitLayer::new(quota, key::shared()).layer(echo());
        let response = service.oneshot(get("/")).await.unwrap();
        assert!(!response.headers().contains_key("retry-after"));
        assert_eq!(list(&response, "ratelimit"), ["default r=0 t=0"]);
        assert_problem(response, 429, "rate-limited").await;
    }
}

#[tokio::test]
async fn the_wall_clock_plays_no_part() {
    let (clock, time) = Clock::manual();
    let layer = RateLimitLayer::new(Quota::per_hour(1), key::shared()).clock(clock.clone());
    let service = layer.layer(echo());
    assert_eq!(statuses(&service, [get("/")]).await, [200]);
    for step in [clock.unix() + Duration::from_secs(7_200), Duration::ZERO] {
        time.set_unix(step);
        assert_eq!(statuses(&service, [get("/")]).await, [429]);
    }
}

#[tokio::test]
async fn a_flood_of_keys_resets_nobody() {
    let layer = RateLimitLayer::new(Quota::per_hour(2), key::client_ip());
    let service = layer.max_keys(100).clock(Clock::manual().0).layer(echo());
    let offender = || from("192.0.2.1");
    assert_eq!(statuses(&service, [offender(), offender(), offender()]).await, [200, 200, 429]);
    let flood =
        (0..20_000_u32).map(|n| from(&IpAddr::from((n + (10 << 24)).to_be_bytes()).to_string()));
    let admitted = statuses(&service, flood).await;
    let admitted = admitted.iter().filter(|it| **it == 200).count();
    // 256 slots in 8 sets, each with an overflow cell of two requests.
    assert!(admitted <= 256 + 8 * 2, "{admitted}");
    assert_eq!(statuses(&service, [offender()]).await, [429]);
}
