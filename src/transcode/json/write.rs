//! Wire bytes to JSON.

use super::JsonOptions;
use crate::transcode::{
    fault::Fault,
    types::{MessageId, Types},
};

pub(crate) struct Print<'a> {
    pub(crate) types: &'a Types,
    pub(crate) options: JsonOptions,
    pub(crate) limit: usize,
}

impl Print<'_> {
    pub(crate) fn message(&self, _: MessageId, _: &[u8], _: &mut Vec<u8>) -> Result<(), Fault> {
        Err(Fault::new("being built"))
    }
}
