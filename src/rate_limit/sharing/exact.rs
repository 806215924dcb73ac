//! The exact mode: each request asks the store.

use std::sync::Arc;

use super::{Taken, link::Link};
use crate::rate_limit::{
    quota::Quota,
    ruling::{Ruling, Said},
    store::{Answer, Demand, StoreError},
};

/// Takes from all demands, or from none; one round trip.
pub(super) fn take(link: &Arc<Link>, demands: &[Demand]) -> Taken {
    let call = link.call(|store| {
        let asked: Vec<_> = demands.iter().map(|it| (it.quota(), it.is_enforced())).collect();
        let answers = store.take(demands.to_vec());
        async move { complete(asked, answers.await?) }
    });
    match call {
        Ok(ruling) => Taken::Later(ruling),
        Err(error) => Taken::Now(Err(error)),
    }
}

/// What was asked, and what each was answered: as many answers as demands, or none can be told from another.
fn complete(asked: Vec<(Quota, bool)>, answers: Vec<Answer>) -> Result<Ruling, StoreError> {
    if answers.len() != asked.len() {
        let (answers, demands) = (answers.len(), asked.len());
        return Err(StoreError::new(format!("{answers} answers to {demands} demands")));
    }
    let said = |((quota, enforced), answer)| Said { quota, enforced, answer };
    Ok(asked.into_iter().zip(answers).map(said).collect())
}
