//! Keys that begin and end, and come and go.

use super::*;

// === when and whence ===

#[tokio::test]
async fn a_key_is_good_within_its_dates() {
    let (clock, time) = Clock::manual();
    let key = mint();
    let second = Duration::from_secs(1);
    let record = key.record("paula").with_not_before(NOW + second).with_expiry(NOW + second * 3);
    let keys = MemoryKeys::new([record, mint().record("q").with_expiry(second)]).unwrap();
    let layer = ApiKeyLayer::new(keys).clock(clock);
    let told = async || {
        let answer = answer(&layer, with_key(key.reveal())).await;
        match answer.status().as_u16() {
            200 => None,
            _ => Some(assert_problem(answer, 401, "unauthenticated").await["detail"].clone()),
        }
    };
    assert_eq!(told().await.unwrap(), "The API key is not valid yet.");
    time.advance(second);
    assert_eq!(told().await, None);
    time.advance(second * 2);
    assert_eq!(told().await.unwrap(), "The API key has expired.");
}

#[tokio::test]
async fn a_key_is_good_within_its_networks() {
    let key = mint();
    let record = key.record("paula").with_networks(["192.0.2.0/24", "2001:db8::/32"]);
    let layer = over(MemoryKeys::new([record]).unwrap());
    let from = |peer: &str| {
        let mut request = with_key(key.reveal());
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(PeerAddr(peer));
        request
    };
    for inside in ["192.0.2.9:1", "[2001:db8::9]:1", "[::ffff:192.0.2.9]:1"] {
        assert_eq!(status(&layer, from(inside)).await, 200, "{inside}");
    }
    for outside in ["192.0.3.9:1", "[2001:db9::9]:1", "[::ffff:192.0.3.9]:1", "[::192.0.2.9]:1"] {
        let answer = answer(&layer, from(outside)).await;
        assert!(answer.headers().get("www-authenticate").is_none());
        assert_problem(answer, 403, "forbidden").await;
    }
    let nowhere = answer(&layer, with_key(key.reveal())).await;
    assert!(nowhere.extensions().get::<Rejection>().unwrap().cause().is_some());
    assert_problem(nowhere, 403, "forbidden").await;
    // Who does not hold the key does not learn that it is bound to networks.
    assert_eq!(status(&layer, with_key("wrong")).await, 401);
}

// === keys that come and go ===

#[tokio::test]
async fn rotation_needs_no_outage() {
    let (clock, time) = Clock::manual();
    let (first, second) = (mint(), mint());
    let keys = MemoryKeys::new([first.record("paula")]).unwrap();
    let layer = ApiKeyLayer::new(keys.clone()).clock(clock);
    let day = Duration::from_secs(86_400);
    let mut good = Vec::new();
    for hour in 0..48 {
        if hour == 12 {
            keys.rotate(&first.id(), second.record("paula"), NOW + day).unwrap();
        }
        let mut statuses = [0; 2];
        for (status_of, key) in statuses.iter_mut().zip([&first, &second]) {
            *status_of = status(&layer, with_key(key.reveal())).await;
        }
        good.push(statuses);
        time.advance(day / 24);
    }
    assert!(good.iter().all(|it| it.contains(&200)), "there is a good key at any time");
    assert_eq!((good[11], good[12], good[23]), ([200, 401], [200; 2], [200; 2]));
    assert_eq!((good[24], good[47]), ([401, 200], [401, 200]));
}

#[tokio::test]
async fn key_06_a_revoked_key_in_memory_is_refused_at_once() {
    let key = mint();
    let keys = MemoryKeys::new([key.record("paula")]).unwrap();
    let layer = over(keys.clone());
    let mut service = layer.layer(support::echo());
    let mut call = async || {
        service.ready().await.unwrap().call(with_key(key.reveal())).await.unwrap().status().as_u16()
    };
    assert_eq!(call().await, 200);
    keys.replace([key.record("paula").revoked()]).unwrap();
    assert_eq!(call().await, 401);
    keys.replace([key.record("paula")]).unwrap();
    assert_eq!(call().await, 200);
    assert!(keys.revoke(&key.id()));
    assert_eq!(call().await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_swapped_under_load_without_an_error() {
    let (kept, flickering) = (mint(), mint());
    let with_both = || [kept.record("paula"), flickering.record("quentin")];
    let keys = MemoryKeys::new(with_both()).unwrap();
    let layer = over(keys.clone());
    let done = Arc::new(AtomicBool::new(false));
    let load = [(); 2].map(|()| {
        let (layer, done, key) = (layer.clone(), Arc::clone(&done), kept.reveal().to_owned());
        tokio::spawn(async move {
            let mut calls = 0;
            while !done.load(Ordering::SeqCst) || calls < 100 {
                assert_eq!(status(&layer, with_key(&key)).await, 200);
                calls += 1;
            }
        })
    });
    for _ in 0..200 {
        keys.replace([kept.record("paula")]).unwrap();
        assert_eq!(status(&layer, with_key(flickering.reveal())).await, 401);
        keys.replace(with_both()).unwrap();
        assert_eq!(status(&layer, with_key(flickering.reveal())).await, 200);
        assert!(keys.replace([kept.record("")]).is_err(), "and nothing has changed");
    }
    done.store(true, Ordering::SeqCst);
    for load in load {
        load.await.unwrap();
    }
}

#[tokio::test]
async fn a_pepper_is_introduced_and_changed_without_new_keys() {
    let pepper = |n| Hashing::with_pepper([n; 32]).unwrap();
    let key = mint().into_string();
    let stored = |hashing: &Hashing| KeyRecord::new(hashing.digest(&key), "1", "paula");
    let moving = pepper(2).or(pepper(1)).or(Hashing::sha256());
    for (record, good) in [
        (stored(&Hashing::sha256()), true),
        (stored(&pepper(1)), true),
        (stored(&pepper(2)), true),
        (stored(&pepper(3)), false),
    ] {
        let store = Store::of(record.clone());
        let (stored, _time) = store.keys();
        for layer in [over(MemoryKeys::new([record]).unwrap()), over(stored)] {
            let layer = layer.hashing(moving.clone());
            let expected = if good { 200 } else { 401 };
            for _ in 0..2 {
                assert_eq!(status(&layer, with_key(&key)).await, expected);
            }
        }
        assert!(store.asked() <= 3, "the second time it was remembered");
    }
}
