//! The program that the official protobuf conformance suite drives: it reads requests from the standard input,
//! translates with `Schema` between JSON and wire bytes, and answers on the standard output.
//!
//! `docs/development.md` says how to run the suite.

use std::{
    env, fs,
    io::{self, Read, Write},
};

use prost::Message;
use tower_gateway::transcode::Schema;

mod suite;

use suite::{ConformanceRequest, ConformanceResponse, Outcome, answer};

/// A length and as many octets.
fn write(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes())?;
    out.write_all(bytes)?;
    out.flush()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = Schema::from_descriptor_set(fs::read(env::var("TESTEE_DESCRIPTORS")?)?)?;
    // With this, what was asked and answered is kept, for `tests/transcode/conformance.rs`.
    let record = env::var_os("TESTEE_RECORD");
    let mut record = record.map(|path| fs::OpenOptions::new().create(true).append(true).open(path));
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut request)?;
        let result = match ConformanceRequest::decode(request.as_slice()) {
            Ok(request) => answer(&schema, &request),
            Err(error) => Outcome::Skipped(error.to_string()),
        };
        let skipped = matches!(result, Outcome::Skipped(_));
        let response = ConformanceResponse { result: Some(result) }.encode_to_vec();
        write(&mut output, &response)?;
        if let (Some(Ok(record)), false) = (&mut record, skipped) {
            write(record, &request)?;
            write(record, &response)?;
        }
    }
    Ok(())
}
