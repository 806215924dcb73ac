//! The choices that the ProtoJSON format leaves open.

/// How JSON is read and printed. The default is the ProtoJSON format's: strict when reading, lowerCamelCase names,
/// no defaults, enums by name, 64-bit integers as strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    pub(super) proto_names: bool,
    pub(super) defaults: bool,
    pub(super) enums_as_numbers: bool,
    pub(super) int64_as_numbers: bool,
    pub(super) ignore_unknown: bool,
}

impl JsonOptions {
    /// The format's defaults.
    pub const fn new() -> Self {
        Self {
            proto_names: false,
            defaults: false,
            enums_as_numbers: false,
            int64_as_numbers: false,
            ignore_unknown: false,
        }
    }

    /// Prints names as they stand in the `.proto` file, `user_id`, and not `userId`. Both are always read.
    #[must_use]
    pub const fn preserve_proto_field_names(self) -> Self {
        Self { proto_names: true, ..self }
    }

    /// Prints fields that have no presence also when they hold their default: `0`, `""`, `[]`, `{}`.
    #[must_use]
    pub const fn print_defaults(self) -> Self {
        Self { defaults: true, ..self }
    }

    /// Prints enums as their numbers. Both are always read.
    #[must_use]
    pub const fn enums_as_numbers(self) -> Self {
        Self { enums_as_numbers: true, ..self }
    }

    /// Prints 64-bit integers as numbers, which clients that read numbers as doubles round beyond 2^53. Both are
    /// always read.
    #[must_use]
    pub const fn int64_as_numbers(self) -> Self {
        Self { int64_as_numbers: true, ..self }
    }

    /// Passes over members that the message does not have, and over enum values that the enum does not have,
    /// instead of refusing with 400.
    #[must_use]
    pub const fn ignore_unknown_fields(self) -> Self {
        Self { ignore_unknown: true, ..self }
    }

    pub(crate) fn prints_proto_names(self) -> bool {
        self.proto_names
    }

    pub(crate) fn prints_enums_as_numbers(self) -> bool {
        self.enums_as_numbers
    }

    pub(crate) fn prints_int64_as_numbers(self) -> bool {
        self.int64_as_numbers
    }

    pub(crate) fn ignores_unknown(self) -> bool {
        self.ignore_unknown
    }
}
