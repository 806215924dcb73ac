//! Keys in a store that is not here, and floods of keys.

use super::*;

/// Counts its questions; fails, and stays silent, as it is told.
#[derive(Clone, Default)]
pub(super) struct Store(Arc<Inside>);

#[derive(Default)]
pub(super) struct Inside {
    records: Mutex<HashMap<String, KeyRecord>>,
    asked: AtomicUsize,
    down: AtomicBool,
    silent: AtomicBool,
}

impl Store {
    fn put(&self, record: KeyRecord) {
        self.0.records.lock().unwrap().insert(record.digest().to_string(), record);
    }

    pub(super) fn of(record: KeyRecord) -> Self {
        let store = Self::default();
        store.put(record);
        store
    }

    fn empty(&self) {
        self.0.records.lock().unwrap().clear();
    }

    fn down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    pub(super) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    pub(super) fn keys(&self) -> (StoredKeys, ManualClock) {
        let (clock, time) = Clock::manual();
        (StoredKeys::new(self.clone()).clock(clock), time)
    }
}

impl KeyStore for Store {
    fn find(&self, digest: &KeyDigest) -> BoxFuture<Result<Option<KeyRecord>, BoxError>> {
        let (store, digest) = (self.clone(), digest.to_string());
        Box::pin(async move {
            store.0.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if store.0.silent.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            match store.0.down.load(Ordering::SeqCst) {
                true => Err("the database is down".into()),
                false => Ok(store.0.records.lock().unwrap().get(&digest).cloned()),
            }
        })
    }
}

// === what it says, and for how long ===

#[tokio::test]
async fn a_stored_key_is_asked_about_once_and_then_known_at_once() {
    let key = mint();
    let store = Store::of(key.record("paula"));
    let (keys, _time) = store.keys();
    let layer = over(keys);
    let first = (0..50).map(|_| status(&layer, with_key(key.reveal())));
    assert!(futures_util::future::join_all(first).await.iter().all(|it| *it == 200));
    assert_eq!(store.asked(), 1);
    assert_eq!(status(&layer, with_key(key.reveal())).now_or_never(), Some(200));
    assert_eq!(status(&layer, with_key("wrong")).await, 401);
    assert_eq!(status(&layer, with_key("wrong")).now_or_never(), Some(401));
    assert_eq!(store.asked(), 2);
}

#[tokio::test]
async fn key_05_a_store_that_is_down_denies_with_503_but_for_keys_that_are_remembered() {
    let (known, new) = (mint(), mint());
    let store = Store::of(known.record("paula"));
    store.put(new.record("quentin"));
    let (keys, time) = store.keys();
    let layer = over(keys);
    assert_eq!(status(&layer, with_key(known.reveal())).await, 200);
    store.down(true);
    for _ in 0..10 {
        let answer = answer(&layer, with_key(new.reveal())).await;
        assert!(answer.headers().contains_key("retry-after"));
        assert_problem(answer, 503, "unavailable").await;
        assert_eq!(status(&layer, with_key(known.reveal())).await, 200);
    }
    assert_eq!(store.asked(), 1 + 5, "after five failures it is left alone");
    time.advance(Duration::from_secs(30));
    assert_eq!(status(&layer, with_key(known.reveal())).await, 503, "only within its time");
    store.down(false);
    time.advance(Duration::from_secs(60));
    assert_eq!(status(&layer, with_key(new.reveal())).await, 200);
}

#[tokio::test]
async fn key_05_a_key_that_is_remembered_by_an_older_digest_needs_no_store() {
    let key = mint();
    let store = Store::of(key.record("paula"));
    let (keys, time) = store.keys();
    let moving = Hashing::with_pepper([1; 32]).unwrap().or(Hashing::sha256());
    let layer = over(keys).hashing(moving);
    assert_eq!(status(&layer, with_key(key.reveal())).await, 200);
    assert_eq!(store.asked(), 2);
    store.down(true);
    // it is no longer remembered that there is no key of the newer digest
    time.advance(Duration::from_secs(29));
    assert_eq!(status(&layer, with_key(key.reveal())).now_or_never(), Some(200));
    assert_eq!(store.asked(), 2);
}

