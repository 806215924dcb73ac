//! Limits that several nodes share: who is asked, how, and what happens when nobody answers.

use std::{fmt, sync::Arc};

use super::{
    ruling::{Ruling, Said},
    store::{Answer, Demand, Receipt, Store, StoreError},
};
use crate::guard::BoxFuture;

/// How the limits of a layer are shared between nodes.
#[derive(Clone)]
pub struct Sharing {
    store: Arc<dyn Store>,
}

impl Sharing {
    /// Each request asks the store: exact, and one round trip.
    pub fn exact(store: impl Store) -> Self {
        Self { store: Arc::new(store) }
    }

    /// Takes from all demands, or from none.
    pub(super) fn take(&self, demands: Vec<Demand>) -> Taken {
        let asked: Vec<_> = demands.iter().map(|it| (it.quota(), it.is_enforced())).collect();
        let answers = self.store.take(demands);
        Taken::Later(Box::pin(async move {
            let said =
                |((quota, enforced), answer): ((_, _), Answer)| Said { quota, enforced, answer };
            Ok(asked.into_iter().zip(answers.await?).map(said).collect())
        }))
    }
}

/// What is told to those who keep the limits, and asked of them, beside decisions.
impl Sharing {
    /// Takes and gives back what requests have cost more or less than was reserved.
    pub(super) async fn settle(
        &self,
        charges: Vec<Demand>,
        refunds: Vec<(Demand, Receipt)>,
    ) -> Result<(), StoreError> {
        if !charges.is_empty() {
            self.store.charge(charges).await?;
        }
        if !refunds.is_empty() {
            self.store.refund(refunds).await?;
        }
        Ok(())
    }

    pub(super) async fn read(&self, demand: Demand) -> Result<Answer, StoreError> {
        self.store.read(demand).await
    }

    pub(super) async fn reset(&self, demand: Demand) -> Result<(), StoreError> {
        self.store.reset(demand).await
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sharing")
    }
}

/// What came of it: at once, or when the store has answered.
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(super) enum Taken {
    #[allow(dead_code)]
    Now(Result<Ruling, StoreError>),
    Later(BoxFuture<Result<Ruling, StoreError>>),
}
