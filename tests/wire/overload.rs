//! More than the server has room for, and its end.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_gateway::server::{RequestBody, Server, listen};

use crate::rig::{Rig, soon, statuses};

const HOLD: &[u8] = b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";
const CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_connection_too_many_waits_for_its_place() {
    let rig = Rig::with(|server| server.max_connections(2));
    let mut first = rig.connect().await;
    let mut second = rig.connect().await;
    first.write_all(HOLD).await.unwrap();
    second.write_all(HOLD).await.unwrap();
    rig.until(|rig| rig.seen() == 2).await;
    let mut third = rig.connect().await; // the kernel takes it in
    third.write_all(CLOSE.as_bytes()).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.seen(), 2);
    drop(first);
    let mut answer = String::new();
    soon(third.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(statuses(&answer), [200]);
    drop(second);
}

#[tokio::test]
async fn two_hundred_requests_in_flight_outlive_the_shutdown() {
    let rig = Rig::start();
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut stream = rig.connect().await;
        stream.write_all(HOLD).await.unwrap();
        clients.push(stream);
    }
    rig.until(|rig| rig.seen() == 200).await;
    let (service, addr) = (rig.service.clone(), rig.addr);
    let server = rig.stop();
    soon(async { while tokio::net::TcpStream::connect(addr).await.is_ok() {} }).await;
    service.gate.add_permits(200);
    for mut stream in clients {
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(statuses(&answer) == [200] && answer.ends_with("held"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let drained = soon(server).await.unwrap().unwrap();
    assert_eq!(drained.cut, 0);
    assert!(drained.finished >= 200, "{drained:?}"); // and the probes that found the listener open
}

/// What the kernel has accepted is answered, though the server has not seen it when the shutdown begins.
#[tokio::test]
async fn the_backlog_is_served_before_the_listener_closes() {
    let rig = Rig::start();
    let mut clients: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(rig.addr).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let service = rig.service.clone();
    let drained = soon(rig.stop()).await.unwrap().unwrap();
    assert_eq!(drained.cut, 0);
    assert_eq!(service.seen.load(SeqCst), 50);
    for stream in &mut clients {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(statuses(&answer), [200]);
    }
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let rig = Rig::start();
    let mut busy = rig.connect().await;
    busy.write_all(HOLD).await.unwrap();
    rig.until(|rig| rig.seen() == 1).await;
    let mut idle = rig.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    rig.until(|rig| rig.seen() == 2).await;
    let time = rig.time.clone();
    let server = rig.stop();
    let mut answer = String::new();
    soon(idle.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(statuses(&answer), [200]);
    soon(async {
        while !server.is_finished() {
            time.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    })
    .await;
    let drained = server.await.unwrap().unwrap();
    assert_eq!(drained.cut, 1);
    assert_eq!(soon(busy.read(&mut [0])).await.unwrap_or(0), 0);
}

/// Asks without an async runtime.
fn ask(addr: SocketAddr) -> String {
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.write_all(CLOSE.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn each_core_has_a_service_of_its_own() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let make_service = move || {
        count.fetch_add(1, SeqCst);
        tower::service_fn(|_: Request<RequestBody>| async {
            let core = std::thread::current().name().unwrap_or_default().to_owned();
            Ok::<_, std::convert::Infallible>(Response::new(core))
        })
    };
    let two = NonZeroUsize::new(2).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let cores = Server::new().serve_per_core(any, two, make_service).unwrap();
    let mut answers: Vec<_> =
        (0..64).map(|_| ask(cores.addr()).rsplit("\r\n").next().unwrap().to_owned()).collect();
    answers.sort_unstable();
    answers.dedup();
    assert_eq!(answers, ["gateway-0", "gateway-1"]); // 64 connections, all on one core: 1 in 2^63
    let addr = cores.addr();
    assert_eq!(cores.drain().unwrap().cut, 0);
    assert_eq!(made.load(SeqCst), 2);
    assert!(std::net::TcpStream::connect(addr).is_err());
}

#[test]
fn a_port_that_another_server_has_is_not_shared_with_it() {
    let two = NonZeroUsize::new(2).unwrap();
    let serve = |addr| {
        let make_service = || {
            tower::service_fn(|_: Request<RequestBody>| async {
                Ok::<_, std::convert::Infallible>(Response::new(String::new()))
            })
        };
        Server::new().serve_per_core(addr, two, make_service)
    };
    let first = serve(([127, 0, 0, 1], 0).into()).unwrap();
    for second in [serve(first.addr()).map(drop), listen(first.addr()).map(drop)] {
        let error = second.expect_err("the port is taken");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&first.addr().to_string()), "{error}");
    }
    ask(first.addr());
    let addr = first.addr();
    first.drain().unwrap();
    serve(addr).expect("a restart need not wait");
}

/// OV-05, with the real limit of a real process: the server runs in a child that may open 40 files.
#[cfg(unix)]
#[test]
fn the_server_survives_running_out_of_file_descriptors() {
    const CHILD: &str = "TOWER_GATEWAY_FEW_FILES";
    if std::env::var_os(CHILD).is_some() {
        return serve_until_killed();
    }
    let itself = std::env::current_exe().unwrap();
    let name = "overload::the_server_survives_running_out_of_file_descriptors";
    let mut child = std::process::Command::new("sh")
        .args(["-c", r#"ulimit -n 40; exec "$0" --exact "$1" --nocapture"#])
        .args([itself.as_os_str(), name.as_ref()])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let addr: SocketAddr =
        lines.find_map(|line| line.ok()?.split_once("serves on ")?.1.parse().ok()).unwrap();

    let crowd: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
    std::thread::scope(|scope| {
        let late = scope.spawn(|| ask(addr)); // waits in the backlog
        drop(crowd);
        assert_eq!(statuses(&late.join().unwrap()), [200]);
    });
    assert_eq!(statuses(&ask(addr)), [200]);
    assert!(child.try_wait().unwrap().is_none(), "the server has ended");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn serve_until_killed() {
    let listener = tower_gateway::server::listen(([127, 0, 0, 1], 0).into()).unwrap();
    println!("serves on {}", listener.local_addr().unwrap());
    let hello = tower::service_fn(|_: Request<RequestBody>| async {
        Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
    });
    let served = Server::new().serve(listener, hello, std::future::pending()).await;
    unreachable!("{served:?}");
}
