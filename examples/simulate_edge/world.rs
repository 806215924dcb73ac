//! Points of presence, their clocks, the network between them and the store, and what goes wrong: by hand-moved
//! clocks, one thread and one seed, so that a scenario is the same each time.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};
use tower_gateway::{
    clock::{Clock, ManualClock},
    guard::BoxFuture,
    key,
    rate_limit::{
        Answer, Demand, Fallback, Limit, MemoryStore, Quota, RateLimitLayer, Receipt, Sharing,
        Store, StoreError,
    },
};

/// How the nodes share their limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Exact,
    Leased {
        interval: Duration,
        max_lease: u64,
    },
    /// Each counts for itself.
    Alone,
}

/// A quota, and what the bound has to know of it.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    TokenBucket { rate: u64, burst: u64 },
    SlidingLog { count: u64, period: Duration },
    SlidingWindow { count: u64, period: Duration },
    FixedWindow { count: u64, period: Duration },
}

impl Rule {
    pub fn quota(self) -> Quota {
        match self {
            Self::TokenBucket { rate, burst } => Quota::per_second(rate).burst(burst),
            Self::SlidingLog { count, period } => Quota::per(count, period).sliding_log(),
            Self::SlidingWindow { count, period } => Quota::per(count, period).sliding_window(),
            Self::FixedWindow { count, period } => Quota::per(count, period).fixed_window(),
        }
    }

    /// What the algorithm itself admits in any closed interval of this length: G.
    pub fn admits(self, length: Duration) -> u64 {
        let nanos = length.as_nanos() as u64;
        let periods = |period: Duration| nanos / period.as_nanos() as u64;
        let windows = |period: Duration| nanos.div_ceil(period.as_nanos() as u64) + 1;
        match self {
            Self::TokenBucket { rate, burst } => burst + nanos / 1_000_000_000_u64.div_ceil(rate),
            Self::SlidingLog { count, period } => count * (periods(period) + 1),
            Self::SlidingWindow { count, period } | Self::FixedWindow { count, period } => {
                count * windows(period)
            }
        }
    }

    /// What a key may take in one instant.
    pub fn size(self) -> u64 {
        self.admits(Duration::ZERO)
    }
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub enum Traffic {
    /// So many requests a second, spread over nodes and keys by Zipf's law.
    Steady { per_second: f64 },
    /// Each node is asked `first` at once, nothing for `pause`, and then `flood` at once; and so on. What the bound
    /// is made of: leases are held while the store refills.
    Hoard { first: u64, pause: Duration, flood: u64 },
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Forgets all that it held, and begins anew.
    Crash { node: usize },
    /// Calls of the node fail for so long.
    Partition { node: usize, lasts: Duration },
    /// The store forgets everything.
    Loss,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub mode: Mode,
    pub rule: Rule,
    pub nodes: usize,
    pub keys: usize,
    /// What each request takes.
    pub cost: u64,
    pub traffic: Traffic,
    pub length: Duration,
    pub step: Duration,
    /// There and back.
    pub latency: Duration,
    /// How far the nodes' clocks may run fast or slow, in millionths.
    pub drift: u64,
    pub faults: Vec<(Duration, Fault)>,
}

#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Of each key, when its units were spent, in nanoseconds.
    pub admitted: Vec<Vec<u64>>,
    pub offered: u64,
    pub undecided: u64,
    /// Calls to the store, without heartbeats.
    pub calls: u64,
}

impl Outcome {
    pub fn total(&self) -> u64 {
        self.admitted.iter().map(|times| times.len() as u64).sum()
    }

    /// The most that one key was admitted in any closed interval of this length.
    pub fn most_in(&self, length: Duration) -> u64 {
        self.admitted.iter().map(|times| most_in(times, length)).max().unwrap_or(0)
    }

    pub fn calls_per_request(&self) -> f64 {
        self.calls as f64 / self.offered.max(1) as f64
    }
}

fn most_in(times: &[u64], length: Duration) -> u64 {
    let (mut first, mut most) = (0, 0);
    for (last, time) in times.iter().enumerate() {
        while times[first] + (length.as_nanos() as u64) < *time {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most as u64
}

/// The bound of the guide: what one key is admitted in any closed interval of this length.
pub fn bound(scenario: &Scenario, length: Duration) -> u64 {
    let Scenario { mode, rule, nodes, latency, step, drift, .. } = scenario;
    // What the store granted for one request is admitted when its answer comes.
    let own = |length| rule.admits(length + *latency / 2 + *step);
    let Mode::Leased { interval, max_lease } = *mode else { return own(length) };
    let held = *nodes as u64 * max_lease.min(rule.size());
    // By a clock that runs slow, a lease lasts longer.
    let lives = interval.mul_f64(1.0 / (1.0 - *drift as f64 / 1e6));
    let bound = (own(length) + held).min(own(length).max(rule.admits(length + lives)));
    let losses = scenario.faults.iter().filter(|(_, fault)| matches!(fault, Fault::Loss)).count();
    bound + losses as u64 * (rule.size() + held)
}

/// Splitmix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.word() % (high - low + 1)
    }

    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// A whole number whose mean this is.
    fn count(&mut self, mean: f64) -> u64 {
        mean as u64 + u64::from(self.unit() < mean.fract())
    }
}

