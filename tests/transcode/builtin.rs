//! The descriptors that are built in are those of the protos that lie beside the examples.
//!
//! After a change of a vendored proto, or of protox's well-known types, write the file anew:
//! `WRITE=1 cargo test --all-features --test transcode builtin`.

use std::{env, fs};

const BUILTIN: &str = "src/transcode/types/builtin.binpb";

/// Messages with a JSON form of their own, and those that errors bring.
const FILES: [&str; 11] = [
    "google/api/httpbody.proto",
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
    "google/rpc/code.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
];

fn compiled() -> Vec<u8> {
    let mut compiler = protox::Compiler::new(["examples/proto/proto"]).unwrap();
    compiler.include_imports(true).include_source_info(false).open_files(FILES).unwrap();
    compiler.encode_file_descriptor_set()
}

#[test]
fn the_file_is_what_the_protos_say() {
    if env::var_os("WRITE").is_some() {
        fs::write(BUILTIN, compiled()).unwrap();
    }
    let changed = "see the head of tests/transcode/builtin.rs";
    assert!(fs::read(BUILTIN).unwrap() == compiled(), "{changed}");
}
