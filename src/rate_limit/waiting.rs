//! The bound on requests that wait for their turn.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Has so many places, and no more.
pub(super) struct WaitingRoom {
    places: usize,
    taken: AtomicUsize,
}

/// A place, until it is dropped.
pub(super) struct Place(Arc<WaitingRoom>);

impl WaitingRoom {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places, taken: AtomicUsize::new(0) })
    }

    /// A place, if one is left.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let more = |taken: usize| (taken < self.places).then(|| taken + 1);
        let entered = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.is_ok().then(|| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let room = WaitingRoom::new(2);
        let first = room.enter();
        let second = room.enter();
        assert!(first.is_some() && second.is_some() && room.enter().is_none());
        drop(first);
        assert!(room.enter().is_some());
        assert!(WaitingRoom::new(0).enter().is_none());
    }
}
