//! A server that is paused, killed, restarted, full, read-only or mad: always an answer or an error, and in time.

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tower_gateway::rate_limit::{Demand, Quota, RedisStore, Store};

use crate::{patient, redis_server::RedisServer, take, take_when_it_answers};

/// Far more than 50 ms, for a machine that has other things to do.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_flushed_under_load_fail_no_request() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let load: Vec<_> = (0..16_u8)
        .map(|client| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    take(&store, &[client], Quota::per_day(1_000)).await.unwrap();
                }
                take(&store, &[client], Quota::per_day(1_000)).await.unwrap().remaining()
            })
        })
        .collect();
    while !load.iter().all(tokio::task::JoinHandle::is_finished) {
        server.flush_scripts();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for client in load {
        assert_eq!(client.await.unwrap(), 799);
    }
}

#[tokio::test]
async fn a_paused_server_costs_no_more_than_the_time_limit_and_answers_nobody_else() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).unwrap();
    let quota = Quota::per_day(100);
    take_when_it_answers(&store, b"alice", quota).await;
    server.pause();
    let begin = Instant::now();
    for _ in 0..3 {
        let error = take(&store, b"alice", quota).await.unwrap_err();
        assert!(error.to_string().contains("in time"), "{error}");
    }
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    server.go_on();
    // Late answers about alice have gone nowhere.
    let bob = take_when_it_answers(&store, b"bob", Quota::per_day(7)).await;
    assert!(bob.remaining() < 7);
}

#[tokio::test]
async fn a_dropped_call_leaves_its_answer_to_nobody() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    take(&store, b"warm", Quota::per_day(1)).await.unwrap();
    for round in 0..200_u32 {
        let dropped = take(&store, b"alice", Quota::per_day(1_000_000));
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(round % 50)), dropped).await;
        let answer = take(&store, &round.to_be_bytes(), Quota::per_day(7)).await.unwrap();
        assert_eq!(answer.remaining(), 6, "round {round}");
    }
}

/// Leads to the server, until it is told that what has come so far leads nowhere any more.
async fn proxy(to: String) -> (String, watch::Sender<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let (cut, cuts) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, mut cuts) = (to.clone(), cuts.clone());
            cuts.mark_unchanged();
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    _ = cuts.changed() => std::future::pending().await, // open, and silent
                }
            });
        }
    });
    (address, cut)
}