#[tokio::test]
async fn key_05_by_choice_a_known_key_outlives_its_time_while_the_store_is_down() {
    let key = mint();
    let store = Store::of(key.record("paula").with_expiry(NOW + Duration::from_secs(50)));
    let (clock, time) = Clock::manual();
    let keys = StoredKeys::new(store.clone()).stale_if_error(Duration::from_secs(3600));
    let keys = keys.clock(clock.clone());
    let layer = ApiKeyLayer::new(keys).clock(clock);
    assert_eq!(status(&layer, with_key(key.reveal())).await, 200);
    store.down(true);
    time.advance(Duration::from_secs(49));
    assert_eq!(status(&layer, with_key(key.reveal())).await, 200);
    time.advance(Duration::from_secs(1));
    assert_eq!(status(&layer, with_key(key.reveal())).await, 401, "not beyond its own end");
}

#[tokio::test]
async fn key_06_what_changes_in_a_store_is_seen_within_the_time_it_is_remembered() {
    let (old, new) = (mint(), mint());
    let store = Store::of(old.record("paula"));
    let (keys, time) = store.keys();
    let layer = over(keys.ttl(Duration::from_secs(10)).negative_ttl(Duration::from_secs(2)));
    assert_eq!(status(&layer, with_key(old.reveal())).await, 200);
    assert_eq!(status(&layer, with_key(new.reveal())).await, 401);
    store.empty();
    store.put(new.record("paula"));
    time.advance(Duration::from_secs(2));
    assert_eq!(status(&layer, with_key(new.reveal())).await, 200);
    time.advance(Duration::from_millis(7_999));
    assert_eq!(status(&layer, with_key(old.reveal())).await, 200);
    time.advance(Duration::from_millis(1));
    assert_eq!(status(&layer, with_key(old.reveal())).await, 401);
}

#[tokio::test]
async fn key_06_what_is_told_to_be_forgotten_is_asked_again_at_once() {
    let (one, two) = (mint(), mint());
    let store = Store::of(one.record("paula"));
    store.put(two.record("quentin"));
    let (keys, _time) = store.keys();
    let layer = over(keys.clone());
    for key in [&one, &two] {
        assert_eq!(status(&layer, with_key(key.reveal())).await, 200);
    }
    store.empty();
    keys.forget(&one.digest());
    assert_eq!(status(&layer, with_key(one.reveal())).await, 401);
    assert_eq!(status(&layer, with_key(two.reveal())).await, 200);
    keys.forget_all();
    assert_eq!(status(&layer, with_key(two.reveal())).await, 401);
}

#[tokio::test]
async fn key_06_the_memory_of_unknown_keys_is_bounded_and_pushes_out_no_known_one() {
    let key = mint();
    let store = Store::of(key.record("paula"));
    let (keys, _time) = store.keys();
    let layer = over(keys.capacity(10));
    assert_eq!(status(&layer, with_key(key.reveal())).await, 200);
    for n in 0..1_000 {
        assert_eq!(status(&layer, with_key(format!("wrong{n}"))).await, 401);
    }
    let asked = store.asked();
    assert_eq!(status(&layer, with_key(key.reveal())).await, 200);
    assert_eq!(store.asked(), asked);
    for n in 0..1_000 {
        status(&layer, with_key(format!("wrong{n}"))).await;
    }
    assert!(store.asked() >= asked + 980, "most were forgotten");
}

