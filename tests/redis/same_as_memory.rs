//! The same schedule, the same answers: the script against the store in memory, to the nanosecond.

use std::time::Duration;

use tower_gateway::{
    clock::{Clock, ManualClock},
    rate_limit::{Answer, Demand, MemoryStore, Quota, Receipt, RedisStore, Store},
};

use crate::redis_server::RedisServer;

/// A small generator, so that a failure comes back with its seed (Vigna's splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

/// Every algorithm, with round numbers and with odd ones; those of one name go on from each other's states.
fn limits() -> Vec<(&'static str, Quota)> {
    let odd = Duration::from_nanos(7_000_000_123);
    let days = |days: u64| Duration::from_secs(days * 86_400);
    vec![
        ("bucket", Quota::per_second(10).burst(5)),
        ("bucket", Quota::per(7, odd)),
        ("bucket", Quota::per_day(0)),
        ("slow bucket", Quota::per(3, days(40_000))),
        ("fast bucket", Quota::per_second(3_000_000_000).burst(1 << 40)),
        ("leaky", Quota::per_second(3).leaky_bucket(6, 2)),
        ("arrest", Quota::per_minute(33).spike_arrest()),
        ("window", Quota::per_second(7).sliding_window()),
        ("odd window", Quota::per(1_000_003, odd).sliding_window()),
        ("long window", Quota::per(4_000_000_000, days(30)).sliding_window()),
        ("log", Quota::per_second(6).sliding_log()),
        ("odd log", Quota::per(40, odd).sliding_log()),
        ("fixed", Quota::per_second(6).fixed_window()),
        ("odd fixed", Quota::per(6, odd).fixed_window().starting(Duration::from_nanos(3))),
        ("week", Quota::per_calendar_week(1_000)),
        ("month", Quota::per_calendar_month(1_000)),
        ("late month", Quota::per_calendar_month(1_000).starting(days(14))),
        ("unlimited", Quota::unlimited()),
    ]
}

struct Both {
    time: ManualClock,
    memory: MemoryStore,
    redis: RedisStore,
    random: Random,
    receipts: Vec<(Demand, Receipt)>,
    /// Verdicts seen: refusals, grants.
    seen: [u32; 2],
}

impl Both {
    fn demand(&mut self) -> Demand {
        let (name, quota) = self.random.of(&limits());
        let key: Option<&[u8]> = self.random.of(&[None, Some(&b"alice"[..]), Some(b"bob")]);
        let demand = Demand::test(name, key, quota);
        let few = self.random.below(5);
        let units = [1, 1, 1, few, few * 1_000_000, quota_like(&quota) / 3, u64::MAX];
        let demand = demand.with_units(self.random.of(&units));
        if self.random.below(6) == 0 { demand.reporting() } else { demand }
    }

    /// Some limits of a request, each with a name of its own; a penalty box behind the last.
    fn demands(&mut self) -> Vec<Demand> {
        let mut demands: Vec<Demand> = Vec::new();
        for _ in 0..=self.random.below(2) {
            let demand = self.demand();
            if demands.iter().all(|it| it.limit() != demand.limit()) {
                demands.push(demand);
            }
        }
        if self.random.below(2) == 0 {
            let (period, ban) = (Duration::from_secs(2), Duration::from_millis(1_500));
            demands.push(Demand::test_penalty_box("box", Some(b"alice"), 3, period, ban));
        }
        demands
    }

    fn pass_time(&mut self) {
        let longest = [1, 1_000, 100_000_000, 2_000_000_000, 8_000_000_000, 86_400_000_000_000];
        let longest = match self.random.below(3) {
            0 => 1,
            _ => self.random.of(&longest),
        };
        self.time.advance(Duration::from_nanos(self.random.below(longest)));
    }

    fn keep(&mut self, demands: &[Demand], answers: &[Answer]) {
        for (demand, answer) in demands.iter().zip(answers) {
            self.seen[usize::from(answer.units().is_some())] += 1;
            if answer.units().is_some() {
                self.receipts.push((demand.clone(), answer.receipt()));
            }
        }
    }

    async fn step(&mut self) {
        self.pass_time();
        match self.random.below(12) {
            0 => {
                let demand = self.demand();
                let one = self.memory.borrow(demand.clone()).await.unwrap();
                let other = self.redis.borrow(demand.clone()).await.unwrap();
                assert_same(&[other], &[one], &demand);
            }
            1 => {
                let demands = self.demands();
                self.memory.charge(demands.clone()).await.unwrap();
                self.redis.charge(demands).await.unwrap();
            }
            2 | 3 if !self.receipts.is_empty() => {
                let place = self.random.below(self.receipts.len() as u64) as usize;
                let (demand, receipt) = self.receipts.swap_remove(place);
                let latest = self.random.below(4) == 0;
                let given = vec![(demand, if latest { Receipt::LATEST } else { receipt })];
                self.memory.refund(given.clone()).await.unwrap();
                self.redis.refund(given).await.unwrap();
            }
            4 => {
                let demand = self.demand();
                let one = self.memory.read(demand.clone()).await.unwrap();
                let other = self.redis.read(demand.clone()).await.unwrap();
                assert_same(&[other], &[one], &demand);
            }
            5 if self.random.below(4) == 0 => {
                let demand = self.demand();
                self.memory.reset(demand.clone()).await.unwrap();
                self.redis.reset(demand).await.unwrap();
            }
            _ => {
                let demands = self.demands();
                let one = self.memory.take(demands.clone()).await.unwrap();
                let other = self.redis.take(demands.clone()).await.unwrap();
                assert_same(&other, &one, &demands);
                self.keep(&demands, &one);
            }
        }
    }
}

/// Equal in all but the receipt of nothing, which gives nothing back.
#[track_caller]
fn assert_same(redis: &[Answer], memory: &[Answer], asked: &impl std::fmt::Debug) {
    let without = |answer: &Answer| match answer.units() {
        Some(0) => answer.under(Receipt::default()),
        _ => *answer,
    };
    let [redis, memory] = [redis, memory].map(|it| it.iter().map(without).collect::<Vec<_>>());
    assert_eq!(redis, memory, "{asked:?}");
}

/// Something of the size of the quota: its debug output is the only place that tells.
fn quota_like(quota: &Quota) -> u64 {
    let text = format!("{quota:?}");
    let digits: String = text.chars().skip(6).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test]
async fn the_script_answers_as_the_store_in_memory() {
    let server = RedisServer::start();
    let mut seen = [0, 0];
    for seed in 0..60 {
        println!("seed {seed}");
        let (clock, time) = Clock::manual();
        let redis = RedisStore::connect(server.url()).unwrap();
        let redis = redis.prefix(format!("seed-{seed}")).our_time(clock.clone());
        let mut both = Both {
            time,
            memory: MemoryStore::with(clock, 1_000),
            redis: redis.timeout(Duration::from_secs(10)),
            random: Random(seed),
            receipts: Vec::new(),
            seen,
        };
        for _ in 0..400 {
            both.step().await;
        }
        seen = both.seen;
    }
    assert!(seen.iter().all(|&verdicts| verdicts > 1_000), "{seen:?}");
}
