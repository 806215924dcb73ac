//! JSON to wire bytes.

use super::JsonOptions;
use crate::transcode::{
    fault::Fault,
    types::{MessageId, Types},
};

pub(crate) struct Parse<'a> {
    pub(crate) types: &'a Types,
    pub(crate) options: JsonOptions,
    pub(crate) reserved: &'a Reserved,
}

#[derive(Debug, Default)]
pub(crate) struct Reserved;

impl Parse<'_> {
    pub(crate) fn message(&self, _: MessageId, _: &[u8], _: &mut Vec<u8>) -> Result<(), Fault> {
        Err(Fault::new("being built"))
    }
}