#[tokio::test]
async fn a_record_that_cannot_be_used_is_no_key_and_no_failure_of_the_store() {
    let (good, bad, swapped) = (mint(), mint(), mint());
    let store = Store::of(good.record("paula"));
    store.put(bad.record("").with_networks(["home"]));
    let lied = swapped.digest().to_string();
    store.0.records.lock().unwrap().insert(lied, good.record("paula"));
    let (keys, _time) = store.keys();
    let layer = over(keys.negative_ttl(Duration::ZERO));
    for _ in 0..10 {
        assert_eq!(status(&layer, with_key(bad.reveal())).await, 401);
        assert_eq!(status(&layer, with_key(swapped.reveal())).await, 401);
    }
    assert_eq!(status(&layer, with_key(good.reveal())).await, 200);
}

#[tokio::test]
async fn a_store_that_is_silent_holds_no_more_than_its_bound() {
    let store = Store::default();
    store.0.silent.store(true, Ordering::SeqCst);
    let (keys, time) = store.keys();
    let layer = over(keys.max_in_flight(3).timeout(Duration::from_secs(1)));
    let waiting: Vec<_> = (0..3)
        .map(|n| {
            let layer = layer.clone();
            tokio::spawn(async move { status(&layer, with_key(format!("k{n}"))).await })
        })
        .collect();
    while time.sleepers() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&layer, with_key("one more")).await, 401, "no key at all");
    assert_eq!(status(&layer, with_key("one-more")).await, 503);
    time.advance(Duration::from_secs(1));
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), 503);
    }
    assert_eq!(store.asked(), 3);
}

// === floods ===

#[tokio::test]
async fn ten_thousand_random_keys_cost_no_lookup_when_keys_are_minted() {
    let store = Store::default();
    let (keys, _time) = store.keys();
    let layer = over(keys).minted_by(&factory());
    for n in 0..10_000_u32 {
        let mut random = mint().into_string();
        // One character off, at every place in turn.
        let at = n as usize % random.len();
        let other = if random.as_bytes()[at] == b'x' { "y" } else { "x" };
        random.replace_range(at..=at, other);
        let random = if n % 2 == 0 { random } else { format!("acme_{n:030}Ab12Cd") };
        assert_eq!(status(&layer, with_key(random)).now_or_never(), Some(401));
    }
    assert_eq!(store.asked(), 0);
}

#[tokio::test]
async fn ten_thousand_random_keys_at_once_open_no_more_questions_than_are_allowed() {
    let store = Store::default();
    store.0.silent.store(true, Ordering::SeqCst);
    let (keys, _time) = store.keys();
    let layer = over(keys);
    let mut waiting = 0;
    let mut calls = Vec::new();
    for n in 0..10_000 {
        let mut call = Box::pin(layer.layer(support::echo()).oneshot(with_key(format!("k{n}"))));
        match (&mut call).now_or_never() {
            Some(answer) => assert_eq!(answer.unwrap().status(), 503),
            None => {
                waiting += 1;
                calls.push(call);
            }
        }
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!((waiting, store.asked()), (64, 64));
}

// === the contract ===

#[tokio::test]
async fn the_contract_holds_for_keys_in_memory() {
    let key = mint();
    let admitted = contract_request(key.reveal());
    let layer = layer(&key);
    Contract::new(admitted.clone()).refuses(contract_request("wrong")).check(layer.clone()).await;
    Contract::new(admitted).refuses(|| Request::new(())).check(layer).await;
}

#[tokio::test]
async fn the_contract_holds_for_keys_in_a_store() {
    let key = mint();
    let store = Store::of(key.record("paula"));
    let (keys, _time) = store.keys();
    // Nothing is remembered, so that every request waits.
    let keys = keys.ttl(Duration::ZERO).negative_ttl(Duration::ZERO);
    let contract = Contract::new(contract_request(key.reveal()));
    contract.refuses(contract_request("wrong")).check(over(keys)).await;
    assert!(store.asked() > 8);
}

fn contract_request(key: &str) -> impl Fn() -> Request<()> + Clone + use<> {
    let key = HeaderValue::from_str(key).unwrap();
    move || Request::get("/").header("x-api-key", key.clone()).body(()).unwrap()
}
