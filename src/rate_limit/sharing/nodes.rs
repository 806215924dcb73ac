//! How many nodes share the limits: each says that it lives, once a second while its layer does.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use super::link::Link;

/// How often a node says that it lives, and how long it lives from then on.
const BEAT: Duration = Duration::from_secs(1);
const LIVES: Duration = Duration::from_secs(5);

/// What this process is called if nobody says: a name that no other has.
pub(super) fn this_process() -> Arc<str> {
    static NAME: LazyLock<Arc<str>> =
        LazyLock::new(|| format!("{:016x}", RandomState::new().hash_one(())).into());
    Arc::clone(&NAME)
}

/// The number of nodes as the store last told; at least 1.
#[derive(Debug, Default)]
pub(in crate::rate_limit) struct Known {
    count: AtomicU32,
    beating: AtomicBool,
}

impl Known {
    pub(in crate::rate_limit) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed).max(1)
    }
}

/// Sees to it that a task says that this node lives, until the link is dropped. If its runtime ends, the next request
/// begins another.
pub(super) fn beat(link: &Arc<Link>, node: &Arc<str>) {
    let beating = &link.nodes.beating;
    if beating.load(Ordering::Relaxed) || beating.swap(true, Ordering::Relaxed) {
        return;
    }
    let beats = Beats(Arc::clone(link));
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(live(beats, Arc::clone(node)));
    }
}

async fn live(beats: Beats, node: Arc<str>) {
    loop {
        let link = &beats.0;
        if let Ok(count) = link.chore(|store| store.nodes(&node, LIVES)).await {
            link.nodes.count.store(count, Ordering::Relaxed);
        }
        link.clock().sleep(BEAT).await;
        // Nobody else has it.
        if Arc::strong_count(link) == 1 {
            return;
        }
    }
}

/// However the task ends, it is then known that none runs.
struct Beats(Arc<Link>);

impl Drop for Beats {
    fn drop(&mut self) {
        self.0.nodes.beating.store(false, Ordering::Relaxed);
    }
}
