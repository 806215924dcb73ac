//! Limits that nodes share, while their store fails, hangs, lies and comes back.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};
use tower_gateway::{
    body::Body,
    clock::{Clock, ManualClock},
    guard::BoxFuture,
    key,
    rate_limit::{
        Answer, Demand, Fallback, Limit, MemoryStore, Quota, RateLimitLayer, Receipt, Sharing,
        Store, StoreError,
    },
};

use crate::support::{assert_problem, echo, get};

/// How a store behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Well,
    Fails,
    Hangs,
    /// Cannot read what it keeps of the tenant "broken".
    Unreadable,
    /// One answer too few.
    Short,
    /// One answer too many.
    Long,
    Slow(Duration),
}

/// A store in memory that can be broken.
#[derive(Clone)]
struct Stub(Arc<State>);

struct State {
    memory: MemoryStore,
    clock: Clock,
    mode: Mutex<Mode>,
    /// Whether charges fail too, in another mode than `Well`.
    charges_fail: AtomicUsize,
    takes: AtomicUsize,
    /// Decisions that are being made.
    open: Arc<AtomicUsize>,
    charges: Mutex<Vec<(String, u64)>>,
}

/// Counts while it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stub {
    fn new(clock: &Clock) -> Self {
        Self(Arc::new(State {
            memory: MemoryStore::with(clock.clone(), 1_000),
            clock: clock.clone(),
            mode: Mutex::new(Mode::Well),
            charges_fail: AtomicUsize::new(0),
            takes: AtomicUsize::new(0),
            open: Arc::default(),
            charges: Mutex::default(),
        }))
    }

    fn set(&self, mode: Mode) {
        *self.0.mode.lock().unwrap() = mode;
    }

    fn takes(&self) -> usize {
        self.0.takes.load(Ordering::Relaxed)
    }

    fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// What was charged, by key.
    fn charges(&self) -> Vec<(String, u64)> {
        let mut charges = self.0.charges.lock().unwrap().clone();
        charges.sort();
        charges
    }

    fn does<T: Send + 'static>(
        &self,
        well: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        let mode = *self.0.mode.lock().unwrap();
        let clock = self.0.clock.clone();
        Box::pin(async move {
            match mode {
                Mode::Fails => return Err(StoreError::new("connection refused")),
                Mode::Hangs => pending().await,
                Mode::Slow(time) => clock.sleep(time).await,
                Mode::Well | Mode::Short | Mode::Long | Mode::Unreadable => {}
            }
            well.await
        })
    }
}

impl Store for Stub {
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>> {
        self.0.takes.fetch_add(1, Ordering::Relaxed);
        let mode = *self.0.mode.lock().unwrap();
        let memory = self.0.memory.clone();
        let open = Open::new(&self.0.open);
        let answers = self.does(async move {
            let broken = |it: &Demand| it.key().is_some_and(|key| key.ends_with(b"broken"));
            if mode == Mode::Unreadable && demands.iter().any(broken) {
                return Err(StoreError::of_key("garbage"));
            }
            let mut answers = memory.take(demands).await?;
            match mode {
                Mode::Short => drop(answers.pop()),
                Mode::Long => answers.push(Answer::granted(1)),
                _ => {}
            }
            Ok(answers)
        });
        Box::pin(async move {
            let _open = open;
            answers.await
        })
    }

    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.does(self.0.memory.borrow(demand))
    }

    fn charge(&self, demands: Vec<Demand>) -> BoxFuture<Result<(), StoreError>> {
        let state = Arc::clone(&self.0);
        self.does(async move {
            if state.charges_fail.load(Ordering::Relaxed) > 0 {
                state.charges_fail.fetch_sub(1, Ordering::Relaxed);
                return Err(StoreError::new("reset by peer"));
            }
            let name = |it: &Demand| String::from_utf8_lossy(it.key().unwrap()).into_owned();
            let charges = demands.iter().map(|it| (name(it), it.units()));
            state.charges.lock().unwrap().extend(charges);
            state.memory.charge(demands).await
        })
    }

    fn refund(&self, demands: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>> {
        self.does(self.0.memory.refund(demands))
    }

    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.does(self.0.memory.read(demand))
    }

    fn reset(&self, demand: Demand) -> BoxFuture<Result<(), StoreError>> {
        self.does(self.0.memory.reset(demand))
    }

    fn nodes(&self, node: &str, lives: Duration) -> BoxFuture<Result<u32, StoreError>> {
        self.does(self.0.memory.nodes(node, lives))
    }
}

