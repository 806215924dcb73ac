//! Four nodes, each a process of its own, under one limit.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use tower_gateway::{
    clock::Clock,
    rate_limit::{Quota, RedisStore},
};

use crate::{patient, redis_server::RedisServer, take};

/// The variables by which the test tells its copies what to do: the server, the limit, the clock, how long.
const NODE: [&str; 4] = ["NODE_REDIS", "NODE_QUOTA", "NODE_UNIX_MS", "NODE_ATTEMPTS_MS"];

const PERIOD: Duration = Duration::from_secs(10);

fn quota(name: &str) -> Quota {
    let quota = Quota::per(1_000, PERIOD);
    match name {
        "log" => quota.sliding_log(),
        "window" => quota.sliding_window(),
        "fixed" => quota.fixed_window(),
        _ => quota.burst(1_000),
    }
}

/// What one node does: takes what it can, and prints each receipt. Does nothing unless a test has started it so.
#[tokio::test]
async fn node() {
    let [Ok(url), Ok(name), Ok(unix), Ok(time)] = NODE.map(std::env::var) else { return };
    let mut store = patient(RedisStore::connect(url).unwrap());
    if let Ok(unix) = unix.parse() {
        let (clock, time) = Clock::manual();
        time.set_unix(Duration::from_millis(unix));
        store = store.our_time(clock);
    }
    let clock = Clock::system();
    let end = clock.now() + Duration::from_millis(time.parse().unwrap());
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (store, clock, quota) = (store.clone(), clock.clone(), quota(&name));
            tokio::spawn(async move {
                let mut receipts = Vec::new();
                while clock.now() < end {
                    let answer = take(&store, b"alice", quota).await.unwrap();
                    receipts.extend(answer.units().map(|_| answer.receipt().word()));
                }
                receipts
            })
        })
        .collect();
    for call in calls {
        for receipt in call.await.unwrap() {
            println!("\nadmitted {receipt}");
        }
    }
}

/// The receipts of four nodes together, by these clocks; the server's, for `None`.
fn admitted(
    server: &RedisServer,
    quota: &str,
    clocks: [Option<u64>; 4],
    time: Duration,
) -> Vec<u64> {
    let nodes = clocks.map(|unix| {
        let clock = unix.map_or("server".to_owned(), |unix| unix.to_string());
        let settings = [server.url(), quota.to_owned(), clock, time.as_millis().to_string()];
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::node", "--nocapture"])
            .envs(NODE.into_iter().zip(settings))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let mut receipts = Vec::new();
    for node in nodes {
        let output = node.wait_with_output().unwrap();
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        let words = said.lines().filter_map(|line| line.strip_prefix("admitted "));
        receipts.extend(words.map(|word| word.parse::<u64>().unwrap()));
    }
    receipts.sort_unstable();
    receipts
}

#[test]
fn four_processes_never_admit_more_than_the_quota_in_any_period() {
    let server = RedisServer::start();
    let receipts = admitted(&server, "log", [None; 4], PERIOD + Duration::from_secs(2));
    let period = PERIOD.as_nanos() as u64;
    let in_period =
        |first: &u64| receipts.iter().filter(|&it| (*first..*first + period).contains(it)).count();
    let most = receipts.iter().map(in_period).max().unwrap();
    println!("admitted {} in 12 s, and at most {most} in any 10 s", receipts.len());
    assert_eq!(most, 1_000);
    assert!(receipts.len() > 1_000, "the second period has begun");
}

#[test]
fn four_processes_with_clocks_five_seconds_apart_admit_the_quota() {
    let unix = 2_000_000_002_000;
    let clocks = [0, 0, 5_000, 5_000].map(|ahead| Some(unix + ahead));
    for quota in ["log", "window", "fixed", "bucket"] {
        let server = RedisServer::start();
        let count = admitted(&server, quota, clocks, Duration::from_millis(800)).len();
        println!("{quota}: admitted {count}");
        // A bucket refills by the clock that is ahead: five seconds' worth.
        let bound = if quota == "bucket" { 1_000..=1_500 } else { 1_000..=1_000 };
        assert!(bound.contains(&count), "{quota}: {count}");
    }
}