/// Which of `weights`, the sums of which are given, a draw from 0 to 1 is.
fn drawn(sums: &[f64], draw: f64) -> usize {
    let draw = draw * sums.last().copied().unwrap_or(1.0);
    sums.partition_point(|sum| *sum < draw).min(sums.len() - 1)
}

fn zipf(places: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let weight = |place| {
        sum += 1.0 / place as f64;
        sum
    };
    (1..=places).map(weight).collect()
}

/// The store as one node sees it, through a network.
struct Wire {
    world: Arc<Shared>,
    /// Until when calls fail, by the world's clock; for ever, for a node that has crashed.
    cut_until: Arc<AtomicU64>,
}

/// What all nodes share.
struct Shared {
    clock: Clock,
    start: std::time::Instant,
    store: Mutex<MemoryStore>,
    latency: Duration,
    calls: AtomicU64,
    undecided: AtomicU64,
    admitted: Mutex<Vec<Vec<u64>>>,
}

impl Shared {
    fn now(&self) -> u64 {
        (self.clock.now() - self.start).as_nanos() as u64
    }

    fn store(&self) -> MemoryStore {
        self.store.lock().unwrap().clone()
    }
}

impl Wire {
    /// There, the call, and back. A cut in either direction is found out half a round trip later.
    fn carry<T: Send + 'static>(
        &self,
        call: impl FnOnce(MemoryStore) -> BoxFuture<Result<T, StoreError>> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        let (world, cut_until) = (Arc::clone(&self.world), Arc::clone(&self.cut_until));
        world.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let cut = || match cut_until.load(Ordering::Relaxed) > world.now() {
                true => Err(StoreError::new("the network is down")),
                false => Ok(()),
            };
            world.clock.sleep(world.latency / 2).await;
            cut()?;
            let answer = call(world.store()).await;
            world.clock.sleep(world.latency / 2).await;
            cut()?;
            answer
        })
    }
}

impl Store for Wire {
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>> {
        self.carry(move |store| store.take(demands))
    }

    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.carry(move |store| store.borrow(demand))
    }

    fn charge(&self, demands: Vec<Demand>) -> BoxFuture<Result<(), StoreError>> {
        self.carry(move |store| store.charge(demands))
    }

    fn refund(&self, demands: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>> {
        self.carry(move |store| store.refund(demands))
    }

    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.carry(move |store| store.read(demand))
    }

    fn reset(&self, demand: Demand) -> BoxFuture<Result<(), StoreError>> {
        self.carry(move |store| store.reset(demand))
    }

    fn nodes(&self, node: &str, lives: Duration) -> BoxFuture<Result<u32, StoreError>> {
        let node = node.to_owned();
        let counted = self.carry(move |store| store.nodes(&node, lives));
        self.world.calls.fetch_sub(1, Ordering::Relaxed);
        counted
    }
}

type Door = BoxCloneService<Request<()>, Response<()>, Infallible>;

struct Node {
    time: ManualClock,
    clock: Clock,
    /// How much its clock moves on in a step.
    step: Duration,
    cut_until: Arc<AtomicU64>,
    door: Door,
}

impl Node {
    fn new(scenario: &Scenario, world: &Arc<Shared>, rng: &mut Rng, name: usize) -> Self {
        let (clock, time) = Clock::manual();
        // Clocks differ by up to a day, and run fast or slow.
        time.advance(Duration::from_secs(rng.between(0, 86_400)));
        let drift = rng.unit() * 2.0 - 1.0;
        let step = scenario.step.mul_f64(1.0 + drift * scenario.drift as f64 / 1e6);
        let cut_until = Arc::new(AtomicU64::new(0));
        let door = door(scenario, world, &clock, &cut_until, name);
        Self { time, clock, step, cut_until, door }
    }

    /// Loses all that it knows: what it would give back on its way out does not arrive.
    fn crash(&mut self, scenario: &Scenario, world: &Arc<Shared>, name: usize) {
        self.cut_until.store(u64::MAX, Ordering::Relaxed);
        self.cut_until = Arc::new(AtomicU64::new(0));
        self.door = door(scenario, world, &self.clock, &self.cut_until, name);
    }
}

