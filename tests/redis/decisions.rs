//! What the store decides.

use tower_gateway::rate_limit::{Demand, Quota, RedisStore, Store};

use crate::redis_server::RedisServer;

#[tokio::test]
async fn takes_what_is_there_and_no_more() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).unwrap();
    let mut admitted = Vec::new();
    for _ in 0..4 {
        let demand = Demand::test("requests", Some(b"alice"), Quota::per_hour(3));
        let answers = store.take(vec![demand]).await.unwrap();
        admitted.push(answers[0].units().map(|_| answers[0].remaining()));
    }
    assert_eq!(admitted, [Some(2), Some(1), Some(0), None]);
}