/// A layer over a store, its clock, and a service behind it.
struct Rig {
    store: Stub,
    time: ManualClock,
    clock: Clock,
    layer: RateLimitLayer,
}

type Answered = Response<Body<Full<Bytes>>>;

impl Rig {
    fn new(limits: impl IntoIterator<Item = Limit>) -> Self {
        Self::with(limits, |sharing| sharing)
    }

    fn with(limits: impl IntoIterator<Item = Limit>, set: impl FnOnce(Sharing) -> Sharing) -> Self {
        let (clock, time) = Clock::manual();
        let store = Stub::new(&clock);
        let sharing = set(Sharing::exact(store.clone()));
        let layer = layer(limits, &clock).shared(sharing);
        Self { store, time, clock, layer }
    }

    /// Sends a request and waits, until the deadline if need be.
    async fn send(&self, request: Request<Full<Bytes>>) -> Answered {
        let task = self.spawn(request);
        run().await;
        if !task.is_finished() {
            self.time.advance(Duration::from_millis(50));
        }
        task.await.unwrap()
    }

    fn spawn(&self, request: Request<Full<Bytes>>) -> tokio::task::JoinHandle<Answered> {
        let service = self.layer.layer(echo());
        tokio::spawn(async move { service.oneshot(request).await.unwrap() })
    }

    async fn status(&self) -> u16 {
        self.send(get("/")).await.status().as_u16()
    }

    /// How many of so many requests are admitted.
    async fn admitted(&self, requests: usize) -> usize {
        let mut admitted = 0;
        for _ in 0..requests {
            admitted += usize::from(self.status().await == 200);
        }
        admitted
    }

    /// Lets time pass, in steps of ten milliseconds or a 200th.
    async fn wait(&self, time: Duration) {
        run().await;
        let step = (time / 200).max(Duration::from_millis(10));
        for _ in 0..time.div_duration_f64(step).round() as u32 {
            self.time.advance(step);
            run().await;
        }
    }
}

fn layer(limits: impl IntoIterator<Item = Limit>, clock: &Clock) -> RateLimitLayer {
    let mut limits = limits.into_iter();
    let first = RateLimitLayer::of(limits.next().unwrap());
    limits.fold(first, RateLimitLayer::and).clock(clock.clone())
}

fn limit(quota: Quota) -> Limit {
    Limit::new(quota, key::shared())
}

fn by_tenant(quota: Quota) -> Limit {
    Limit::new(quota, key::header("x-tenant"))
}

fn tenant(name: impl std::fmt::Display) -> Request<Full<Bytes>> {
    let mut request = get("/");
    request.headers_mut().insert("x-tenant", name.to_string().parse().unwrap());
    request
}

/// Whatever can run, does.
async fn run() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_store_that_is_well_decides() {
    let rig = Rig::new([limit(Quota::per_hour(3))]);
    assert_eq!(rig.admitted(5).await, 3);
    assert_eq!((rig.store.takes(), rig.store.open()), (5, 0));
    let other = layer([limit(Quota::per_hour(3))], &rig.clock);
    let other = other.shared(Sharing::exact(rig.store.clone())).layer(echo());
    assert_eq!(other.oneshot(get("/")).await.unwrap().status(), 429);
}

#[tokio::test]
async fn a_node_admits_its_share_while_the_store_fails() {
    for mode in [Mode::Fails, Mode::Hangs, Mode::Short, Mode::Long, Mode::Slow(SECOND)] {
        for (nodes, share) in [(1, 10), (2, 5), (4, 3), (100, 1)] {
            let rig = Rig::new([limit(Quota::per_hour(10))]);
            for node in 1..nodes {
                rig.store.nodes(&format!("node {node}"), MINUTE).await.unwrap();
            }
            // The first request brings the heartbeat.
            assert_eq!(rig.status().await, 200);
            rig.wait(SECOND).await;
            rig.store.set(mode);
            let admitted = rig.admitted(20).await;
            assert_eq!(admitted, share, "{mode:?}, {nodes} nodes");
        }
    }
}