/// A real layer, over a service that writes down when it was reached and for which key.
fn door(
    scenario: &Scenario,
    world: &Arc<Shared>,
    clock: &Clock,
    cut_until: &Arc<AtomicU64>,
    name: usize,
) -> Door {
    let wire = Wire { world: Arc::clone(world), cut_until: Arc::clone(cut_until) };
    let sharing = match scenario.mode {
        Mode::Alone => None,
        Mode::Exact => Some(Sharing::exact(wire)),
        Mode::Leased { interval, max_lease } => {
            Some(Sharing::leased(wire).sync_interval(interval).max_lease(max_lease))
        }
    };
    let cost = scenario.cost;
    let limit = Limit::new(scenario.rule.quota(), key::header("key")).cost(move |_| cost);
    let layer = RateLimitLayer::of(limit.on_store_failure(Fallback::closed()));
    let layer = layer.max_keys(1_000).hide_fields().clock(clock.clone());
    let layer = match sharing {
        Some(sharing) => layer.shared(sharing.node(format!("node-{name}"))),
        None => layer,
    };
    let world = Arc::clone(world);
    let inside = service_fn(move |request: Request<()>| {
        let key: usize = request.headers()["key"].to_str().unwrap().parse().unwrap();
        let units = std::iter::repeat_n(world.now(), cost as usize);
        world.admitted.lock().unwrap()[key].extend(units);
        async { Ok::<_, Infallible>(Response::new(())) }
    });
    let inside = layer.layer(inside).map_response(|response| response.map(drop));
    BoxCloneService::new(inside)
}

/// Lets everybody who can go on do so, until all wait for a clock.
async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

/// What comes of a scenario.
pub fn run(scenario: &Scenario) -> Outcome {
    // Whoever can go on does so before the world does.
    let runtime = tokio::runtime::Builder::new_current_thread().event_interval(1 << 30).build();
    runtime.unwrap().block_on(play(scenario))
}

async fn play(scenario: &Scenario) -> Outcome {
    let mut rng = Rng(scenario.seed);
    let (clock, time) = Clock::manual();
    let world = Arc::new(Shared {
        start: clock.now(),
        store: Mutex::new(MemoryStore::with(clock.clone(), 1_000)),
        clock: clock.clone(),
        latency: scenario.latency,
        calls: AtomicU64::new(0),
        undecided: AtomicU64::new(0),
        admitted: Mutex::new(vec![Vec::new(); scenario.keys]),
    });
    let mut nodes: Vec<_> =
        (0..scenario.nodes).map(|name| Node::new(scenario, &world, &mut rng, name)).collect();
    let (of_nodes, of_keys) = (zipf(scenario.nodes), zipf(scenario.keys));
    let mut faults = scenario.faults.clone();
    faults.sort_by_key(|(at, _)| *at);
    let (mut faults, mut offered) = (faults.into_iter().peekable(), 0);
    let mut at = Duration::ZERO;
    while at < scenario.length {
        while let Some((_, fault)) = faults.next_if(|(when, _)| *when <= at) {
            go_wrong(fault, scenario, &world, &mut nodes);
        }
        match scenario.traffic {
            Traffic::Steady { per_second } => {
                for _ in 0..rng.count(per_second * scenario.step.as_secs_f64()) {
                    let node = drawn(&of_nodes, rng.unit());
                    let key = drawn(&of_keys, rng.unit());
                    offered += 1;
                    request(&world, &nodes[node], key);
                }
            }
            Traffic::Hoard { first, pause, flood } => {
                let period = (2 * pause).max(scenario.step);
                let into = Duration::from_nanos((at.as_nanos() % period.as_nanos()) as u64);
                let begins = |when| into >= when && into < when + scenario.step;
                let burst = match () {
                    () if begins(Duration::ZERO) => first,
                    () if begins(pause) => flood,
                    () => 0,
                };
                for node in &nodes {
                    (0..burst).for_each(|_| request(&world, node, 0));
                }
                offered += burst * nodes.len() as u64;
            }
        }
        settle().await;
        at += scenario.step;
        time.advance(scenario.step);
        nodes.iter().for_each(|node| node.time.advance(node.step));
        settle().await;
    }
    let admitted = world.admitted.lock().unwrap().clone();
    Outcome {
        admitted,
        offered,
        undecided: world.undecided.load(Ordering::Relaxed),
        calls: world.calls.load(Ordering::Relaxed),
    }
}

fn go_wrong(fault: Fault, scenario: &Scenario, world: &Arc<Shared>, nodes: &mut [Node]) {
    match fault {
        Fault::Crash { node } => nodes[node].crash(scenario, world, node),
        Fault::Partition { node, lasts } => {
            let until = world.now() + lasts.as_nanos() as u64;
            nodes[node].cut_until.store(until, Ordering::Relaxed);
        }
        Fault::Loss => {
            *world.store.lock().unwrap() = MemoryStore::with(world.clock.clone(), 1_000);
        }
    }
}

fn request(world: &Arc<Shared>, node: &Node, key: usize) {
    let request = Request::get("/").header("key", key).body(()).unwrap();
    let (answer, world) = (node.door.clone().oneshot(request), Arc::clone(world));
    drop(tokio::spawn(async move {
        if answer.await.unwrap().status() == 503 {
            world.undecided.fetch_add(1, Ordering::Relaxed);
        }
    }));
}
