//! Of a store that limits share: a change is told once, however many requests meet it.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Request;
use http_body_util::Full;
use tower_gateway::{
    clock::Clock,
    guard::BoxFuture,
    key,
    rate_limit::{
        Answer, Demand, Fallback, Limit, MemoryStore, Quota, RateLimitLayer, Receipt, Sharing,
        Store, StoreError,
    },
};

use crate::{SUBSCRIBER, log, status};

/// A store that fails when it is told to.
#[derive(Clone)]
struct Fragile(MemoryStore, Arc<AtomicBool>);

impl Fragile {
    fn unless_broken<T: Send + 'static>(
        &self,
        answer: BoxFuture<Result<T, StoreError>>,
    ) -> BoxFuture<Result<T, StoreError>> {
        match self.1.load(Ordering::Relaxed) {
            true => Box::pin(async { Err(StoreError::new("connection refused")) }),
            false => answer,
        }
    }
}

impl Store for Fragile {
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>> {
        self.unless_broken(self.0.take(demands))
    }

    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.unless_broken(self.0.borrow(demand))
    }

    fn charge(&self, demands: Vec<Demand>) -> BoxFuture<Result<(), StoreError>> {
        self.unless_broken(self.0.charge(demands))
    }

    fn refund(&self, demands: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>> {
        self.unless_broken(self.0.refund(demands))
    }

    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.unless_broken(self.0.read(demand))
    }

    fn reset(&self, demand: Demand) -> BoxFuture<Result<(), StoreError>> {
        self.unless_broken(self.0.reset(demand))
    }

    fn nodes(&self, node: &str, lives: Duration) -> BoxFuture<Result<u32, StoreError>> {
        self.unless_broken(self.0.nodes(node, lives))
    }
}

/// The events of the store with this name, without their times.
fn told(store: &str) -> Vec<String> {
    let log = String::from_utf8(log().clone()).unwrap();
    let of_store = log.lines().filter(|line| line.contains(&format!("store=\"{store}\"")));
    of_store.map(|line| line.split_once("Z ").unwrap().1.trim().to_owned()).collect()
}

#[tokio::test]
async fn of_a_store_that_fails_and_comes_back() {
    LazyLock::force(&SUBSCRIBER);
    let (clock, time) = Clock::manual();
    let broken = Arc::new(AtomicBool::new(false));
    let store = Fragile(MemoryStore::with(clock.clone(), 1_000), Arc::clone(&broken));
    for node in ["b", "c", "d"] {
        store.nodes(node, Duration::from_secs(3_600)).await.unwrap();
    }
    let minute = Duration::from_secs(60);
    let limit = Limit::new(Quota::per_day(4_000), key::header("x-tenant")).name("tenants");
    let limit = limit.on_store_failure(Fallback::local_share().at_most(minute).then_open());
    let sharing = Sharing::exact(store).name("fragile").max_debtors(30);
    let layer = RateLimitLayer::of(limit).clock(clock).shared(sharing);
    let load = async |requests: usize| {
        for n in 0..requests {
            let request = Request::get("/shared").header("x-tenant", format!("canary-{}", n % 40));
            let request = request.body(Full::default()).unwrap();
            assert_eq!(status(&layer, request).await, 200);
            tokio::task::yield_now().await;
        }
    };
    let pass = async |seconds: u64| {
        for _ in 0..seconds {
            time.advance(Duration::from_secs(1));
            load(20).await;
        }
    };
    load(20).await;
    for _ in 0..2 {
        broken.store(true, Ordering::Relaxed);
        load(200).await;
        pass(100).await;
        broken.store(false, Ordering::Relaxed);
        pass(20).await;
    }
    let outage = [
        r#"WARN tower_gateway::store: store failed: local share of 1/4, or what limits chose store="fragile" step="down" cause=the store of rate limits failed: connection refused"#,
        r#"WARN tower_gateway::store: store is still down: the limit falls back to open store="fragile" step="open" cause=tenants"#,
        r#"INFO tower_gateway::store: store is back store="fragile" step="up""#,
        r#"INFO tower_gateway::store: accounting of 30 keys replayed store="fragile" step="replayed""#,
        r#"WARN tower_gateway::store: accounting of 50 admissions dropped store="fragile" step="dropped" cause=more keys than are remembered in an outage"#,
    ];
    assert_eq!(told("fragile"), [outage, outage].concat());
    let log = String::from_utf8(log().clone()).unwrap();
    let single = log.matches("a call to the store failed").count();
    assert!((1..=25).contains(&single), "seldom: {single}");
    let leaks = |line: &&str| line.contains("canary-") && line.contains("store");
    assert_eq!(log.lines().find(leaks), None, "no key is told");
}
