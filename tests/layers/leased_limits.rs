use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use http::{Request, Response};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_gateway::{
    clock::{Clock, ManualClock},
    guard::BoxFuture,
    key,
    rate_limit::{
        Answer, Demand, Fallback, Limit, MemoryStore, Quota, RateLimitLayer, Receipt, Sharing,
        Store, StoreError,
    },
};

type Door = BoxCloneSyncService<Request<()>, Response<()>, Infallible>;

/// A store that writes down who asks, and that answers when the gate is open.
#[derive(Clone)]
struct Spied {
    store: MemoryStore,
    calls: Arc<Mutex<Vec<(&'static str, u64)>>>,
    gate: Arc<Semaphore>,
}

impl Spied {
    fn new(clock: &Clock) -> Self {
        let store = MemoryStore::with(clock.clone(), 1_000);
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { store, calls: Arc::default(), gate }
    }

    /// The units of all calls of this kind.
    fn calls(&self, kind: &str) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(name, _)| *name == kind).map(|(_, units)| *units).collect()
    }

    fn all_calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// No call is answered from now on.
    fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    fn open(&self) {
        self.gate.add_permits(1_000);
    }

    /// Nothing is done from now on.
    fn fail(&self) {
        self.gate.close();
    }

    fn pass<T: Send + 'static>(
        &self,
        kind: &'static str,
        units: u64,
        call: impl FnOnce(MemoryStore) -> BoxFuture<Result<T, StoreError>> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        self.calls.lock().unwrap().push((kind, units));
        let (store, gate) = (self.store.clone(), Arc::clone(&self.gate));
        Box::pin(async move {
            if gate.is_closed() {
                return Err(StoreError::new("the store is down"));
            }
            let answer = call(store).await;
            gate.acquire().await.map_err(StoreError::new)?.forget();
            answer
        })
    }
}

impl Store for Spied {
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>> {
        self.pass("take", demands[0].units(), move |store| store.take(demands))
    }

    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.pass("borrow", demand.units(), move |store| store.borrow(demand))
    }

    fn charge(&self, demands: Vec<Demand>) -> BoxFuture<Result<(), StoreError>> {
        self.pass("charge", demands[0].units(), move |store| store.charge(demands))
    }

    fn refund(&self, demands: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>> {
        let units = demands.iter().map(|(demand, _)| demand.units()).sum();
        self.pass("refund", units, move |store| store.refund(demands))
    }

    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.pass("read", demand.units(), move |store| store.read(demand))
    }

    fn reset(&self, demand: Demand) -> BoxFuture<Result<(), StoreError>> {
        self.pass("reset", demand.units(), move |store| store.reset(demand))
    }

    fn nodes(&self, _: &str, _: Duration) -> BoxFuture<Result<u32, StoreError>> {
        Box::pin(std::future::ready(Ok(2)))
    }
}

/// A node in front of a service that answers 200.
fn node(limits: impl IntoIterator<Item = Limit>, sharing: Sharing, clock: &Clock) -> Door {
    let mut limits = limits.into_iter().map(|it| it.on_store_failure(Fallback::closed()));
    let layer = RateLimitLayer::of(limits.next().unwrap());
    let layer = limits.fold(layer, RateLimitLayer::and).shared(sharing).clock(clock.clone());
    let inside = service_fn(|_| async { Ok::<_, Infallible>(Response::new(())) });
    BoxCloneSyncService::new(layer.layer(inside).map_response(|response| response.map(drop)))
}

/// All clients are one.
fn limit(quota: Quota) -> Limit {
    Limit::new(quota, key::shared())
}

fn leased(store: &Spied) -> Sharing {
    Sharing::leased(store.clone()).sync_interval(ms(500)).max_lease(20)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn pass(time: &ManualClock, duration: Duration) {
    time.advance(duration);
    settle().await;
}

async fn status(door: &Door) -> u16 {
    let response = door.clone().oneshot(Request::new(())).await.unwrap();
    settle().await;
    response.status().as_u16()
}

/// The status, if it needs nobody.
fn at_once(door: &Door) -> Option<u16> {
    Some(door.clone().oneshot(Request::new(())).now_or_never()?.unwrap().status().as_u16())
}

/// How many of so many are admitted.
async fn admitted(door: &Door, requests: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..requests {
        admitted += usize::from(status(door).await == 200);
    }
    admitted
}

#[tokio::test]
async fn ten_thousand_requests_a_second_make_less_than_two_calls_in_a_hundred() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_second(10_000))], Sharing::leased(store.clone()), &clock);
    let mut admitted = 0;
    for _ in 0..2_000 {
        let ten = (0..10).map(|_| door.clone().oneshot(Request::new(())));
        let ten = join_all(ten).await;
        admitted += ten.iter().filter(|it| it.as_ref().unwrap().status() == 200).count();
        pass(&time, ms(1)).await;
    }
    let calls = store.all_calls();
    println!("{admitted} of 20,000 admitted with {calls} calls");
    assert_eq!(admitted, 20_000);
    assert!(calls < 100, "{calls} calls: 0.5 in a hundred");
}

