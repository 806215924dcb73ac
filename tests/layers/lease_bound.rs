//! The promise of `docs/guides/distributed-rate-limits.md`, on thousands of scenarios.

use std::{thread, time::Duration};

#[path = "../../examples/simulate_edge/world.rs"]
mod world;

use world::{Fault, Mode, Outcome, Rng, Rule, Scenario, Traffic, bound, run};

const SCENARIOS: u64 = 2_000;
const SECOND: Duration = Duration::from_secs(1);

/// Any algorithm, any shape of nodes and traffic, anything that goes wrong.
fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng(seed);
    let rule = rule(&mut rng);
    let nodes = rng.between(1, 12) as usize;
    let (interval, max_lease) = (rng.millis(40, 600), rng.between(1, 40));
    let length = rng.millis(400, 1_000);
    Scenario {
        seed,
        mode: Mode::Leased { interval, max_lease },
        rule,
        nodes,
        keys: rng.between(1, 4) as usize,
        cost: rng.between(0, 1) * rng.between(0, 3) + 1,
        traffic: traffic(&mut rng, interval, max_lease),
        length,
        step: rng.millis(4, 12),
        latency: rng.millis(0, 3) * rng.between(0, 10) as u32,
        drift: rng.between(0, 1) * rng.between(0, 50_000),
        faults: (0..rng.between(0, 3)).map(|_| fault(&mut rng, nodes, length)).collect(),
    }
}

/// Somebody who knows how leases work, and makes the most of them: the bucket has refilled by the time of the flood.
fn hoarding(seed: u64) -> Scenario {
    let mut rng = Rng(seed);
    let (nodes, max_lease) = (rng.between(2, 10), rng.between(5, 30));
    let (interval, part) = (rng.millis(300, 900), 0.6 + 0.35 * rng.unit());
    // Spent, and borrowed ahead.
    let taken = 2 * nodes * max_lease;
    let pause = interval.mul_f64(part);
    let rate = (taken as f64 * (1.0 + rng.unit()) / pause.as_secs_f64()) as u64;
    let burst = taken + rng.between(0, 100);
    Scenario {
        rule: Rule::TokenBucket { rate, burst },
        nodes: nodes as usize,
        mode: Mode::Leased { interval, max_lease },
        traffic: Traffic::Hoard {
            first: max_lease,
            pause,
            flood: max_lease + burst / nodes + rng.between(1, 20),
        },
        keys: 1,
        cost: 1,
        length: pause + Duration::from_millis(100),
        step: Duration::from_millis(2),
        latency: rng.millis(0, 5),
        faults: Vec::new(),
        ..scenario(seed)
    }
}

fn rule(rng: &mut Rng) -> Rule {
    let (count, period) = (rng.between(1, 120), rng.millis(200, 1_500));
    match rng.between(0, 5) {
        0..3 => Rule::TokenBucket { rate: rng.between(1, 1_000), burst: rng.between(1, 100) },
        3 => Rule::SlidingLog { count, period },
        4 => Rule::SlidingWindow { count, period },
        _ => Rule::FixedWindow { count, period },
    }
}

fn traffic(rng: &mut Rng, interval: Duration, max_lease: u64) -> Traffic {
    match rng.between(0, 2) {
        0 => Traffic::Hoard {
            first: rng.between(1, max_lease + 5),
            pause: interval.mul_f64(0.3 + 0.65 * rng.unit()),
            flood: rng.between(1, 60),
        },
        _ => Traffic::Steady { per_second: rng.between(10, 800) as f64 },
    }
}

fn fault(rng: &mut Rng, nodes: usize, length: Duration) -> (Duration, Fault) {
    let node = rng.between(0, nodes as u64 - 1) as usize;
    let fault = match rng.between(0, 9) {
        0..5 => Fault::Crash { node },
        5..9 => Fault::Partition { node, lasts: rng.millis(10, 700) },
        _ => Fault::Loss,
    };
    (length.mul_f64(rng.unit()), fault)
}

/// Some lengths of time in which to look.
fn lengths(scenario: &Scenario) -> [Duration; 6] {
    let Mode::Leased { interval, .. } = scenario.mode else { unreachable!() };
    let a_few_calls = 3 * scenario.latency + 4 * scenario.step;
    [Duration::ZERO, scenario.step, a_few_calls, interval / 2, interval, scenario.length]
}

/// Of what the bound allows beyond the algorithm's own, how much was used: more than 1 breaks the promise.
fn used(scenario: &Scenario, outcome: &Outcome) -> f64 {
    let used = lengths(scenario).into_iter().map(|length| {
        let (own, bound) = (scenario.rule.admits(length), bound(scenario, length));
        let most = outcome.most_in(length);
        assert!(most <= bound, "{most} in {length:?}, and not {bound} as promised: {scenario:?}");
        most.saturating_sub(own) as f64 / (bound - own).max(1) as f64
    });
    used.fold(0.0, f64::max)
}

