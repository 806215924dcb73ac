//! What the edge gateway costs beside a bare hyper-to-hyper proxy: CPU per request, as a ratio in one run.
//!
//! `cargo bench --bench stack --all-features [-- ROUNDS [REQUESTS]]`
//!
//! Each part is a process of its own: an upstream, the proxy under test, and a load of 64 keep-alive
//! connections. Proxies run one current-thread runtime, pinned to core 0 (upstream and load to core 1) where
//! `taskset` is at hand. Floor and gateway take turns, and their CPU time is the kernel's account of their
//! threads, so that noise of the machine hits both alike.

use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming, client::conn::http1 as client, server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use tower::ServiceBuilder;
use tower_gateway::{
    auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    client_ip::ClientIpLayer,
    key,
    rate_limit::{Limit, Quota, RateLimitLayer},
    route::{RouteLayer, Routes},
    server::{Server, listen},
    upstream::Upstream,
};

#[path = "../examples/support/token.rs"]
mod token;

/// As in the example; floor and gateway alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECRET: &[u8] = b"a secret of at least 32 octets, for this bench only";
const CONNECTIONS: usize = 64;
const CONTENT: &str = r#"{"service":"users","users":[{"id":1,"name":"Ada Lovelace","team":"engines"},{"id":2,"name":"Grace Hopper","team":"compilers"},{"id":3,"name":"Barbara Liskov","team":"types"}]}"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["upstream"] => current_thread().block_on(upstream()),
        ["floor", origin] => current_thread().block_on(floor(origin.parse().unwrap())),
        ["gateway", origin] => current_thread().block_on(gateway(origin)),
        ["load", target, requests] => {
            current_thread().block_on(load(target.parse().unwrap(), requests.parse().unwrap()));
        }
        [] => compare(5, 40_000),
        [rounds] => compare(rounds.parse().unwrap(), 40_000),
        [rounds, requests] => compare(rounds.parse().unwrap(), requests.parse().unwrap()),
        _ => panic!("usage: stack [ROUNDS [REQUESTS]]"),
    }
}

fn current_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

// === the comparison ===

fn compare(rounds: usize, requests: u64) {
    let origin = Process::start(1, &["upstream"]);
    let floor = Process::start(0, &["floor", &origin.address]);
    let gateway = Process::start(0, &["gateway", &format!("http://{}", origin.address)]);

    println!("CPU µs per request, {CONNECTIONS} connections, {requests} requests a round");
    println!("{:>8} {:>10} {:>10} {:>8}", "round", "floor", "gateway", "ratio");
    let mut ratios = Vec::new();
    let mut best = [f64::INFINITY; 2];
    for round in 0..=rounds {
        let costs = [&floor, &gateway].map(|proxy| proxy.cost_of(requests));
        if round == 0 {
            continue; // warms up
        }
        let ratio = costs[1] / costs[0];
        println!("{round:>8} {:>10.2} {:>10.2} {ratio:>8.3}", costs[0], costs[1]);
        ratios.push(ratio);
        best = [best[0].min(costs[0]), best[1].min(costs[1])];
    }
    ratios.sort_by(f64::total_cmp);
    println!("{:>8} {:>10.2} {:>10.2} {:>8.3}", "min", best[0], best[1], best[1] / best[0]);
    println!("median ratio {:.3}", ratios[ratios.len() / 2]);
}

/// A part in a process of its own, which told its address.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(core: usize, role: &[&str]) -> Self {
        let mut child = pinned(core, role).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned() }
    }

    /// µs of CPU that this process spends on a request, over so many.
    fn cost_of(&self, requests: u64) -> f64 {
        let before = self.cpu();
        let load = pinned(1, &["load", &self.address, &requests.to_string()]).status().unwrap();
        assert!(load.success(), "every request is answered with 200");
        (self.cpu() - before).as_secs_f64() * 1e6 / requests as f64
    }

    /// Time on a CPU, over all threads: the first field of each thread's `schedstat`, in ns.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let on_cpu = tasks.map(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
            stat.map_or(0, |stat| stat.split(' ').next().unwrap().parse().unwrap())
        });
        Duration::from_nanos(on_cpu.sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program in a role, on one core where that can be had.
fn pinned(core: usize, role: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match Command::new("taskset").arg("--version").output() {
        Ok(_) => Command::new("taskset"),
        Err(_) => Command::new("env"),
    };
    if command.get_program() == "taskset" {
        command.args(["-c", &core.to_string()]);
    }
    command.arg(program).args(role);
    command
}

fn tell(listener: &TcpListener) {
    println!("{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
}

// === the parts ===

async fn upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell(&listener);
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let answer = service_fn(|_: Request<Incoming>| async {
            let response = Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from(CONTENT)).unwrap())
        });
        tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(socket), answer));
    }
}

/// The least that a proxy over hyper can do: a connection upstream for each connection that comes in.
async fn floor(origin: SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell(&listener);
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let upstream = TcpStream::connect(origin).await.unwrap();
            upstream.set_nodelay(true).unwrap();
            let (sender, connection) = client::handshake(TokioIo::new(upstream)).await.unwrap();
            tokio::spawn(connection);
            let sender = Arc::new(tokio::sync::Mutex::new(sender));
            let forward = service_fn(move |request: Request<Incoming>| {
                let sender = Arc::clone(&sender);
                async move {
                    let mut sender = sender.lock().await;
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            });
            let _ = server::Builder::new().serve_connection(TokioIo::new(socket), forward).await;
        });
    }
}

/// The edge gateway of the example: limit by address, token (HS256), route, upstream.
async fn gateway(origin: &str) {
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    println!("{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    let upstream = Upstream::new(origin).unwrap().x_forwarded();
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let issuer = Issuer::new("https://id.example", keys).audience("api");
    let quota = Quota::per_second(1_000_000_000); // counted and never reached
    let service = ServiceBuilder::new()
        .layer(ClientIpLayer::direct())
        .layer(RateLimitLayer::of(Limit::new(quota, key::client_ip()).name("per-client")))
        .layer(JwtLayer::new(issuer).unwrap().forward_claim("sub", "x-auth-sub").unwrap())
        .layer(RouteLayer::new(Routes::new().prefix("/v1/users", upstream.clone())).unwrap())
        .service(upstream);
    Server::new().serve(listener, service, std::future::pending()).await.unwrap();
}

async fn load(target: SocketAddr, requests: u64) {
    let claims =
        r#"{"iss":"https://id.example","aud":"api","sub":"ada","iat":1700000000,"exp":4102444800}"#;
    let token = format!("Bearer {}", token::hs256(SECRET, claims));
    let clients = (0..CONNECTIONS).map(|_| {
        let token = token.clone();
        tokio::spawn(async move {
            let socket = TcpStream::connect(target).await.unwrap();
            socket.set_nodelay(true).unwrap();
            let (mut sender, connection) = client::handshake(TokioIo::new(socket)).await.unwrap();
            tokio::spawn(connection);
            for _ in 0..requests / CONNECTIONS as u64 {
                let request = Request::get("/v1/users/7")
                    .header("host", "api.example")
                    .header("user-agent", "stack/1.0")
                    .header("accept", "application/json")
                    .header("authorization", &token)
                    .body(Full::<Bytes>::default())
                    .unwrap();
                let response = sender.send_request(request).await.unwrap();
                assert_eq!(response.status(), 200);
                response.into_body().collect().await.unwrap();
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}
