//! Base64 as gRPC has it in the values of `-bin` fields: written without padding, read with or without it.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};

const EITHER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `None` for what is no base64 of the standard alphabet.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    EITHER.decode(text).ok()
}

#[cfg(test)]
pub(super) fn encode(bytes: &[u8]) -> String {
    EITHER.encode(bytes)
}

/// As ProtoJSON writes `bytes`.
pub(super) fn padded(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}