#[tokio::test]
async fn what_is_here_is_spent_without_asking_anybody() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_second(100))], leased(&store), &clock);
    assert_eq!(at_once(&door), None, "the first one waits");
    settle().await;
    assert_eq!(join_all((0..10).map(|_| status(&door))).await, [200; 10]);
    store.close();
    settle().await;
    assert_eq!(at_once(&door), Some(200));
}

#[tokio::test]
async fn all_who_want_a_loan_wait_for_one_call() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_second(100))], leased(&store), &clock);
    store.close();
    let waiting = tokio::spawn(join_all((0..15).map(|_| door.clone().oneshot(Request::new(())))));
    settle().await;
    assert_eq!(store.calls("borrow"), [1]);
    store.open();
    let answers = waiting.await.unwrap();
    assert!(answers.iter().all(|it| it.as_ref().unwrap().status() == 200));
    assert_eq!(store.calls("borrow")[..2], [1, 15], "and then for one for all of them");
}

#[tokio::test]
async fn who_leaves_while_a_loan_is_fetched_leaves_it_to_others() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_second(100))], leased(&store), &clock);
    store.close();
    let gone = tokio::spawn(door.clone().oneshot(Request::new(())));
    settle().await;
    gone.abort();
    store.open();
    settle().await;
    assert_eq!(at_once(&door), Some(200));
    assert_eq!(store.calls("borrow"), [1]);
}

#[tokio::test]
async fn a_crowd_waits_for_two_calls_and_what_it_leaves_goes_back() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let quota = Quota::per_hour(1_000).sliding_log();
    let door = node([limit(quota)], leased(&store), &clock);
    let crowd = || join_all((0..300).map(|_| door.clone().oneshot(Request::new(()))));
    store.close();
    let gone = tokio::spawn(crowd());
    settle().await;
    store.gate.add_permits(1);
    settle().await;
    assert_eq!(store.calls("borrow"), [1, 299], "more than the 20 that a node may hold");
    gone.abort();
    store.open();
    settle().await;
    assert_eq!(store.calls("refund"), [279]);

    let there = crowd().await;
    assert!(there.iter().all(|it| it.as_ref().unwrap().status() == 200));
    drop(door);
    settle().await;
    let other = node([limit(quota)], leased(&store), &clock);
    assert_eq!(admitted(&other, 800).await, 699, "one of those who left had been admitted");
}

#[tokio::test]
async fn who_waits_for_two_slow_calls_waits_no_longer_than_the_deadline() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_hour(1_000))], leased(&store).deadline(ms(50)), &clock);
    store.close();
    let both = tokio::spawn(join_all((0..2).map(|_| door.clone().oneshot(Request::new(())))));
    settle().await;
    pass(&time, ms(40)).await;
    store.gate.add_permits(1);
    settle().await;
    assert_eq!(store.calls("borrow"), [1, 1], "one has its unit, the other waits on");
    pass(&time, ms(9)).await;
    assert!(!both.is_finished());
    pass(&time, ms(1)).await;
    assert!(both.is_finished());
    let answers = both.await.unwrap().into_iter().map(|it| it.unwrap().status().as_u16());
    assert_eq!(answers.collect::<Vec<_>>(), [200, 503]);
}

#[tokio::test]
async fn what_is_not_spent_goes_back_when_the_loan_ends() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let quota = Quota::per_hour(100).sliding_log();
    let (one, other) = (node([limit(quota)], leased(&store), &clock), leased(&store));
    let other = node([limit(quota)], other, &clock);
    assert_eq!(join_all((0..11).map(|_| status(&one))).await, [200; 11]);
    let lent: u64 = store.calls("borrow").iter().sum();
    assert!(lent > 11, "{lent}");
    pass(&time, ms(499)).await;
    assert!(store.calls("refund").is_empty());
    pass(&time, ms(1)).await;
    assert_eq!(store.calls("refund"), [lent - 11]);
    assert_eq!(admitted(&other, 150).await, 89, "of 100");
}

