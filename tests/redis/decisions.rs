//! What the store decides, and what it says of itself.

use std::time::Duration;

use http::{Request, Response};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_gateway::{
    clock::Clock,
    key,
    rate_limit::{Demand, Limit, Quota, RateLimitLayer, RedisStore, Sharing, Store},
};

use crate::{patient, redis_server::RedisServer, take};

#[tokio::test]
async fn takes_what_is_there_and_no_more() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let mut left = Vec::new();
    for _ in 0..4 {
        let answer = take(&store, b"alice", Quota::per_hour(3)).await.unwrap();
        left.push(answer.units().map(|_| answer.remaining()));
    }
    assert_eq!(left, [Some(2), Some(1), Some(0), None]);
}

#[tokio::test]
async fn two_layers_of_two_nodes_count_together() {
    let server = RedisServer::start();
    let node = || {
        let store = patient(RedisStore::connect(server.url()).unwrap());
        let limit = Limit::new(Quota::per_hour(2), key::header("x-tenant")).name("hourly");
        let layer = RateLimitLayer::of(limit).shared(Sharing::exact(store));
        let leaf = service_fn(|_: Request<String>| async {
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        });
        ServiceBuilder::new().layer(layer).service(leaf)
    };
    let (one, other) = (node(), node());
    let mut statuses = Vec::new();
    for (node, tenant) in [(&one, "a"), (&other, "a"), (&one, "a"), (&other, "a"), (&one, "b")] {
        let request = Request::get("/").header("x-tenant", tenant).body(String::new()).unwrap();
        statuses.push(node.clone().oneshot(request).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429, 200]);
}

#[tokio::test]
async fn the_servers_time_is_the_default() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let quota = Quota::per(1, Duration::from_millis(50));
    assert!(take(&store, b"alice", quota).await.unwrap().units().is_some());
    let mut refused = 0;
    while take(&store, b"alice", quota).await.unwrap().units().is_none() {
        refused += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(refused > 0);
    let month = take(&store, b"alice", Quota::per_calendar_month(5)).await.unwrap();
    let now = Clock::system().unix().as_nanos() as u64;
    assert!(month.receipt().word() > now, "the month ends in the future");
    assert!(month.reset() <= Duration::from_secs(31 * 86_400));
}

#[tokio::test]
async fn nodes_are_counted_while_they_live() {
    let server = RedisServer::start();
    let (clock, time) = Clock::manual();
    let store = patient(RedisStore::connect(server.url()).unwrap()).our_time(clock);
    let lives = Duration::from_secs(10);
    assert_eq!(store.nodes("one", lives).await.unwrap(), 1);
    assert_eq!(store.nodes("two\r\n", lives).await.unwrap(), 2);
    assert_eq!(store.nodes("one", 2 * lives).await.unwrap(), 2);
    time.advance(lives);
    assert_eq!(store.nodes("three", lives).await.unwrap(), 2, "the second is dead");
    let store = patient(RedisStore::connect(server.url()).unwrap()).prefix("other");
    assert_eq!(store.nodes("one", Duration::MAX).await.unwrap(), 1, "by the server's time");
    assert!(server.keys().iter().all(|key| server.ttl(key) > 0));
}

#[tokio::test]
async fn many_calls_at_once_admit_exactly_the_quota() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let calls = (0..64).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut admitted = 0;
            for _ in 0..50 {
                let answer = take(&store, b"alice", Quota::per_day(1_000)).await.unwrap();
                admitted += answer.units().unwrap_or(0);
            }
            admitted
        })
    });
    let mut admitted = 0;
    for call in calls.collect::<Vec<_>>() {
        admitted += call.await.unwrap();
    }
    assert_eq!(admitted, 1_000);
}

#[test]
fn what_cannot_be_an_address_is_told_at_once_and_without_its_password() {
    let wrong = ["http://a:sesame@host", "redis://b:sesame@host:x", "redis://127.0.0.1:6379"];
    let error = RedisStore::cluster(wrong).unwrap_err();
    assert_eq!(error.mistakes().len(), 2, "{error}");
    let error = format!("{error} {error:?} {}", RedisStore::sentinel("", [wrong[0]]).unwrap_err());
    assert!(!error.contains("sesame"), "{error}");
    assert!(RedisStore::cluster(Vec::<String>::new()).is_err());
    assert_eq!(RedisStore::sentinel("", wrong).unwrap_err().mistakes().len(), 3);
    assert!(RedisStore::connect("").is_err());
    let store = RedisStore::connect("redis://alice:sesame@127.0.0.1:6379/3").unwrap();
    assert!(!format!("{store:?}").contains("sesame"));
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_does_not_tell_it() {
    let server = RedisServer::start();
    server.command("CONFIG SET requirepass sesame");
    let url = server.url();
    let with = |password| url.replace("redis://", &format!("redis://:{password}@"));
    let store = patient(RedisStore::connect(with("open-up")).unwrap());
    let error = take(&store, b"alice", Quota::per_hour(1)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("open-up"), "{error}");
    let store = patient(RedisStore::connect(with("sesame")).unwrap());
    assert!(take(&store, b"alice", Quota::per_hour(1)).await.is_ok());
}

#[tokio::test]
async fn a_reset_forgets_and_a_charge_may_become_a_debt() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let quota = Quota::per_hour(3);
    let demand = || Demand::test("requests", Some(b"alice"), quota);
    store.charge(vec![demand().with_units(9)]).await.unwrap();
    assert!(take(&store, b"alice", quota).await.unwrap().wait() > Some(Duration::from_secs(3_600)));
    store.reset(demand()).await.unwrap();
    assert_eq!(store.borrow(demand().with_units(7)).await.unwrap().units(), Some(3));
    assert_eq!(store.borrow(demand().with_units(7)).await.unwrap().units(), None);
}