#[tokio::test]
async fn the_last_number_of_nodes_holds_while_the_store_is_gone() {
    let rig = Rig::new([limit(Quota::per_hour(10).sliding_window())]);
    rig.store.nodes("another", 5 * SECOND).await.unwrap();
    rig.status().await;
    rig.store.set(Mode::Fails);
    rig.wait(10 * MINUTE).await;
    assert_eq!(rig.admitted(20).await, 5);
    rig.store.set(Mode::Well);
    rig.wait(2 * SECOND).await;
    rig.status().await;
    rig.wait(2 * SECOND).await;
    rig.store.set(Mode::Fails);
    // The other is silent, so all is this node's: of which it has admitted half.
    assert_eq!(rig.admitted(20).await, 5);
}

#[tokio::test]
async fn a_share_refills_at_its_part_of_the_rate() {
    let rig = Rig::new([limit(Quota::per_minute(60).burst(8))]);
    rig.store.nodes("another", 10 * MINUTE).await.unwrap();
    rig.status().await;
    rig.store.set(Mode::Fails);
    assert_eq!(rig.admitted(20).await, 4);
    rig.wait(2 * SECOND).await;
    assert_eq!(rig.admitted(20).await, 1);
    rig.wait(6 * SECOND).await;
    assert_eq!(rig.admitted(20).await, 3);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_deadline_and_after_a_few_nobody_waits() {
    let rig = Rig::with([limit(Quota::per_second(1_000))], |it| it.deadline(MINUTE / 60 / 5));
    rig.store.set(Mode::Hangs);
    for _ in 0..5 {
        let request = rig.spawn(get("/"));
        rig.wait(Duration::from_millis(190)).await;
        assert!(!request.is_finished());
        rig.wait(Duration::from_millis(10)).await;
        assert_eq!(request.await.unwrap().status(), 200);
    }
    let asked = rig.store.takes();
    for _ in 0..100 {
        let request = rig.spawn(get("/"));
        run().await;
        assert!(request.is_finished(), "the breaker is open");
    }
    assert_eq!((asked, rig.store.takes(), rig.store.open()), (5, 5, 0));
}

#[tokio::test]
async fn one_request_at_a_time_tries_whether_the_store_is_back() {
    let rig = Rig::new([limit(Quota::per_second(1_000))]);
    rig.store.set(Mode::Fails);
    rig.admitted(5).await;
    rig.store.set(Mode::Hangs);
    rig.wait(Duration::from_millis(100)).await;
    let probes: Vec<_> = (0..50).map(|_| rig.spawn(get("/"))).collect();
    run().await;
    assert_eq!(rig.store.takes(), 6);
    assert_eq!(probes.iter().filter(|it| !it.is_finished()).count(), 1);
    rig.wait(Duration::from_millis(50)).await;
    assert!(probes.iter().all(tokio::task::JoinHandle::is_finished));
    // However long it is down, a second later at most it is tried again.
    for _ in 0..20 {
        rig.wait(SECOND).await;
        let before = rig.store.takes();
        rig.admitted(10).await;
        assert_eq!(rig.store.takes(), before + 1);
    }
    rig.store.set(Mode::Well);
    rig.wait(SECOND).await;
    let before = rig.store.takes();
    assert_eq!(rig.admitted(10).await, 10);
    assert_eq!(rig.store.takes(), before + 10, "it is back");
}

#[tokio::test]
async fn an_answer_to_an_old_question_does_not_end_an_outage() {
    let rig = Rig::with([limit(Quota::per_second(1_000))], |it| it.deadline(SECOND));
    rig.store.set(Mode::Slow(SECOND / 20));
    let old = rig.spawn(get("/"));
    run().await;
    rig.store.set(Mode::Fails);
    rig.admitted(5).await;
    rig.wait(SECOND / 20).await;
    assert_eq!(old.await.unwrap().status(), 200);
    let asked = rig.store.takes();
    rig.admitted(3).await;
    assert_eq!(rig.store.takes(), asked, "the last five calls failed");
}

#[tokio::test]
async fn a_probe_whose_client_leaves_locks_nobody_out() {
    let rig = Rig::new([limit(Quota::per_second(1_000))]);
    rig.store.set(Mode::Fails);
    rig.admitted(5).await;
    rig.store.set(Mode::Hangs);
    rig.wait(Duration::from_millis(100)).await;
    let probe = rig.spawn(get("/"));
    run().await;
    assert_eq!(rig.store.open(), 1);
    probe.abort();
    run().await;
    assert_eq!(rig.store.open(), 0, "the call is dropped with its request");
    rig.store.set(Mode::Well);
    rig.wait(Duration::from_millis(100)).await;
    let before = rig.store.takes();
    rig.admitted(3).await;
    assert_eq!(rig.store.takes(), before + 3);
}

#[tokio::test]
async fn a_single_failure_does_not_stop_the_asking() {
    let rig = Rig::new([limit(Quota::per_second(1_000))]);
    for _ in 0..20 {
        rig.store.set(Mode::Fails);
        assert_eq!(rig.admitted(4).await, 4);
        rig.store.set(Mode::Well);
        assert_eq!(rig.admitted(1).await, 1);
    }
    assert_eq!(rig.store.takes(), 100);
}

#[tokio::test]
async fn no_more_calls_are_open_than_agreed_and_the_rest_falls_back_at_once() {
    let rig = Rig::with([limit(Quota::per_second(1_000))], |it| it.max_in_flight(8));
    rig.store.set(Mode::Slow(Duration::from_millis(40)));
    let requests: Vec<_> = (0..100).map(|_| rig.spawn(get("/"))).collect();
    run().await;
    assert_eq!((rig.store.takes(), rig.store.open()), (8, 8));
    assert_eq!(requests.iter().filter(|it| it.is_finished()).count(), 92);
    rig.wait(Duration::from_millis(40)).await;
    for request in requests {
        assert_eq!(request.await.unwrap().status(), 200);
    }
    // Being busy is no failure: the next asks again. And nobody's place is lost, least of all by those who leave.
    rig.store.set(Mode::Hangs);
    let leaving: Vec<_> = (0..8).map(|_| rig.spawn(get("/"))).collect();
    run().await;
    assert_eq!((rig.store.takes(), rig.store.open()), (16, 8));
    leaving.iter().for_each(tokio::task::JoinHandle::abort);
    run().await;
    rig.store.set(Mode::Well);
    assert_eq!(rig.admitted(8).await, 8);
    assert_eq!((rig.store.takes(), rig.store.open()), (24, 0));
}

#[tokio::test]
async fn a_closed_limit_is_unavailable_and_not_exceeded() {
    let rig = Rig::new([limit(Quota::per_hour(9)).on_store_failure(Fallback::closed())]);
    rig.store.set(Mode::Fails);
    for _ in 0..10 {
        let response = rig.send(get("/")).await;
        assert_eq!(response.headers()["retry-after"], "1");
        let problem = assert_problem(response, 503, "unavailable").await;
        assert!(!problem.to_string().contains("refused"), "{problem}");
    }
    let mut call = get("/pkg.Svc/M");
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = rig.send(call).await;
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(SECOND));
}

