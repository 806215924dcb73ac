//! What a limit that many points of presence share admits, and what it asks of its store: simulated.
//!
//! ```sh
//! cargo run --release --example simulate_edge --features full,test-util -- docs/guides/img
//! ```
//!
//! Each point of presence is a real `RateLimitLayer`, over a network that delays, cuts and loses, by a clock of its
//! own. No time passes but by hand: a run takes some seconds, and prints the same each time. The plots go into the
//! directory that is given, else into `target/simulate_edge`; a second argument is the seed.

#[path = "simulate_edge/plot.rs"]
mod plot;
#[path = "simulate_edge/world.rs"]
mod world;

use std::{fs, path::PathBuf, time::Duration};

use plot::Plot;
use world::{Fault, Mode, Outcome, Rng, Rule, Scenario, Traffic, bound, run};

const RATE: u64 = 10_000;
const BURST: u64 = 2_000;
const SECOND: Duration = Duration::from_secs(1);

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "target/simulate_edge".into());
    let directory = PathBuf::from(directory);
    let seed = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(1);
    fs::create_dir_all(&directory)?;

    table(seed);
    fs::write(directory.join("over-admission.svg"), over_admission(seed).svg())?;
    fs::write(directory.join("calls.svg"), calls(seed).svg())?;
    fs::write(directory.join("exact-and-leased.svg"), over_time(seed).svg())?;
    println!("\nplots are in {}", directory.display());
    Ok(())
}

/// Points of presence under one limit of 10,000 a second and 2,000 at once, where 20,000 a second come.
fn edge(seed: u64, nodes: usize, mode: Mode) -> Scenario {
    Scenario {
        seed,
        mode,
        rule: Rule::TokenBucket { rate: RATE, burst: BURST },
        nodes,
        keys: 1,
        cost: 1,
        traffic: Traffic::Steady { per_second: 20_000.0 },
        length: 2 * SECOND,
        step: Duration::from_millis(5),
        latency: Duration::from_millis(10),
        drift: 200,
        faults: Vec::new(),
    }
}

fn leased(interval: u64) -> Mode {
    Mode::Leased { interval: Duration::from_millis(interval), max_lease: BURST / 10 }
}

/// One in ten is cut off for a while, and one in twenty crashes.
fn faults(seed: u64, nodes: usize) -> Vec<(Duration, Fault)> {
    let mut rng = Rng(seed);
    let mut any = |share: usize, fault: &dyn Fn(usize) -> Fault| {
        let mut one = || (rng.millis(200, 1_500), fault(rng.between(0, nodes as u64 - 1) as usize));
        (0..nodes.div_ceil(share)).map(|_| one()).collect::<Vec<_>>()
    };
    let lasts = Duration::from_millis(400);
    let mut faults = any(10, &|node| Fault::Partition { node, lasts });
    faults.extend(any(20, &|node| Fault::Crash { node }));
    faults
}

/// What was admitted in the worst second beyond what the quota admits in one.
fn over(scenario: &Scenario, outcome: &Outcome) -> u64 {
    outcome.most_in(SECOND).saturating_sub(scenario.rule.admits(SECOND))
}

fn table(seed: u64) {
    println!(
        "{RATE} a second and {BURST} at once for one key; 20,000 a second come for 2 seconds;"
    );
    println!("1 in 10 nodes is cut off for 400 ms, 1 in 20 crashes, clocks differ by 200 ppm\n");
    println!(
        "| nodes | mode | offered | admitted | of exact | over, worst second | bound | calls/request |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    for nodes in [1, 10, 100, 300] {
        let faults = faults(seed, nodes);
        let mut exact = None;
        for (name, mode) in
            [("exact", Mode::Exact), ("leased", leased(500)), ("alone", Mode::Alone)]
        {
            let scenario = Scenario { faults: faults.clone(), ..edge(seed, nodes, mode) };
            let outcome = run(&scenario);
            let exact = *exact.get_or_insert(outcome.total());
            println!(
                "| {nodes} | {name} | {} | {} | {:.1} % | {} | {} | {:.4} |",
                outcome.offered,
                outcome.total(),
                100.0 * outcome.total() as f64 / exact as f64,
                over(&scenario, &outcome),
                match mode {
                    Mode::Alone => "none".into(),
                    _ => (bound(&scenario, SECOND) - scenario.rule.admits(SECOND)).to_string(),
                },
                outcome.calls_per_request(),
            );
        }
    }
}

