//! Writes a stream of messages in a framing: each message's JSON goes straight to where it is sent from.
//!
//! Open a record, write JSON behind it, close it; or abandon it, and it was never there.

use memchr::memchr2;

use super::framing::Framing;

/// A response body in the making. What it writes may be taken away between records.
#[derive(Debug)]
pub(crate) struct Records {
    framing: Framing,
    /// A record has been written.
    begun: bool,
    /// An error has been written, or the end.
    over: bool,
}

/// A record that is being written: its JSON comes next.
#[derive(Debug)]
#[must_use = "a record is open until it is closed or abandoned"]
pub(crate) struct Record {
    /// Where it begins.
    start: usize,
    /// Where its JSON begins.
    json: usize,
    first: bool,
    error: bool,
}

impl Records {
    pub(crate) const fn new(framing: Framing) -> Self {
        Self { framing, begun: false, over: false }
    }

    /// Begins a message at the end of `out`.
    pub(crate) fn open(&mut self, out: &mut Vec<u8>) -> Record {
        self.record(out, false)
    }

    /// Begins the `google.rpc.Status` that ends the stream, at the end of `out`.
    pub(crate) fn open_error(&mut self, out: &mut Vec<u8>) -> Record {
        self.record(out, true)
    }

    fn record(&mut self, out: &mut Vec<u8>, error: bool) -> Record {
        let (start, first) = (out.len(), !self.begun);
        out.extend_from_slice(match (self.framing, first, error) {
            (Framing::Ndjson, ..) => b"",
            (Framing::Sse, _, false) => b"data: ",
            (Framing::Sse, _, true) => b"event: error\ndata: ",
            (Framing::Array, true, _) => b"[",
            (Framing::Array, false, _) => b",",
        });
        self.begun = true;
        Record { start, json: out.len(), first, error }
    }

    /// Ends a record. What follows an error is nothing.
    pub(crate) fn close(&mut self, record: Record, out: &mut Vec<u8>) {
        if self.framing != Framing::Array {
            join_lines(out.get_mut(record.json..).unwrap_or_default());
        }
        out.extend_from_slice(match (self.framing, record.error) {
            (Framing::Ndjson, _) => b"\n",
            (Framing::Sse, _) => b"\n\n",
            (Framing::Array, false) => b"",
            (Framing::Array, true) => b"]",
        });
        self.over = record.error;
    }

    /// Takes a record back, of which the JSON could not be written.
    pub(crate) fn abandon(&mut self, record: Record, out: &mut Vec<u8>) {
        out.truncate(record.start);
        self.begun = !record.first;
    }

    /// Ends the stream, if no error has.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) && self.framing == Framing::Array {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
    }
}

/// A line end would end the record. In JSON it stands between tokens only (RFC 8259 §7), where a space means the same.
fn join_lines(json: &mut [u8]) {
    let mut rest = json;
    while let Some(at) = memchr2(b'\n', b'\r', rest) {
        let (_, tail) = rest.split_at_mut(at);
        let [end, tail @ ..] = tail else { return };
        *end = b' ';
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Framing::{Array, Ndjson, Sse};

    fn written(framing: Framing, messages: &[&str], error: Option<&str>) -> String {
        let (mut records, mut out) = (Records::new(framing), Vec::new());
        for message in messages {
            let record = records.open(&mut out);
            out.extend_from_slice(message.as_bytes());
            records.close(record, &mut out);
        }
        if let Some(error) = error {
            let record = records.open_error(&mut out);
            out.extend_from_slice(error.as_bytes());
            records.close(record, &mut out);
        }
        records.finish(&mut out);
        records.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_framing_writes_messages() {
        let messages = ["{\"n\":1}", "{}"];
        assert_eq!(written(Ndjson, &messages, None), "{\"n\":1}\n{}\n");
        assert_eq!(written(Sse, &messages, None), "data: {\"n\":1}\n\ndata: {}\n\n");
        assert_eq!(written(Array, &messages, None), "[{\"n\":1},{}]");
    }

    #[test]
    fn a_stream_may_be_empty() {
        assert_eq!([Ndjson, Sse, Array].map(|it| written(it, &[], None)), ["", "", "[]"]);
    }

    #[test]
    fn an_error_is_the_last_record() {
        let error = Some("{\"code\":5}");
        assert_eq!(written(Ndjson, &["1"], error), "1\n{\"code\":5}\n");
        assert_eq!(written(Sse, &["1"], error), "data: 1\n\nevent: error\ndata: {\"code\":5}\n\n");
        assert_eq!(written(Array, &["1"], error), "[1,{\"code\":5}]");
        assert_eq!(written(Array, &[], error), "[{\"code\":5}]");
    }

    #[test]
    fn a_pretty_message_stays_one_record() {
        let pretty = "{\n  \"a\": [\r\n    \"x\\ny\"\n  ]\n}\n";
        let line = "{   \"a\": [      \"x\\ny\"   ] } ";
        assert_eq!(written(Ndjson, &[pretty], None), format!("{line}\n"));
        assert_eq!(written(Sse, &[pretty], None), format!("data: {line}\n\n"));
        assert_eq!(written(Array, &[pretty], None), format!("[{pretty}]"));
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(read(line), read(pretty));
    }

    #[test]
    fn an_abandoned_record_was_never_there() {
        for framing in Framing::ALL {
            let (mut records, mut out) = (Records::new(framing), Vec::new());
            let record = records.open(&mut out);
            out.extend_from_slice(b"{\"half\":");
            records.abandon(record, &mut out);
            assert_eq!(out, b"");
            let record = records.open_error(&mut out);
            out.extend_from_slice(b"{}");
            records.close(record, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written(framing, &[], Some("{}")));
        }
    }

    #[test]
    fn what_is_written_may_be_taken_between_records() {
        let (mut records, mut sent) = (Records::new(Array), Vec::new());
        for n in ["1", "2"] {
            let mut out = Vec::new();
            let record = records.open(&mut out);
            out.extend_from_slice(n.as_bytes());
            records.close(record, &mut out);
            sent.push(String::from_utf8(out).unwrap());
        }
        assert_eq!(sent, ["[1", ",2"]);
    }
}
