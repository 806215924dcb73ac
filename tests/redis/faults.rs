//! A Redis that is killed, paused, replaced and robbed of its scripts, in the middle of load: two nodes, a thousand
//! requests a second. Bounds are generous, since the machine may be busy; what was measured is printed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    key,
    rate_limit::{Limit, Quota, RateLimitLayer, RedisStore, Sharing},
};

use crate::redis_server::RedisServer;

/// What a tenant may take in a day, together at both nodes.
const QUOTA: u64 = 40;

/// A quota so large that what is left tells who has decided: a share is half of it.
const LARGE: u64 = 1_000_000_000;

const DEADLINE: Duration = Duration::from_millis(50);
/// Within what the ladder is taken, on a machine that has nothing else to do.
const LADDER: Duration = Duration::from_millis(200);
const SLACK: Duration = Duration::from_millis(950);

/// What became of a request.
#[derive(Clone, Copy, Debug)]
struct Seen {
    tenant: u32,
    sent: Duration,
    took: Duration,
    status: u16,
    /// Whether a share has decided, and not the store.
    share: bool,
}

/// Two nodes under load, until it is stopped.
struct Load {
    start: Instant,
    /// Whose requests are sent.
    tenant: Arc<AtomicU32>,
    driver: tokio::task::JoinHandle<Vec<Seen>>,
    stop: tokio::sync::oneshot::Sender<()>,
}

const BEFORE: u32 = 1;
const DURING: u32 = 2;
const AFTER: u32 = 3;

fn node(server: &RedisServer, name: &str) -> RateLimitLayer {
    let store = RedisStore::connect(server.url()).unwrap();
    let tenant = || key::header("x-tenant");
    let large = Limit::new(Quota::per_day(LARGE), key::shared()).name("large");
    let small = Limit::new(Quota::per_day(QUOTA), tenant()).name("small");
    let sharing = Sharing::exact(store).node(name.to_owned()).deadline(DEADLINE);
    RateLimitLayer::of(large).and(small).shared(sharing)
}

