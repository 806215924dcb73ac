//! What a file's syntax or edition decides about its fields and enums.
//!
//! Follows [Protobuf Editions](https://protobuf.dev/editions/features/): `proto2` and `proto3` are editions with
//! other defaults; what a file, message or field says for itself overrides what lies around it.

use super::raw::{self, FeatureSet};

/// The features that hold at one place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    presence: i32,
    enums: i32,
    repeated: i32,
    encoding: i32,
}

const EXPLICIT: i32 = 1;
const IMPLICIT: i32 = 2;
const REQUIRED: i32 = 3;
const OPEN: i32 = 1;
const CLOSED: i32 = 2;
const PACKED: i32 = 1;
const EXPANDED: i32 = 2;
const LENGTH_PREFIXED: i32 = 1;
const DELIMITED: i32 = 2;

/// The newest edition that is known: `EDITION_2024`.
const NEWEST: i32 = 1001;
const EDITION_2023: i32 = 1000;

impl Features {
    const PROTO2: Self =
        Self { presence: EXPLICIT, enums: CLOSED, repeated: EXPANDED, encoding: LENGTH_PREFIXED };
    const PROTO3: Self =
        Self { presence: IMPLICIT, enums: OPEN, repeated: PACKED, encoding: LENGTH_PREFIXED };
    const EDITIONS: Self = Self { presence: EXPLICIT, ..Self::PROTO3 };

    /// Those of a file; `Err` names a syntax or an edition that is not known.
    pub(super) fn of_file(file: &raw::File) -> Result<Self, String> {
        let defaults = match (file.syntax.as_str(), file.edition) {
            ("" | "proto2", 0 | 998) => Self::PROTO2,
            ("proto3", 0 | 999) => Self::PROTO3,
            ("editions", EDITION_2023..=NEWEST) => Self::EDITIONS,
            ("editions", edition) => return Err(format!("unknown edition {edition}")),
            (syntax, _) => return Err(format!("unknown syntax `{syntax}`")),
        };
        Ok(defaults.with(file.options.as_ref().and_then(|options| options.features.as_ref())))
    }

    /// These, but for what is said here.
    pub(super) fn with(self, said: Option<&FeatureSet>) -> Self {
        let Some(said) = said else { return self };
        let or = |said: i32, inherited: i32| if said == 0 { inherited } else { said };
        Self {
            presence: or(said.field_presence, self.presence),
            enums: or(said.enum_type, self.enums),
            repeated: or(said.repeated_field_encoding, self.repeated),
            encoding: or(said.message_encoding, self.encoding),
        }
    }

    pub(super) fn is_implicit(self) -> bool {
        self.presence == IMPLICIT
    }

    pub(super) fn is_required(self) -> bool {
        self.presence == REQUIRED
    }

    pub(super) fn is_closed(self) -> bool {
        self.enums == CLOSED
    }

    pub(super) fn is_packed(self) -> bool {
        self.repeated == PACKED
    }

    pub(super) fn is_delimited(self) -> bool {
        self.encoding == DELIMITED
    }
}
