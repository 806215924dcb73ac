use std::time::{Duration, Instant};

#[path = "../../examples/simulate_edge/world.rs"]
mod world;

use world::{Fault, Mode, Outcome, Rng, Rule, Scenario, Traffic, bound, run};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Any algorithm, any shape of nodes and traffic, anything that goes wrong.
fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng(seed);
    let interval = rng.millis(40, 600);
    let period = rng.millis(200, 1_500);
    let count = rng.between(1, 120);
    let rule = match rng.between(0, 6) {
        0..3 => Rule::TokenBucket { rate: rng.between(1, 1_000), burst: rng.between(1, 100) },
        3 => Rule::SlidingLog { count, period },
        4 => Rule::SlidingWindow { count, period },
        _ => Rule::FixedWindow { count, period },
    };
    let nodes = rng.between(1, 12) as usize;
    let max_lease = rng.between(1, 40);
    let length = rng.millis(600, 1_600);
    let traffic = match rng.between(0, 2) {
        0 => Traffic::Hoard {
            first: rng.between(1, max_lease + 5),
            pause: interval.mul_f64(0.3 + 0.65 * rng.unit()),
            flood: rng.between(1, 60),
        },
        _ => Traffic::Steady { per_second: rng.between(10, 1_500) as f64 },
    };
    let mut faults = Vec::new();
    for _ in 0..rng.between(0, 3) {
        let node = rng.between(0, nodes as u64 - 1) as usize;
        let fault = match rng.between(0, 9) {
            0..5 => Fault::Crash { node },
            5..9 => Fault::Partition { node, lasts: rng.millis(10, 700) },
            _ => Fault::Loss,
        };
        faults.push((length.mul_f64(rng.unit()), fault));
    }
    Scenario {
        seed,
        mode: Mode::Leased { interval, max_lease },
        rule,
        nodes,
        keys: rng.between(1, 4) as usize,
        traffic,
        length,
        step: rng.millis(3, 10),
        latency: rng.millis(0, 30),
        drift: rng.between(0, 1) * rng.between(0, 50_000),
        faults,
    }
}

fn lengths(scenario: &Scenario) -> [Duration; 6] {
    let Mode::Leased { interval, .. } = scenario.mode else { unreachable!() };
    [Duration::ZERO, scenario.step, interval / 2, interval, 2 * interval, scenario.length]
}

#[test]
fn measure() {
    let start = Instant::now();
    let (mut offered, mut admitted, mut calls, mut peak) = (0, 0, 0, (0.0, 0));
    let n: u64 = std::env::var("N").map_or(200, |n| n.parse().unwrap());
    for seed in 0..n {
        let scenario = scenario(seed);
        let outcome = run(&scenario);
        offered += outcome.offered;
        admitted += outcome.total();
        calls += outcome.calls;
        for length in lengths(&scenario) {
            let (most, bound, own) =
                (outcome.most_in(length), bound(&scenario, length), scenario.rule.admits(length));
            if most > bound {
                println!("seed {seed}: {most} > {bound} (own {own}) in {length:?}: {scenario:?}");
            }
            let over = most.saturating_sub(own) as f64 / (bound - own).max(1) as f64;
            if over > peak.0 {
                peak = (over, seed);
            }
        }
    }
    println!(
        "{n} scenarios, {offered} offered, {admitted} admitted, {calls} calls, peak {peak:?}, {:?}",
        start.elapsed()
    );
}