#[tokio::test]
async fn a_connection_that_has_gone_silent_is_replaced_even_if_callers_lose_patience_first() {
    let server = RedisServer::start();
    let (address, cut) = proxy(server.url().trim_start_matches("redis://").to_owned()).await;
    let store = RedisStore::connect(address).unwrap();
    take_when_it_answers(&store, b"alice", Quota::per_day(9)).await;
    cut.send_replace(());
    let begin = Instant::now();
    let impatient = Duration::from_millis(20);
    while !matches!(
        tokio::time::timeout(impatient, take(&store, b"alice", Quota::per_day(9))).await,
        Ok(Ok(_))
    ) {
        assert!(begin.elapsed() < SOON, "it asks the silent one for ever");
    }
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_used_again() {
    let mut server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let quota = Quota::per_day(2);
    take(&store, b"alice", quota).await.unwrap();
    server.kill();
    for _ in 0..20 {
        assert!(take(&store, b"alice", quota).await.is_err());
    }
    server.restart();
    let answer = take_when_it_answers(&store, b"alice", quota).await;
    assert_eq!(answer.remaining(), 1, "what was not written is forgotten");
}

#[tokio::test]
async fn nobody_there_is_an_error_and_no_wait() {
    let store = RedisStore::connect("redis://127.0.0.1:1").unwrap();
    let begin = Instant::now();
    for _ in 0..50 {
        take(&store, b"alice", Quota::per_day(1)).await.unwrap_err();
    }
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn what_another_program_has_put_there_is_an_error() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    for quota in [Quota::per_day(9), Quota::per_day(9).sliding_log(), Quota::per_calendar_day(9)] {
        server.command("FLUSHALL");
        take(&store, b"alice", quota).await.unwrap();
        let [key] = &server.keys()[..] else { panic!("one key") };
        let replace = [
            vec![&b"LPUSH"[..], key.as_bytes(), b"mine"],
            vec![b"SET", key.as_bytes(), b"mine"],
            vec![b"SET", key.as_bytes(), &[0xff; 28]],
            vec![
                b"HSET",
                key.as_bytes(),
                b"head",
                b"0",
                b"next",
                b"9007199254740992",
                b"used",
                b"1",
            ],
            vec![b"HSET", key.as_bytes(), b"head", b"x"],
        ];
        for words in replace {
            server.command(&format!("DEL {key}"));
            server.send(&words).unwrap();
            let error = take(&store, b"alice", quota).await.unwrap_err();
            let error = error.to_string();
            assert!(error.contains("WRONGTYPE") || error.contains("GARBAGE"), "{error}");
        }
        server.command(&format!("DEL {key}"));
        assert_eq!(take(&store, b"alice", quota).await.unwrap().remaining(), 8);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_an_error() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let quota = Quota::per_day(1_000);
    take(&store, b"alice", quota).await.unwrap();
    server.command("CONFIG SET maxmemory 1");
    let full = take(&store, b"alice", quota).await.unwrap_err();
    assert!(full.to_string().contains("OOM"), "{full}");
    server.command("CONFIG SET maxmemory 0");
    server.command("REPLICAOF 127.0.0.1 1");
    let replica = take(&store, b"alice", quota).await.unwrap_err();
    assert!(replica.to_string().to_lowercase().contains("read"), "{replica}");
    server.command("REPLICAOF NO ONE");
    take_when_it_answers(&store, b"alice", quota).await;
}

/// Answers every connection with these bytes, whatever is said.
fn mad_server(says: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut heard = [0; 4_096];
                while stream.read(&mut heard).is_ok_and(|count| count > 0) {
                    if stream.write_all(says).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_repeats_the_password_is_not_quoted() {
    let says = b"-ERR unknown command, with args beginning with: 'canary' \r\n";
    let url = mad_server(says).replace("redis://", "redis://:canary@");
    let stores = [
        RedisStore::connect(&url).unwrap(),
        RedisStore::connect(format!("{url}?protocol=resp3")).unwrap(),
        RedisStore::cluster([&url]).unwrap(),
        RedisStore::sentinel("main", [&url]).unwrap(),
    ];
    for store in stores.map(patient) {
        let error = take(&store, b"alice", Quota::per_day(1)).await.unwrap_err();
        assert!(!format!("{error} {error:?} {store:?}").contains("canary"), "{error}");
    }
}

#[test]
fn an_attempt_to_connect_that_ends_with_its_runtime_is_not_waited_for() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    server.pause();
    let first = runtime();
    let asked = take(&store, b"alice", Quota::per_day(2));
    first
        .block_on(async { tokio::time::timeout(Duration::from_millis(20), asked).await })
        .unwrap_err();
    drop(first);
    server.go_on();
    runtime().block_on(take_when_it_answers(&store, b"alice", Quota::per_day(2)));
}

#[tokio::test]
async fn one_limit_twice_in_one_call_is_an_error() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let demand = || Demand::test("requests", Some(b"alice"), Quota::per_day(5));
    assert!(store.take(vec![demand(), demand()]).await.is_err());
    assert_eq!(store.take(vec![demand()]).await.unwrap()[0].remaining(), 4);
}

#[tokio::test]
async fn a_mad_server_is_an_error_and_no_panic() {
    const DEEP: &[u8] = &{
        let mut deep = [b'*'; 40_000];
        let (mut at, unit) = (0, *b"*1\r\n");
        while at < deep.len() {
            deep[at] = unit[at % 4];
            at += 1;
        }
        deep
    };
    let says: [&'static [u8]; 9] = [
        b"+OK\r\n",
        b":1\r\n:1\r\n:1\r\n",
        b"*1099511627776\r\n",
        b"$1099511627776\r\n",
        b"*2\r\n:-1\r\n:5\r\n",
        b"*3\r\n:1\r\n:2\r\n:3\r\n*3\r\n:1\r\n:2\r\n:3\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"\xff\xfe\0\r\n",
        DEEP,
    ];
    for says in says {
        let store = RedisStore::connect(mad_server(says)).unwrap();
        let begin = Instant::now();
        for _ in 0..3 {
            take(&store, b"alice", Quota::per_day(1)).await.unwrap_err();
        }
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    }
}