#[tokio::test]
async fn a_limit_that_was_replaced_while_its_store_hung_admits_nobody() {
    let (clock, time) = Clock::manual();
    let store = Stub::new(&clock);
    let both = [limit(Quota::per_hour(9)), limit(Quota::per_hour(9)).name("other")];
    let layer = layer(both, &clock).shared(Sharing::exact(store.clone()));
    store.set(Mode::Hangs);
    let request = tokio::spawn(layer.layer(echo()).oneshot(get("/")));
    run().await;
    layer.handle().replace([limit(Quota::per_hour(9))]);
    time.advance(SECOND);
    assert_problem(request.await.unwrap().unwrap(), 503, "unavailable").await;
}

#[tokio::test]
async fn an_open_limit_admits_all_and_promises_nothing() {
    let rig = Rig::new([limit(Quota::per_hour(9)).on_store_failure(Fallback::open())]);
    rig.store.set(Mode::Fails);
    assert_eq!(rig.admitted(100).await, 100);
    let response = rig.send(get("/")).await;
    assert_eq!(response.headers()["ratelimit-policy"], r#""default";q=9;w=3600"#);
    assert!(response.headers()["ratelimit"].to_str().unwrap().contains("r=0;"));
}

#[tokio::test]
async fn a_fallback_lasts_as_long_as_was_said_and_begins_anew_with_each_outage() {
    let then = [
        (Fallback::local_share().at_most(MINUTE).then_open(), [200, 200]),
        (Fallback::local_share().at_most(MINUTE).then_closed(), [503, 503]),
    ];
    for (fallback, after) in then {
        let rig = Rig::new([limit(Quota::per_day(2)).on_store_failure(fallback)]);
        rig.store.set(Mode::Fails);
        assert_eq!([rig.status().await, rig.status().await, rig.status().await], [200, 200, 429]);
        rig.wait(MINUTE - SECOND).await;
        assert_eq!(rig.status().await, 429);
        rig.wait(SECOND).await;
        assert_eq!([rig.status().await, rig.status().await], after);
        rig.store.set(Mode::Well);
        rig.wait(SECOND).await;
        rig.status().await;
        rig.store.set(Mode::Fails);
        assert_eq!(rig.status().await, 429, "a new outage, and a share that is spent");
    }
}

#[tokio::test]
async fn limits_fall_back_each_by_its_own_choice_and_all_together() {
    let share = || limit(Quota::per_hour(4)).name("share");
    let open = || limit(Quota::per_hour(1)).name("open").on_store_failure(Fallback::open());
    let closed = || limit(Quota::per_hour(9)).name("closed").on_store_failure(Fallback::closed());

    let rig = Rig::new([share(), open()]);
    rig.store.set(Mode::Fails);
    assert_eq!(rig.admitted(10).await, 4, "the share refuses, whatever is open");
    let problem = assert_problem(rig.send(get("/")).await, 429, "rate-limited").await;
    assert_eq!(problem["violated-policies"], serde_json::json!(["share"]));

    let rig = Rig::new([share(), closed(), open()]);
    rig.store.set(Mode::Fails);
    assert_eq!(rig.status().await, 503, "one that is closed is enough");
    rig.store.set(Mode::Well);
    rig.wait(2 * SECOND).await;
    assert_eq!(rig.status().await, 200);
    rig.wait(2 * SECOND).await;
    assert!(rig.store.charges().is_empty(), "a refused request takes from none");
}

#[tokio::test]
async fn a_share_that_refuses_spends_from_no_other() {
    let rig = Rig::new([by_tenant(Quota::per_hour(5)).name("tenant"), limit(Quota::per_hour(2))]);
    rig.store.set(Mode::Fails);
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(rig.send(tenant("a")).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429, 429, 429]);
    let refused = rig.send(tenant("a")).await;
    let fields: Vec<_> = refused.headers().get_all("ratelimit").iter().collect();
    assert_eq!(fields[0], r#""tenant";r=3;t=1440"#);
}

#[tokio::test]
async fn a_limit_that_only_reports_refuses_nobody_in_an_outage() {
    for fallback in [Fallback::local_share(), Fallback::closed(), Fallback::open()] {
        let reporting = limit(Quota::per_hour(1)).report_only().on_store_failure(fallback);
        let rig = Rig::new([reporting]);
        rig.store.set(Mode::Fails);
        assert_eq!(rig.admitted(10).await, 10, "{fallback:?}");
    }
}

#[tokio::test]
async fn what_was_admitted_in_an_outage_is_charged_once_when_the_store_is_back() {
    let rig = Rig::new([by_tenant(Quota::per_day(10))]);
    rig.store.nodes("another", 10 * MINUTE).await.unwrap();
    rig.send(tenant("warm")).await;
    rig.store.set(Mode::Fails);
    for (name, requests) in [("a", 3), ("b", 9)] {
        for _ in 0..requests {
            rig.send(tenant(name)).await;
        }
    }
    rig.store.set(Mode::Well);
    for _ in 0..3 {
        rig.wait(SECOND).await;
        rig.send(tenant("warm")).await;
    }
    let charged = |charges: Vec<(String, u64)>| -> Vec<u64> {
        charges.into_iter().map(|(_, units)| units).collect()
    };
    assert_eq!(
        charged(rig.store.charges()),
        [3, 5],
        "of each key, once: {:?}",
        rig.store.charges()
    );
    let response = rig.send(tenant("a")).await;
    assert!(response.headers()["ratelimit"].to_str().unwrap().contains("r=6;"));

    // A second outage owes what is new in it.
    rig.store.set(Mode::Fails);
    for _ in 0..3 {
        rig.send(tenant("a")).await;
    }
    rig.store.set(Mode::Well);
    for _ in 0..3 {
        rig.wait(SECOND).await;
        rig.send(tenant("warm")).await;
    }
    assert_eq!(charged(rig.store.charges()), [2, 3, 5], "the share of 5 had 2 left");
}

#[tokio::test]
async fn what_has_refilled_meanwhile_is_owed_no_more() {
    let rig = Rig::new([by_tenant(Quota::per_minute(60).burst(60))]);
    rig.store.set(Mode::Fails);
    for minute in 0..10 {
        for _ in 0..10 {
            assert_eq!(rig.send(tenant("a")).await.status(), 200, "minute {minute}");
        }
        rig.wait(MINUTE).await;
    }
    for _ in 0..10 {
        rig.send(tenant("a")).await;
    }
    rig.wait(5 * SECOND).await;
    rig.store.set(Mode::Well);
    rig.send(tenant("warm")).await;
    rig.wait(SECOND).await;
    let units: Vec<u64> = rig.store.charges().into_iter().map(|(_, units)| units).collect();
    assert!(matches!(units[..], [4 | 5]), "of 110, what a bucket would remember: {units:?}");
}

#[tokio::test]
async fn an_open_limit_charges_a_quota_at_most() {
    let rig = Rig::new([by_tenant(Quota::per_day(5)).on_store_failure(Fallback::open())]);
    rig.store.set(Mode::Fails);
    for _ in 0..100 {
        rig.send(tenant("a")).await;
    }
    rig.store.set(Mode::Well);
    rig.wait(SECOND).await;
    rig.send(tenant("warm")).await;
    rig.wait(SECOND).await;
    assert_eq!(rig.store.charges().iter().map(|it| it.1).collect::<Vec<_>>(), [5]);
}

#[tokio::test]
async fn keys_are_remembered_up_to_the_bound_and_charged_in_batches() {
    let rig = Rig::with([by_tenant(Quota::per_day(5))], |it| it.max_debtors(250));
    rig.store.set(Mode::Fails);
    for n in 0..400 {
        assert_eq!(rig.send(tenant(n)).await.status(), 200);
    }
    rig.store.set(Mode::Well);
    rig.wait(SECOND).await;
    rig.send(tenant("warm")).await;
    run().await;
    // Within half a second, and then with a pause after each hundred.
    let mut sizes = Vec::new();
    for _ in 0..60 {
        rig.wait(Duration::from_millis(10)).await;
        sizes.push(rig.store.charges().len());
    }
    sizes.dedup();
    sizes.retain(|it| *it > 0);
    assert_eq!(sizes, [100, 200, 250]);
}

#[tokio::test]
async fn a_charge_that_fails_is_made_again() {
    let rig = Rig::new([by_tenant(Quota::per_day(5))]);
    rig.store.set(Mode::Fails);
    for name in ["a", "b", "b"] {
        rig.send(tenant(name)).await;
    }
    for _ in 0..5 {
        rig.send(tenant("a")).await;
    }
    rig.store.set(Mode::Well);
    rig.store.0.charges_fail.store(2, Ordering::Relaxed);
    for _ in 0..8 {
        rig.wait(SECOND).await;
        rig.send(tenant("warm")).await;
    }
    assert_eq!(rig.store.charges().iter().map(|it| it.1).collect::<Vec<_>>(), [5, 2]);
}

#[tokio::test]
async fn requests_that_leave_leak_nothing() {
    let rig = Rig::with([limit(Quota::per_hour(5))], |it| it.max_in_flight(2));
    rig.store.set(Mode::Hangs);
    for _ in 0..50 {
        let mut service = rig.layer.layer(echo());
        let mut future: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(service.call(get("/")));
        let waits = futures_util::poll!(&mut future).is_pending();
        assert!(waits, "there was a place for each");
    }
    run().await;
    assert_eq!(rig.store.open(), 0);
    rig.store.set(Mode::Well);
    assert_eq!(rig.admitted(10).await, 5);
}

#[tokio::test]
async fn a_layer_that_is_gone_says_no_more_that_it_lives() {
    let rig = Rig::with([limit(Quota::per_hour(5))], |it| it.node("this"));
    rig.status().await;
    rig.wait(3 * SECOND).await;
    let Rig { store, time, layer, clock, .. } = rig;
    assert_eq!(store.nodes("other", MINUTE).await.unwrap(), 2);
    drop(layer);
    for _ in 0..10 {
        time.advance(SECOND);
        run().await;
    }
    assert_eq!(store.nodes("other", MINUTE).await.unwrap(), 1);
    drop(clock);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_no_outage_for_others() {
    let rig = Rig::new([by_tenant(Quota::per_hour(8)).on_store_failure(Fallback::closed())]);
    rig.store.set(Mode::Unreadable);
    for n in 0..20 {
        assert_eq!(rig.send(tenant("broken")).await.status(), 503, "{n}");
    }
    for n in 0..8 {
        assert_eq!(rig.send(tenant("well")).await.status(), 200, "{n}");
    }
    assert_eq!(rig.send(tenant("well")).await.status(), 429);
    assert_eq!(rig.store.takes(), 29, "each has asked");
}
