//! A cluster, and a master that is replaced.

use std::collections::HashSet;

use tower_gateway::rate_limit::{Demand, Quota, RedisStore, Store};

use crate::{patient, redis_server::RedisServer, take, take_when_it_answers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_all_limits_of_a_request_are_one_call() {
    let nodes = RedisServer::cluster(3);
    let store = patient(RedisStore::cluster(nodes.iter().map(RedisServer::url)).unwrap());
    let demands = |number: u32| {
        let (address, subject) = (number.to_be_bytes(), (number % 2).to_be_bytes());
        vec![
            Demand::test("address", Some(&address), Quota::per_day(5)),
            Demand::test("subject", Some(&subject), Quota::per_day(10).sliding_log()),
        ]
    };
    let mut admitted = 0;
    for number in 0..60 {
        let answers = store.take(demands(number)).await.unwrap();
        admitted += u32::from(answers.iter().all(|it| it.units().is_some()));
        store.charge(demands(number + 100)[..1].to_vec()).await.unwrap();
    }
    assert_eq!(admitted, 20);
    assert_eq!(store.nodes("one", std::time::Duration::from_secs(9)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_a_limit_that_is_alone_is_spread_over_all_nodes() {
    let nodes = RedisServer::cluster(3);
    let store = patient(RedisStore::cluster([nodes[1].url()]).unwrap());
    let demand = |number: u32| {
        Demand::test("address", Some(&number.to_be_bytes()), Quota::per_day(2)).of_one_limit()
    };
    for round in 0..3 {
        for number in 0..60 {
            let answers = store.take(vec![demand(number)]).await.unwrap();
            assert_eq!(answers[0].units().is_some(), round < 2, "{number}");
        }
    }
    // Charges of many keys in one call go where each key is.
    store.charge((100..160).map(demand).collect()).await.unwrap();
    let counts: Vec<_> = nodes.iter().map(|it| it.keys().len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 120, "{counts:?}");
    assert!(counts.iter().all(|&count| count > 10), "{counts:?}");
    let tags: HashSet<_> = nodes.iter().flat_map(RedisServer::keys).collect();
    assert_eq!(tags.len(), 120);

    let other = Demand::test("subject", Some(b"2"), Quota::per_day(2)).of_one_limit();
    let apart = store.take(vec![demand(1), other]).await.unwrap_err();
    assert!(apart.to_string().contains("several nodes"), "{apart}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_is_found_through_the_sentinel() {
    let mut master = RedisServer::start();
    let replica = master.replica();
    let sentinel = master.sentinel();
    let store = patient(RedisStore::sentinel("main", [sentinel.url()]).unwrap());
    let quota = Quota::per_day(1_000);
    assert_eq!(take(&store, b"alice", quota).await.unwrap().remaining(), 999);
    crate::redis_server::wait_until("the replica knows it", || !replica.keys().is_empty());
    master.kill();
    let answer = take_when_it_answers(&store, b"alice", quota).await;
    assert_eq!(answer.remaining(), 998, "and it knows what the old one has counted");
    assert!(replica.command("ROLE").contains("master"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_has_become_a_replica_is_left() {
    let master = RedisServer::start();
    let replica = master.replica();
    let sentinel = master.sentinel();
    let store = patient(RedisStore::sentinel("main", [sentinel.url()]).unwrap());
    let quota = Quota::per_day(1_000);
    take(&store, b"alice", quota).await.unwrap();
    crate::redis_server::wait_until("the sentinel knows the replica well", || {
        sentinel.command("SENTINEL FAILOVER main").contains("OK")
    });
    crate::redis_server::wait_until("they have changed places", || {
        replica.command("ROLE").contains("master") && master.command("ROLE").contains("slave")
    });
    take_when_it_answers(&store, b"alice", quota).await;
}
