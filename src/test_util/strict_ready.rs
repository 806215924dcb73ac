//! An inner service that takes tower's readiness contract at its word.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

/// Wraps a service so that breaches of the `poll_ready` contract show.
///
/// * `call` panics unless *this instance* returned ready since its last call.
/// * A clone is never ready, whatever its original is: as with `tower::limit` and `tower::buffer`.
/// * The first `poll_ready` after a call is pending once, so that a caller that does not wait is found out.
/// * Each readiness is a reservation until its call's future has ended or it is dropped: [`Reservations`] counts
///   those that are held.
pub struct StrictReady<S> {
    inner: S,
    state: State,
    held: Reservations,
}

enum State {
    Idle,
    Asked,
    Ready(Reservation),
}

impl<S> StrictReady<S> {
    /// A strict service around `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, state: State::Idle, held: Reservations::default() }
    }

    /// Counts the reservations of this service and all its clones.
    pub fn reservations(&self) -> Reservations {
        self.held.clone()
    }
}

impl<S: Clone> Clone for StrictReady<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), state: State::Idle, held: self.held.clone() }
    }
}

impl<S> fmt::Debug for StrictReady<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StrictReady")
    }
}

impl<S: Service<R>, R> Service<R> for StrictReady<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = ReservedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.state {
            State::Ready(_) => return Poll::Ready(Ok(())),
            State::Idle => {
                self.state = State::Asked;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            State::Asked => ready!(self.inner.poll_ready(cx))?,
        }
        self.state = State::Ready(self.held.reserve());
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let State::Ready(reservation) = std::mem::replace(&mut self.state, State::Idle) else {
            panic!(
                "called without being ready: `poll_ready` was skipped, or asked of another instance"
            );
        };
        ReservedFuture { future: self.inner.call(request), reservation }
    }
}

/// How many reservations are held.
#[derive(Clone, Debug, Default)]
pub struct Reservations(Arc<AtomicUsize>);

impl Reservations {
    /// Readied instances and running calls.
    pub fn held(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn reserve(&self) -> Reservation {
        self.0.fetch_add(1, Ordering::SeqCst);
        Reservation(Arc::clone(&self.0))
    }
}

struct Reservation(Arc<AtomicUsize>);

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pin_project! {
    /// A call that holds its reservation until it ends.
    pub struct ReservedFuture<F> {
        #[pin]
        future: F,
        reservation: Reservation,
    }
}

impl<F: Future> Future for ReservedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F> fmt::Debug for ReservedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReservedFuture")
    }
}