async fn send(layer: RateLimitLayer, tenant: u32, start: Instant) -> Seen {
    let echo = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get("/").header("x-tenant", tenant).body(Full::default()).unwrap();
    let sent = start.elapsed();
    let response = layer.layer(echo).oneshot(request).await.unwrap();
    let took = start.elapsed() - sent;
    let left = |field: &http::HeaderValue| -> Option<u64> {
        let rest = field.to_str().unwrap().strip_prefix(r#""large";r="#)?;
        rest.split(';').next()?.parse().ok()
    };
    let left = response.headers().get_all("ratelimit").iter().find_map(left);
    let share = left.expect("limits say what is left") <= LARGE / 2;
    Seen { tenant, sent, took, status: response.status().as_u16(), share }
}

impl Load {
    async fn begin(server: &RedisServer) -> Self {
        let nodes = [node(server, "a"), node(server, "b")];
        let start = Instant::now();
        // Until both know of each other.
        while start.elapsed() < Duration::from_millis(2_500) {
            for node in &nodes {
                send(node.clone(), 0, start).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let tenant = Arc::new(AtomicU32::new(BEFORE));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let driver = tokio::spawn(drive(nodes, start, Arc::clone(&tenant), stopped));
        Self { start, tenant, driver, stop }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn send_as(&self, tenant: u32) {
        self.tenant.store(tenant, Ordering::Relaxed);
    }

    /// What became of all requests: each was answered, in time, by a yes or a no.
    async fn end(self) -> Vec<Seen> {
        self.stop.send(()).unwrap();
        let seen = self.driver.await.unwrap();
        for it in &seen {
            assert!(matches!(it.status, 200 | 429), "{it:?}");
            assert!(it.took <= DEADLINE + SLACK, "{it:?}");
        }
        let slowest = seen.iter().map(|it| it.took).max().unwrap();
        println!("{} requests, none lost, the slowest in {slowest:?}", seen.len());
        seen
    }
}

/// A request each millisecond, at one node and the other, each a task of its own.
async fn drive(
    nodes: [RateLimitLayer; 2],
    start: Instant,
    tenant: Arc<AtomicU32>,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
) -> Vec<Seen> {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut requests = tokio::task::JoinSet::new();
    for node in nodes.iter().cycle() {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick() => {}
        }
        requests.spawn(send(node.clone(), tenant.load(Ordering::Relaxed), start));
    }
    requests.join_all().await
}

fn admitted(seen: &[Seen], tenant: u32) -> u64 {
    seen.iter().filter(|it| it.tenant == tenant && it.status == 200).count() as u64
}

/// How long no request was sent, of one each millisecond, while the ladder was to be taken: what the machine adds.
fn longest_stall(seen: &[Seen], broken: Duration) -> Duration {
    let near = broken.saturating_sub(LADDER)..broken + 10 * LADDER;
    let mut sent: Vec<_> = seen.iter().map(|it| it.sent).filter(|it| near.contains(it)).collect();
    sent.sort_unstable();
    sent.windows(2).map(|pair| pair[1] - pair[0]).max().expect("requests are sent")
}

/// A fault, and its end a little later, between two probes: what holds whatever the fault is.
async fn survives(
    name: &str,
    mut server: RedisServer,
    fault: impl FnOnce(&mut RedisServer),
    end: impl FnOnce(&mut RedisServer) + Send + 'static,
) {
    let load = Load::begin(&server).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    fault(&mut server);
    let broken = load.now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    load.send_as(DURING);
    tokio::time::sleep(Duration::from_millis(1_450)).await;
    load.send_as(AFTER);
    let ending = load.now();
    let server = tokio::task::spawn_blocking(move || {
        end(&mut server);
        server
    });
    let server = server.await.unwrap();
    let whole = load.now();
    // Enough to see the store back, and to be charged.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    load.send_as(DURING);
    let again = load.now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let seen = load.end().await;
    drop(server);

    let after = |time: Duration| move |it: &&Seen| it.sent + it.took > time;
    let by_share = seen.iter().filter(after(broken)).filter(|it| it.share);
    let taken = by_share.map(|it| it.sent + it.took - broken).min().expect("the ladder is taken");
    let in_outage =
        |it: &&Seen| it.sent > broken + Duration::from_millis(200) && it.sent + it.took < ending;
    let waited = seen.iter().filter(in_outage).filter(|it| it.took > DEADLINE / 2).count();
    let back = seen.iter().filter(after(whole)).filter(|it| !it.share);
    let back =
        back.map(|it| (it.sent + it.took).saturating_sub(whole)).min().expect("it comes back");
    let outage: Vec<_> = seen.iter().filter(in_outage).copied().collect();
    let (during, total) = (admitted(&outage, DURING), admitted(&seen, DURING));
    println!(
        "{name}: ladder within {taken:?}, {waited} of {} waited in the outage, recovery seen within {back:?}; \
         admitted {during} in the outage and {} after it, of {QUOTA}",
        outage.len(),
        total - during,
    );
    let stall = longest_stall(&seen, broken);
    assert!(taken <= LADDER + 2 * stall, "{taken:?}, on a machine that stood still for {stall:?}");
    assert!(outage.iter().all(|it| it.share), "the store is gone");
    assert!(back <= Duration::from_secs(2), "{back:?}");
    assert_eq!(during, QUOTA, "two nodes, half of it each");
    let late: Vec<_> = seen.iter().filter(|it| it.sent > again).collect();
    assert!(late.iter().filter(|it| it.share).count() <= late.len() / 2, "it is back for good");
    // A probe of each node may fly as the server goes on, and is admitted by it.
    assert!(total <= during + 2, "it was charged: {total}");
    assert!(admitted(&seen, BEFORE) <= 2 * QUOTA, "by the store, and by the shares");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_replaced() {
    let server = RedisServer::start();
    survives("killed", server, RedisServer::kill, RedisServer::restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_and_goes_on() {
    let server = RedisServer::start();
    survives("paused", server, |it| it.pause(), |it| it.go_on()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_scripts_are_flushed_is_not_missed() {
    let server = RedisServer::start();
    let load = Load::begin(&server).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.flush_scripts();
    }
    let seen = load.end().await;
    let shares = seen.iter().filter(|it| it.share).count();
    println!("flushed: {shares} of {} decided by shares", seen.len());
    // A machine that stands still for a moment looks like a server that does.
    assert!(shares <= seen.len() / 2);
    assert!(admitted(&seen, BEFORE) <= 2 * QUOTA);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_replaced_at_once() {
    let mut server = RedisServer::start();
    let load = Load::begin(&server).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let server = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    let server = server.await.unwrap();
    let whole = load.now();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let seen = load.end().await;
    drop(server);
    let late = seen.iter().filter(|it| it.sent > whole + Duration::from_secs(2));
    let (late, shares) = (late.clone().count(), late.filter(|it| it.share).count());
    assert!(shares <= late / 2 && late > 0, "it is back");
    let back =
        seen.iter().filter(|it| it.sent > whole && !it.share).map(|it| it.sent - whole).min();
    println!("replaced: back within {back:?}");
    // The old server's, a share at each node, and the new one's until it is charged.
    assert!(admitted(&seen, BEFORE) <= 3 * QUOTA);
}