#[tokio::test]
async fn a_node_that_is_shut_down_gives_back_what_it_holds() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let quota = Quota::per_hour(100).sliding_log();
    let one = node([limit(quota)], leased(&store), &clock);
    assert_eq!(join_all((0..11).map(|_| status(&one))).await, [200; 11]);
    drop(one);
    settle().await;
    let lent: u64 = store.calls("borrow").iter().sum();
    assert_eq!(store.calls("refund"), [lent - 11]);
}

#[tokio::test]
async fn a_node_that_crashes_costs_at_most_its_lease() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let quota = Quota::per_hour(100).sliding_log();
    let other = Spied { gate: Arc::new(Semaphore::new(1_000)), ..store.clone() };
    let one = node([limit(quota)], leased(&store), &clock);
    let spent = join_all((0..11).map(|_| status(&one))).await.len();
    store.fail();
    drop(one);
    settle().await;
    let left = admitted(&node([limit(quota)], leased(&other), &clock), 150).await;
    assert!(left < 89, "some is lost");
    assert!(left >= 100 - spent - 20, "{left}");
}

#[tokio::test]
async fn an_offender_costs_no_calls() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_hour(5).sliding_log())], leased(&store), &clock);
    assert_eq!(admitted(&door, 6).await, 5);
    let calls = store.all_calls();
    for _ in 0..1_000 {
        assert_eq!(at_once(&door), Some(429));
    }
    assert_eq!(store.all_calls(), calls);
    // Others may have given something back.
    pass(&time, ms(500)).await;
    assert_eq!(status(&door).await, 429);
    assert_eq!(store.calls("borrow").len(), calls + 1);
}

#[tokio::test]
async fn the_client_is_told_when_the_store_would_have_some() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_hour(2).sliding_log())], leased(&store), &clock);
    assert_eq!(admitted(&door, 2).await, 2);
    for minutes in [60, 59] {
        let refusal = door.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(refusal.headers()["retry-after"], (minutes * 60).to_string());
        assert_eq!(refusal.headers()["ratelimit"], format!(r#""default";r=0;t={}"#, minutes * 60));
        pass(&time, ms(60_000)).await;
    }
}

#[tokio::test]
async fn a_denied_request_spends_from_none() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let wide = limit(Quota::per_hour(10).sliding_log()).name("wide");
    let narrow = limit(Quota::per_hour(3).sliding_log()).name("narrow");
    let both = node([wide.clone(), narrow], leased(&store), &clock);
    assert_eq!(admitted(&both, 50).await, 3);
    drop(both);
    settle().await;
    assert_eq!(admitted(&node([wide], leased(&store), &clock), 50).await, 7);
}

#[tokio::test]
async fn a_limit_that_only_reports_refuses_nobody() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let wide = limit(Quota::per_hour(10).sliding_log()).name("wide");
    let narrow = limit(Quota::per_hour(3).sliding_log()).name("narrow").report_only();
    assert_eq!(admitted(&node([narrow, wide], leased(&store), &clock), 50).await, 10);
}

#[tokio::test]
async fn dear_requests_are_counted_whole() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let dear = limit(Quota::per_hour(10).sliding_log()).cost(|_| 4);
    assert_eq!(admitted(&node([dear], leased(&store), &clock), 9).await, 2);
    // Dearer than a lease may be, and dearer than the quota ever is.
    for (cost, calls, admits) in [(6, "take", 1), (11, "take", 0)] {
        let store = Spied::new(&clock);
        let dear = limit(Quota::per_hour(10).sliding_log()).cost(move |_| cost);
        let door = node([dear], leased(&store).max_lease(5), &clock);
        assert_eq!(admitted(&door, 3).await, admits);
        assert_eq!(store.calls(calls), [cost; 3]);
    }
}

#[tokio::test]
async fn a_cost_of_nothing_is_admitted_where_one_would_be() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let quota = Quota::per_hour(3).sliding_log();
    let free = node([limit(quota).cost(|_| 0)], leased(&store), &clock);
    assert_eq!(admitted(&free, 9).await, 9);
    drop(free);
    settle().await;
    assert_eq!(admitted(&node([limit(quota)], leased(&store), &clock), 9).await, 3);
}

#[tokio::test]
async fn turns_of_a_leaky_bucket_are_given_by_the_store() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let queue = limit(Quota::per_second(10).leaky_bucket(2, 0));
    let door = node([queue], leased(&store), &clock);
    let answers = tokio::spawn(join_all((0..4).map(|_| door.clone().oneshot(Request::new(())))));
    for _ in 0..2 {
        settle().await;
        assert!(!answers.is_finished());
        pass(&time, ms(100)).await;
    }
    let answers = answers.await.unwrap();
    let statuses: Vec<_> = answers.iter().map(|it| it.as_ref().unwrap().status()).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(store.calls("take"), [1; 4]);
}

