//! The one place that emits events and metrics.
//!
//! With feature `tracing`, each decision is an event with target `tower_gateway::decision`: `debug` for an
//! admission, `info` for a refusal that is the client's doing or that is only reported, `warn` for one that is the
//! gateway's. With feature
//! `metrics`, it counts in `tower_gateway_decisions_total{layer, outcome, reason}`, and for each rate limit in
//! `tower_gateway_rate_limit_total{policy, outcome}`. With neither, these functions do nothing. Changes of a store
//! that nodes share are events with target `tower_gateway::store`, counted in
//! `tower_gateway_store_transitions_total{store, step}`.
//!
//! What a client sent appears escaped and cut; its fields, its query and its credentials do not appear, but for the
//! name of a parameter or a member that a refusal is about.

mod tally;

#[cfg(feature = "metrics")]
use metrics::{Key, Label, Level, Metadata};

use crate::{
    guard::{Guard, Head},
    rejection::Rejection,
};

#[allow(unused_imports, reason = "used by the concerns that have policies")]
pub(crate) use tally::{Outcome, Tally};

/// The target of decision events.
#[cfg(feature = "tracing")]
const DECISION: &str = "tower_gateway::decision";

/// A guard let a request through.
pub(crate) fn admitted<G: Guard>(head: Head<'_>) {
    #[cfg(feature = "metrics")]
    count(Admitted::<G>::KEY);
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: DECISION,
        layer = G::NAME,
        outcome = "admitted",
        method = %head.method(),
        path = %Shown(head.uri().path()),
        client = head.get::<crate::client_ip::ClientIp>().map(|it| tracing::field::display(it.ip())),
    );
    let _ = (G::NAME, head);
}

/// A layer answered a request itself.
pub(crate) fn refused(layer: &'static str, head: Head<'_>, rejection: &Rejection) {
    let client = rejection.status().is_client_error();
    rejected(layer, "refused", client, head, rejection);
}

/// A guard would have refused a request, and let it through because it only reports.
pub(crate) fn reported(layer: &'static str, head: Head<'_>, rejection: &Rejection) {
    rejected(layer, "reported", true, head, rejection);
}

/// At `info` if it is `usual`, else at `warn`.
fn rejected(
    layer: &'static str,
    outcome: &'static str,
    usual: bool,
    head: Head<'_>,
    rejection: &Rejection,
) {
    #[cfg(feature = "metrics")]
    count_rejection(layer, outcome, rejection);
    #[cfg(feature = "tracing")]
    {
        macro_rules! rejected {
            ($level:ident) => {
                tracing::$level!(
                    target: DECISION,
                    layer,
                    outcome,
                    scheme = rejection.scheme(),
                    reason = rejection.reason().name(),
                    status = rejection.status().as_u16(),
                    detail = rejection.detail(),
                    cause = rejection.cause().map(|it| tracing::field::display(Causes(it))),
                    method = %head.method(),
                    path = %Shown(head.uri().path()),
                    client = head
                        .get::<crate::client_ip::ClientIp>()
                        .map(|it| tracing::field::display(it.ip())),
                )
            };
        }
        match usual {
            true => rejected!(info),
            false => rejected!(warn),
        }
    }
    let _ = (layer, outcome, usual, head, rejection);
}

/// A request was refused that could not be read, so that nothing can be said of it.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
pub(crate) fn unreadable(layer: &'static str, rejection: &Rejection) {
    #[cfg(feature = "metrics")]
    count_rejection(layer, "refused", rejection);
    #[cfg(feature = "tracing")]
    tracing::info!(
        target: DECISION,
        layer,
        outcome = "refused",
        reason = rejection.reason().name(),
        status = rejection.status().as_u16(),
        detail = rejection.detail(),
    );
    let _ = (layer, rejection);
}

/// Something that an operator should know and no single request caused.
#[allow(dead_code, reason = "which concerns warn depends on the features")]
pub(crate) fn warning(component: &'static str, message: &str, cause: &dyn std::fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_gateway", component, cause = %Shown(&cause.to_string()), "{message}");
    let _ = (component, message, cause);
}

/// A store that nodes share has changed for the better, or what follows from a change has been done. Counts in
/// `tower_gateway_store_transitions_total{store, step}`, as the worse does.
#[cfg(feature = "rate-limit")]
pub(crate) fn store_step(store: &str, step: &'static str, message: &dyn std::fmt::Display) {
    #[cfg(feature = "metrics")]
    count_step(store, step);
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tower_gateway::store", store, step, "{message}");
    let _ = (store, step, message);
}

/// A store that nodes share has changed for the worse.
#[cfg(feature = "rate-limit")]
pub(crate) fn store_trouble(
    store: &str,
    step: &'static str,
    message: &dyn std::fmt::Display,
    cause: &dyn std::fmt::Display,
) {
    #[cfg(feature = "metrics")]
    count_step(store, step);
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_gateway::store", store, step, cause = %Shown(&cause.to_string()), "{message}");
    let _ = (store, step, message, cause);
}

