//! Under which keys the counts are, and for how long.

use std::time::Duration;

use tower_gateway::rate_limit::{Demand, Quota, RedisStore, Store};

use crate::{patient, redis_server::RedisServer, take};

#[tokio::test]
async fn every_key_has_an_end() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let minute = Quota::per_minute(5);
    let quotas = [
        minute,
        minute.leaky_bucket(3, 1),
        minute.sliding_window(),
        minute.sliding_log(),
        minute.fixed_window(),
        Quota::per_calendar_month(5),
    ];
    for (number, quota) in quotas.into_iter().enumerate() {
        let demand = || Demand::test(&format!("limit {number}"), Some(b"alice"), quota);
        for _ in 0..8 {
            let ban = Demand::test_penalty_box("box", Some(b"alice"), 2, MINUTE, MINUTE);
            store.take(vec![demand(), ban]).await.unwrap();
        }
        store.charge(vec![demand().with_units(3)]).await.unwrap();
        let receipt = store.read(demand()).await.unwrap().receipt();
        store.refund(vec![(demand(), receipt)]).await.unwrap();
        store.borrow(demand().with_units(2)).await.unwrap();
    }
    store.nodes("one", MINUTE).await.unwrap();
    let keys = server.keys();
    assert_eq!(keys.len(), quotas.len() + 2, "{keys:?}");
    for key in &keys {
        let lives = server.ttl(key);
        assert!((1..32 * 86_400_000).contains(&lives), "{key} lives {lives} ms");
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_at_rest_leaves_nothing_behind() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    for client in 0..200_u32 {
        let quota = Quota::per(5, Duration::from_millis(20));
        take(&store, &client.to_be_bytes(), quota).await.unwrap();
        take(&store, &client.to_be_bytes(), quota.sliding_log()).await.unwrap();
    }
    crate::redis_server::wait_until("all is forgotten", || server.keys().is_empty());
}

#[tokio::test]
async fn no_two_clients_share_a_key_and_no_byte_of_theirs_is_in_it() {
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap()).prefix("my:{app}");
    let clients: [&[u8]; 9] =
        [b"", b"{alice}", b"alice", b"alice:", b"*", b"al\r\nDEL *\r\n", b"\0", b"\0\0", b"}{"];
    for limit in ["requests", "requests:{alice}", ""] {
        for key in clients.map(Some).into_iter().chain([None]) {
            let demand = Demand::test(limit, key, Quota::per_day(1));
            let answer = store.take(vec![demand]).await.unwrap();
            assert!(answer[0].units().is_some(), "{limit} {key:?} has a bucket of its own");
        }
    }
    let keys = server.keys();
    assert_eq!(keys.len(), 30);
    for key in keys {
        let name = key.strip_prefix("my:{app}:").unwrap();
        assert_eq!(name.len(), 22);
        assert!(name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)), "{key}");
    }
}