const INTERVALS: [u64; 6] = [50, 100, 200, 400, 800, 1_600];

/// Ten nodes under 2,000 a second and 1,000 at once, and somebody who knows how leases work and times requests to
/// harm: has each node borrow, waits until the bucket has refilled, and spends all at once before leases end.
fn harm(seed: u64, interval: u64) -> Scenario {
    let pause = Duration::from_millis(interval * 92 / 100);
    // Each node spends as much as it borrows ahead: in the pause, the bucket regains both.
    let regained = 2_000.0 * pause.as_secs_f64();
    Scenario {
        rule: Rule::TokenBucket { rate: 2_000, burst: 1_000 },
        mode: Mode::Leased { interval: Duration::from_millis(interval), max_lease: 100 },
        traffic: Traffic::Hoard { first: (regained / 20.0).min(50.0) as u64, pause, flood: 400 },
        length: 2 * pause,
        latency: Duration::from_millis(2),
        step: Duration::from_millis(1),
        ..edge(seed, 10, Mode::Exact)
    }
}

fn over_admission(seed: u64) -> Plot<'static> {
    let few = Duration::from_millis(10);
    let (mut promised, mut timed, mut usual) = (Vec::new(), Vec::new(), Vec::new());
    for interval in INTERVALS {
        let harm = harm(seed, interval);
        let steady = Traffic::Steady { per_second: 1_800.0 };
        let fair = Scenario { traffic: steady, ..harm.clone() };
        let own = harm.rule.admits(few);
        let most = |scenario: &Scenario| run(scenario).most_in(few).saturating_sub(own) as f64;
        promised.push((interval as f64, (bound(&harm, few) - own) as f64));
        timed.push((interval as f64, most(&harm)));
        usual.push((interval as f64, most(&fair)));
    }
    Plot {
        title: "Admitted beyond the quota: 10 nodes, 2,000/s, 1,000 at once, leases of 100",
        x: "sync interval, ms",
        y: "units, in the worst 10 ms",
        log_x: true,
        lines: vec![
            ("the bound".into(), promised),
            ("timed to harm".into(), timed),
            ("steady traffic, nine tenths of the quota".into(), usual),
        ],
    }
}

fn calls(seed: u64) -> Plot<'static> {
    let line = |nodes: usize| {
        let point = |interval: u64| {
            let mode = leased(interval);
            (interval as f64, run(&edge(seed, nodes, mode)).calls_per_request())
        };
        (
            format!("{nodes} node{}", if nodes == 1 { "" } else { "s" }),
            INTERVALS.into_iter().map(point).collect(),
        )
    };
    Plot {
        title: "Calls to the store, leased: 20,000 requests/s on one key (exact: 1)",
        x: "sync interval, ms",
        y: "calls per request",
        log_x: true,
        lines: [300, 100, 10, 1].map(line).into(),
    }
}

/// What ten nodes admit in each 50 ms while the traffic exceeds the quota.
fn over_time(seed: u64) -> Plot<'static> {
    let line = |name: &str, mode: Mode| {
        let scenario = edge(seed, 10, mode);
        let mut admitted = vec![0_u32; 40];
        for time in run(&scenario).admitted.concat() {
            admitted[(time / 50_000_000).min(39) as usize] += 1;
        }
        let point = |(slot, count): (usize, u32)| (slot as f64 * 50.0, f64::from(count));
        (name.into(), admitted.into_iter().enumerate().map(point).collect())
    };
    Plot {
        title: "Admitted over time: 10 nodes, 10,000/s and 2,000 at once, 20,000/s come",
        x: "ms",
        y: "requests in 50 ms",
        log_x: false,
        lines: vec![line("exact", Mode::Exact), line("leased, 500 ms", leased(500))],
    }
}
