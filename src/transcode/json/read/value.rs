//! `google.protobuf.Value`: any JSON.

use super::{Reader, reserved::Reserved};
use crate::transcode::{fault::Fault, types::Field};

impl Reader<'_, '_> {
    /// The content of a `Value`, by its fields: null, number, string, bool, struct, list.
    pub(super) fn value(&mut self, kinds: &[Field]) -> Result<(), Fault> {
        let [null, number, string, boolean, object, list] = kinds else {
            return Err(Fault::new("a value without kinds.")); // no descriptor says so
        };
        let kind = match self.cursor.peek() {
            b'n' => null,
            b'-' | b'0'..=b'9' => number,
            b'"' => string,
            b't' | b'f' => boolean,
            b'{' => object,
            b'[' => list,
            _ => return Err(self.cursor.unexpected("a value")),
        };
        self.single(kind, Reserved::nothing())
    }
}
