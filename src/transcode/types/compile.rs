//! From files of descriptors to [`Types`].
//!
//! First every message and enum gets its place, then fields are filled in, since they name types that may stand
//! anywhere. All that is wrong is told at once, with the file it is in.

use super::{Types, declare::Declared, fill::fill, merge};
use crate::config_error::{ConfigError, Mistakes};

impl Types {
    /// The types of these descriptor sets, merged; a set is an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    ///
    /// Lists sets that are none, files that differ under one name, types that nobody declares.
    pub(crate) fn compile(sets: &[impl AsRef<[u8]>]) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("transcode");
        let files = merge::files(sets, &mut mistakes);
        let builtin = merge::builtin();
        let mut declared = Declared::default();
        for file in files.values() {
            declared.file(file, &mut mistakes);
        }
        for file in &builtin {
            declared.builtin(file);
        }
        let types = fill(declared, &mut mistakes);
        mistakes.or(types)
    }
}
