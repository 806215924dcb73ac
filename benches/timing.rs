//! Whether the time that an API key's check takes tells something about the key.
//!
//! `cargo bench --all-features --bench timing`. Keys of several classes are presented in random order, a new key for
//! each sample: single keys, unknown ones too, differ by up to some 50 ns among themselves (also over a table of one
//! key), so that the repetition of a few would compare these and not their classes. Of each class the slowest tenth,
//! which is interruptions, is cut off. Each line compares a class with all above it, in their order: the difference
//! of the means, and Welch's t. |t| below 4.5 is the usual bound for "no difference can be seen".
//!
//! `revoked` and `known` are shown for the sake of completeness: only who holds such a key can present it. The last
//! rows show that the method sees what is there: a check that compares octet by octet. Without `--bench` it only
//! checks that it runs.

use std::{convert::Infallible, future::ready, hint::black_box};

use futures_util::FutureExt;
use http::{HeaderValue, Request, Response};
use tower::{Layer, Service, service_fn};
use tower_gateway::{
    auth::api_key::{ApiKeyLayer, KeyFactory, MemoryKeys},
    clock::Clock,
};

/// A kind of key, and how long its checks took, in nanoseconds.
struct Class {
    name: &'static str,
    keys: Vec<HeaderValue>,
    samples: Vec<f64>,
}

impl Class {
    fn new(name: &'static str, keys: impl Iterator<Item = String>) -> Self {
        // Copied, so that all are held alike: what a string's spare capacity does to its clones is no news of the key.
        let keys = keys.map(|it| HeaderValue::from_str(&it).expect("ASCII")).collect();
        Self { name, keys, samples: Vec::new() }
    }
}

/// So many checks are one sample: the clock itself takes some 20 ns, and ticks.
const A_SAMPLE: usize = 8;

fn main() {
    let real = std::env::args().any(|it| it == "--bench");
    let samples = if real { 30_000 } else { 50 };
    layer(samples);
    by_octets(samples);
}

/// The layer, over keys that were not minted here, so that no checksum refuses them first.
fn layer(samples: usize) {
    let factory = KeyFactory::new("acme").expect("a prefix");
    let mint = || factory.mint().expect("random numbers");
    let known: Vec<_> = (0..samples).map(|_| mint()).collect();
    let revoked: Vec<_> = (0..samples).map(|_| mint()).collect();
    let records = known.iter().map(|it| it.record("paula"));
    let records = records.chain(revoked.iter().map(|it| it.record("rosa").revoked()));
    let keys = MemoryKeys::new(records).expect("good records");
    let layer = ApiKeyLayer::new(keys);
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        black_box(&request);
        ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let mut check = |key: &HeaderValue| {
        let mut request = Request::new(());
        request.headers_mut().insert("x-api-key", key.clone());
        let answer = service.call(request).now_or_never();
        black_box(answer.is_some_and(|it| it.is_ok()));
    };
    let at_last = known[0].reveal().len() - 1;
    let wrong_at = |at| known.iter().map(move |it| bent(it.reveal(), at));
    let mut classes = [
        Class::new("unknown", known.iter().map(|_| mint().into_string())),
        Class::new("wrong in its first octet", wrong_at(0)),
        Class::new("wrong in its last octet", wrong_at(at_last)),
        Class::new("revoked", revoked.iter().map(|it| it.reveal().to_owned())),
        Class::new("known", known.iter().map(|it| it.reveal().to_owned())),
    ];
    println!("layer, keys in memory");
    measure(&mut classes, samples, &mut check);
    report(&mut classes);
}

/// What a comparison that stops at the first difference shows, for the method's sake.
fn by_octets(samples: usize) {
    let key = "k".repeat(512);
    let stored = key.clone().into_bytes();
    let mut check = |presented: &HeaderValue| {
        let pairs = stored.iter().zip(presented.as_bytes());
        for (stored, presented) in pairs {
            if black_box(stored) != black_box(presented) {
                return;
            }
        }
    };
    let mut classes = [
        Class::new("wrong in its first octet", [bent(&key, 0)].into_iter()),
        Class::new("wrong in its last octet", [bent(&key, 511)].into_iter()),
    ];
    println!("\nfor comparison: octet by octet, up to the first difference");
    measure(&mut classes, samples, &mut check);
    report(&mut classes);
}

fn bent(key: &str, at: usize) -> String {
    let mut bent = key.to_owned();
    bent.replace_range(at..=at, if &key[at..=at] == "x" { "y" } else { "x" });
    bent
}

fn measure(classes: &mut [Class], samples: usize, check: &mut impl FnMut(&HeaderValue)) {
    let clock = Clock::system();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for turn in 0..samples * classes.len() + 1_000 {
        // xorshift: in no order that a predictor could learn
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let n = (random >> 32) as usize % classes.len();
        let Class { keys, samples, .. } = &mut classes[n];
        let key = &keys[samples.len() % keys.len()];
        let start = clock.now();
        for _ in 0..A_SAMPLE {
            check(key);
        }
        let took = (clock.now() - start).as_nanos() as f64 / A_SAMPLE as f64;
        if turn >= 1_000 {
            samples.push(took);
        }
    }
}

fn report(classes: &mut [Class]) {
    for class in &mut *classes {
        // Of each class its own slowest tenth: one bound for all would hide a slow class.
        class.samples.sort_by(f64::total_cmp);
        class.samples.truncate(class.samples.len() * 9 / 10);
    }
    let first = &classes[0];
    let (mean, _) = moments(&first.samples);
    println!("  {:<28} {mean:8.2} ns, {} samples", first.name, first.samples.len());
    for (n, class) in classes.iter().enumerate().skip(1) {
        let (other, _) = moments(&class.samples);
        print!("  {:<28} {other:8.2} ns", class.name);
        for earlier in &classes[..n] {
            let beyond = other - moments(&earlier.samples).0;
            let t = welch(&earlier.samples, &class.samples);
            print!(", {beyond:+.2} ns (t = {t:+.2})");
        }
        println!();
    }
}

fn moments(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let squares = samples.iter().map(|it| (it - mean).powi(2)).sum::<f64>();
    (mean, squares / (count - 1.0))
}

/// Welch's t of two classes: how many standard errors their means are apart.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let ((a, var_a), (b, var_b)) = (moments(one), moments(other));
    (b - a) / (var_a / one.len() as f64 + var_b / other.len() as f64).sqrt()
}
