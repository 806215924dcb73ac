//! Claims as a type of the user's.

use std::any::type_name;

use serde::de::DeserializeOwned;

use super::Challenge;
use crate::{
    identity::{Claims, Identity},
    rejection::Rejection,
};

/// Reads verified claims into `C`, if that was asked for.
pub(crate) struct Reader<C>(Option<Read<C>>);

type Read<C> = fn(&[u8]) -> Option<C>;

impl Reader<()> {
    /// Reads nothing.
    pub(crate) const NONE: Self = Self(None);
}

impl<C: DeserializeOwned> Reader<C> {
    pub(crate) fn typed() -> Self {
        Self(Some(|json| serde_json::from_slice(json).ok()))
    }
}

impl<C> Reader<C> {
    /// # Errors
    ///
    /// 401 for claims that are no `C`.
    pub(crate) fn read(
        self,
        identity: &Identity,
        challenge: &Challenge,
    ) -> Result<Option<Claims<C>>, Rejection> {
        let Some(read) = self.0 else {
            return Ok(None);
        };
        match read(identity.claims_json()) {
            Some(claims) => Ok(Some(Claims::new(claims))),
            None => {
                let why = "The credential's claims are not those that are needed.";
                let cause = format!("the claims are no {}", type_name::<C>());
                Err(challenge.invalid_token(why).caused_by(cause))
            }
        }
    }
}

impl<C> Clone for Reader<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Reader<C> {}