/// The windows of the wall clock are kept to the unit: a lease ends with its window.
fn windows_are_kept(scenario: &Scenario, outcome: &Outcome) {
    let Rule::FixedWindow { count, period } = scenario.rule else { return };
    let lost = scenario.faults.iter().any(|(_, fault)| matches!(fault, Fault::Loss));
    if scenario.drift > 0 || lost || !scenario.latency.is_zero() {
        return;
    }
    let (period, start) = (period.as_nanos() as u64, 2_000_000_000 * SECOND.as_nanos() as u64);
    for times in &outcome.admitted {
        let windows = times.chunk_by(|a, b| (start + a) / period == (start + b) / period);
        for window in windows {
            assert!(window.len() as u64 <= count, "{} of {count}: {scenario:?}", window.len());
        }
    }
}

#[test]
fn no_scenario_admits_more_than_is_promised_and_some_come_close() {
    let part = |seeds: std::ops::Range<u64>| {
        move || {
            let used = seeds.map(|seed| {
                let scenario = if seed % 4 == 0 { hoarding(seed) } else { scenario(seed) };
                let outcome = run(&scenario);
                windows_are_kept(&scenario, &outcome);
                used(&scenario, &outcome)
            });
            used.fold(0.0, f64::max)
        }
    };
    let half = thread::spawn(part(0..SCENARIOS / 2));
    let most = part(SCENARIOS / 2..SCENARIOS)().max(half.join().unwrap());
    println!("{SCENARIOS} scenarios; at most {most:.2} of what the bound allows was used");
    assert!(most >= 0.9, "a bound that nobody comes near promises nothing: {most}");
}

/// Leases are taken, the bucket refills while they are held, and then all is spent at once.
fn hoard() -> Scenario {
    Scenario {
        seed: 1,
        mode: Mode::Leased { interval: SECOND, max_lease: 50 },
        rule: Rule::TokenBucket { rate: 2_000, burst: 1_000 },
        nodes: 10,
        keys: 1,
        cost: 1,
        traffic: Traffic::Hoard { first: 50, pause: SECOND * 7 / 10, flood: 400 },
        length: 3 * SECOND,
        step: Duration::from_millis(5),
        latency: Duration::from_millis(4),
        drift: 0,
        faults: Vec::new(),
    }
}

#[test]
fn the_worst_that_can_be_timed_reaches_most_of_the_bound() {
    let scenario = hoard();
    let used = used(&scenario, &run(&scenario));
    println!("{used:.2} of the bound");
    assert!(used >= 0.5, "{used}");
}

#[test]
fn nodes_that_share_nothing_break_the_bound_and_exact_ones_keep_the_quota() {
    let promised = hoard();
    let alone = Scenario { mode: Mode::Alone, ..promised.clone() };
    assert!(run(&alone).most_in(Duration::ZERO) > bound(&promised, Duration::ZERO));
    let exact = Scenario { mode: Mode::Exact, ..promised.clone() };
    assert!(run(&exact).most_in(3 * SECOND) <= promised.rule.admits(3 * SECOND));
}

#[test]
fn a_scenario_is_the_same_each_time() {
    for seed in 0..20 {
        let (one, other) = (run(&scenario(seed)), run(&scenario(seed)));
        assert_eq!((one.admitted, one.calls), (other.admitted, other.calls), "{seed}");
    }
}

/// What the guide says of too little: what nodes hold, and what comes while they leave the store alone.
#[test]
fn a_limit_that_is_always_asked_for_more_admits_all_but_what_is_held() {
    for seed in 0..100 {
        let mut rng = Rng(seed);
        let (rate, interval) = (rng.between(50, 500), rng.millis(50, 500));
        let (nodes, max_lease) = (rng.between(1, 10), rng.between(1, 20));
        let burst = rng.between(rate / 4, rate);
        let scenario = Scenario {
            seed,
            mode: Mode::Leased { interval, max_lease },
            rule: Rule::TokenBucket { rate, burst },
            nodes: nodes as usize,
            keys: 1,
            cost: 1,
            traffic: Traffic::Steady { per_second: 4.0 * rate as f64 },
            length: 2 * SECOND,
            step: Duration::from_millis(5),
            latency: Duration::from_millis(4),
            drift: 0,
            faults: Vec::new(),
        };
        let admitted = run(&scenario).total();
        let quiet = interval / 8 + scenario.latency + 2 * scenario.step;
        let withheld = nodes * max_lease + (rate as f64 * quiet.as_secs_f64()).ceil() as u64;
        let least = (burst + 2 * rate).saturating_sub(withheld);
        assert!(
            admitted >= least,
            "{admitted} of {} and not {least}: {scenario:?}",
            burst + 2 * rate
        );
    }
}