#[cfg(all(feature = "metrics", feature = "rate-limit"))]
fn count_step(store: &str, step: &'static str) {
    let labels = vec![Label::new("store", store.to_owned()), Label::new("step", step)];
    count(&Key::from_parts("tower_gateway_store_transitions_total", labels));
}

#[cfg(feature = "metrics")]
const DECISIONS: &str = "tower_gateway_decisions_total";

/// What a guard's admissions are counted under, made when the program is: admission allocates nothing.
#[cfg(feature = "metrics")]
struct Admitted<G>(std::marker::PhantomData<G>);

#[cfg(feature = "metrics")]
impl<G: Guard> Admitted<G> {
    const LABELS: &'static [Label] = &labels(G::NAME, "admitted", "none");
    const KEY: &'static Key = &Key::from_static_parts(DECISIONS, Self::LABELS);
}

#[cfg(feature = "metrics")]
const fn labels(layer: &'static str, outcome: &'static str, reason: &'static str) -> [Label; 3] {
    [
        Label::from_static_parts("layer", layer),
        Label::from_static_parts("outcome", outcome),
        Label::from_static_parts("reason", reason),
    ]
}

#[cfg(feature = "metrics")]
fn count_rejection(layer: &'static str, outcome: &'static str, rejection: &Rejection) {
    let labels = labels(layer, outcome, rejection.reason().name());
    count(&Key::from_parts(DECISIONS, labels.to_vec()));
}

#[cfg(feature = "metrics")]
fn count(key: &Key) {
    static METADATA: Metadata<'_> =
        Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    metrics::with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(1));
}

/// Text of a client's: escaped, on one line, cut at 256 bytes.
#[cfg(feature = "tracing")]
struct Shown<'a>(&'a str);

#[cfg(feature = "tracing")]
impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = (0..=self.0.len().min(256)).rev().find(|&at| self.0.is_char_boundary(at));
        let (shown, rest) = self.0.split_at(end.unwrap_or(0));
        write!(f, "{}", shown.escape_debug())?;
        if rest.is_empty() { Ok(()) } else { f.write_str("…") }
    }
}

/// An error and its sources, on one line.
#[cfg(feature = "tracing")]
struct Causes<'a>(&'a (dyn std::error::Error + Send + Sync + 'static));

#[cfg(feature = "tracing")]
impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Shown(&self.0.to_string()))?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {}", Shown(&error.to_string()))?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "tracing"))]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_is_escaped_and_cut() {
        assert_eq!(Shown("/a\u{1b}[2J\r\nb").to_string(), "/a\\u{1b}[2J\\r\\nb");
        let long = Shown(&"é".repeat(500)).to_string();
        assert_eq!(long.chars().count(), 129);
    }
}

#[cfg(all(test, feature = "metrics"))]
mod metrics_tests {
    use std::sync::Mutex;

    use http::Request;
    use metrics::{Counter, Gauge, Histogram, KeyName, Recorder, SharedString, Unit};

    use super::*;
    use crate::guard::Verdict;

    /// Keeps the keys of the counters that are asked for.
    #[derive(Default)]
    struct Keys(Mutex<Vec<String>>);

    impl Recorder for Keys {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.0.lock().unwrap().push(key.to_string());
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    struct Door;

    impl Guard for Door {
        const NAME: &'static str = "door";
        type Pass = ();

        fn check(&self, _: Head<'_>) -> Verdict<()> {
            Verdict::admit(())
        }
    }

    #[test]
    fn decisions_are_counted_under_the_same_name_and_labels() {
        let keys = Keys::default();
        let request = Request::new(());
        metrics::with_local_recorder(&keys, || {
            admitted::<Door>(Head::of(&request));
            refused(Door::NAME, Head::of(&request), &Rejection::forbidden("No."));
            reported(Door::NAME, Head::of(&request), &Rejection::forbidden("No."));
        });
        let keys = keys.0.lock().unwrap();
        let key = |outcome: &'static str, reason: &'static str| {
            let labels = [("layer", "door"), ("outcome", outcome), ("reason", reason)];
            Key::from_parts(DECISIONS, &labels).to_string()
        };
        let forbidden = |outcome| key(outcome, "forbidden");
        assert_eq!(*keys, [key("admitted", "none"), forbidden("refused"), forbidden("reported")]);
    }

    #[cfg(feature = "rate-limit")]
    #[test]
    fn changes_of_a_store_are_counted_by_its_name_and_the_step() {
        let keys = Keys::default();
        metrics::with_local_recorder(&keys, || {
            store_trouble("limits", "down", &"It is down.", &"refused");
            store_step("limits", "up", &"It is up.");
        });
        let step = |step: &'static str| {
            let labels = [("store", "limits"), ("step", step)];
            Key::from_parts("tower_gateway_store_transitions_total", &labels).to_string()
        };
        assert_eq!(*keys.0.lock().unwrap(), [step("down"), step("up")]);
    }
}