#[tokio::test]
async fn keys_beyond_the_most_ask_the_store() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let by_name = || Limit::new(Quota::per_hour(3).sliding_log(), key::header("name"));
    let door = node([by_name()], leased(&store).max_leases(2), &clock);
    let ask = async |name: &str| {
        let request = Request::get("/").header("name", name).body(()).unwrap();
        let response = door.clone().oneshot(request).await.unwrap();
        settle().await;
        response.status().as_u16()
    };
    for name in ["a", "b", "c", "c", "c"] {
        assert_eq!(ask(name).await, 200, "{name}");
    }
    assert_eq!(ask("c").await, 429, "never more than its quota");
    assert_eq!((store.calls("borrow").len(), store.calls("take").len()), (2, 4));
    // The others are forgotten when nobody has asked for them for a while.
    pass(&time, ms(500)).await;
    assert_eq!(ask("d").await, 200);
    assert_eq!(store.calls("take").len(), 4);
}

#[tokio::test]
async fn a_loan_that_comes_after_its_life_goes_back_unspent() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let sharing = leased(&store).deadline(Duration::from_secs(60));
    let door = node([limit(Quota::per_hour(100).sliding_log())], sharing, &clock);
    store.close();
    let waiting = tokio::spawn(door.clone().oneshot(Request::new(())));
    settle().await;
    pass(&time, ms(500)).await;
    store.open();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    settle().await;
    assert_eq!(store.calls("refund"), [1]);
    assert_eq!(store.calls("borrow").len(), 2);
}

#[tokio::test]
async fn what_is_here_is_spent_while_the_store_is_down_and_then_the_limit_falls_back() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_second(100))], leased(&store), &clock);
    assert_eq!(join_all((0..11).map(|_| status(&door))).await, [200; 11]);
    let held: u64 = store.calls("borrow").iter().sum::<u64>() - 11;
    store.fail();
    for _ in 0..held {
        assert_eq!(at_once(&door), Some(200));
    }
    assert_eq!(status(&door).await, 503);
    // A lease does not outlive its life for that.
    pass(&time, Duration::from_secs(2)).await;
    assert_eq!(status(&door).await, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_on_many_threads_spend_each_unit_once() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let quota = Quota::per_hour(1_000).sliding_log();
    let nodes = [0; 2].map(|_| node([limit(quota)], leased(&store), &clock));
    let tasks = (0..64).map(|task| {
        let door = nodes[task % 2].clone();
        tokio::spawn(async move { admitted(&door, 50).await })
    });
    let all: usize = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    assert!(all <= 1_000, "{all}");
    assert!(all >= 1_000 - 2 * 20, "{all}");
}

#[test]
fn outside_of_a_runtime_each_request_asks_the_store() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let mut door = node([limit(Quota::per_hour(2).sliding_log())], leased(&store), &clock);
    let mut status = || {
        let answer = door.call(Request::new(())).now_or_never().unwrap();
        answer.unwrap().status().as_u16()
    };
    assert_eq!([status(), status(), status()], [200, 200, 429]);
    assert_eq!(store.calls("take"), [1; 3]);
}

#[test]
fn a_runtime_that_ends_leaves_nothing_locked() {
    let (clock, _) = Clock::manual();
    let store = Spied::new(&clock);
    let door = node([limit(Quota::per_second(100))], leased(&store), &clock);
    store.close();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(at_once(&door), None);
            settle().await;
        });
    }
    assert_eq!(store.calls("borrow").len(), 3, "each asked again");
}

#[test]
fn keys_that_a_runtime_left_behind_are_forgotten_in_the_next() {
    let (clock, time) = Clock::manual();
    let store = Spied::new(&clock);
    let by_name = Limit::new(Quota::per_hour(100).sliding_log(), key::header("name"));
    let door = node([by_name], leased(&store).max_leases(1), &clock);
    let ask = |name: &str| {
        let request = Request::get("/").header("name", name).body(()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(door.clone().oneshot(request).await.unwrap().status(), 200);
            settle().await;
        });
        drop(runtime);
        time.advance(ms(500));
    };
    ask("a");
    ask("b");
    ask("c");
    assert_eq!(store.calls("take").len(), 1, "there was no room for b");
    assert_eq!(store.calls("borrow").len(), 2, "and there was for c");
}
