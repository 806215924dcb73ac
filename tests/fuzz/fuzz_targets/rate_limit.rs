//! No quota, time, cost or order of requests makes a limit panic, and none admits more than its quota.
#![no_main]

use std::{convert::Infallible, time::Duration};

use arbitrary::Arbitrary;
use futures_util::FutureExt;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    clock::Clock,
    guard::Head,
    key::KeyWriter,
    rate_limit::{Limit, Quota, RateLimitLayer},
};

/// A quota by its algorithm.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Algorithm {
    TokenBucket { burst: u64 },
    LeakyBucket { burst: u64, undelayed: u64 },
    SlidingWindow,
    SlidingLog,
    FixedWindow { offset: u64 },
    Month { offset: u64 },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct AnyQuota {
    count: u64,
    period: u64,
    algorithm: Algorithm,
}

/// So many nanoseconds later, a request of one of a few keys.
#[derive(Arbitrary, Debug)]
struct Step {
    later: u64,
    key: u8,
    cost: u64,
}

#[derive(Arbitrary, Debug)]
struct Input {
    quotas: Vec<AnyQuota>,
    steps: Vec<Step>,
}

impl AnyQuota {
    fn quota(self) -> Quota {
        let quota = Quota::per(self.count, Duration::from_nanos(self.period));
        match self.algorithm {
            Algorithm::TokenBucket { burst } => quota.burst(burst),
            Algorithm::LeakyBucket { burst, undelayed } => quota.leaky_bucket(burst, undelayed),
            Algorithm::SlidingWindow => quota.sliding_window(),
            Algorithm::SlidingLog => quota.sliding_log(),
            Algorithm::FixedWindow { offset } => {
                quota.fixed_window().starting(Duration::from_nanos(offset))
            }
            Algorithm::Month { offset } => {
                Quota::per_calendar_month(self.count).starting(Duration::from_nanos(offset))
            }
        }
    }

    /// What is never exceeded while no time passes.
    fn at_once(self) -> u128 {
        u128::from(match self.algorithm {
            _ if self.count == 0 => 0,
            Algorithm::TokenBucket { burst } => burst,
            Algorithm::LeakyBucket { burst, .. } => return u128::from(burst) + 1,
            _ => self.count,
        })
    }
}

fuzz_target!(|input: Input| {
    let Some(first) = input.quotas.first() else { return };
    let (clock, time) = Clock::manual();
    let limit = |quota: &AnyQuota| {
        let key = |head: Head<'_>, key: &mut KeyWriter| {
            key.part(head.headers()["x-key"].as_bytes());
            Some(())
        };
        let cost = |head: Head<'_>| head.headers()["x-cost"].to_str().unwrap().parse().unwrap();
        Limit::new(quota.quota(), key).cost(cost)
    };
    let more = input.quotas.iter().skip(1).take(3);
    let layer = more.fold(RateLimitLayer::of(limit(first)), |layer, it| layer.and(limit(it)));
    let layer = layer.max_keys(1).max_waiting(0).legacy_fields().clock(clock);
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let most = input.quotas.iter().take(4).map(|it| it.at_once()).min().unwrap_or(0);
    let mut taken = [0_u128; 256];
    for step in &input.steps {
        if step.later > 0 {
            time.advance(Duration::from_nanos(step.later >> 8));
            taken = [0; 256];
        }
        let request =
            Request::get("/").header("x-key", u16::from(step.key)).header("x-cost", step.cost);
        let answer = service.clone().oneshot(request.body(()).unwrap()).now_or_never();
        let answer = answer.expect("there is no place to wait").unwrap();
        if answer.status() == 200 {
            let taken = &mut taken[usize::from(step.key)];
            *taken += u128::from(step.cost);
            // Without time, nothing comes back; who costs nothing takes nothing.
            assert!(*taken <= most, "{} of {most}", *taken);
        }
    }
});
