//! Limits that are shared through a real Redis: started, paused, killed and replaced by the tests.
#![allow(clippy::disallowed_methods, reason = "the server lives in real time")]

#[path = "../support/redis_server.rs"]
mod redis_server;

mod decisions;
mod faults;
mod keys;
mod leased;
mod processes;
mod same_as_memory;
mod several_servers;
mod tls;
mod trouble;

use std::time::Duration;

use tower_gateway::rate_limit::{Answer, Demand, Quota, RedisStore, Store, StoreError};

/// A store that waits long enough for a busy machine.
fn patient(store: RedisStore) -> RedisStore {
    store.timeout(Duration::from_secs(10))
}

/// Asks for one unit.
async fn take(store: &RedisStore, key: &[u8], quota: Quota) -> Result<Answer, StoreError> {
    let answers = store.take(vec![Demand::test("requests", Some(key), quota)]).await?;
    Ok(answers[0])
}

/// Asks again until there is an answer.
async fn take_when_it_answers(store: &RedisStore, key: &[u8], quota: Quota) -> Answer {
    for _ in 0..2_000 {
        if let Ok(answer) = take(store, key, quota).await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never answers again");
}
