//! Server-sent events, as they go by (HTML §9.2.6): the lines of data, and the ends of events.

/// What stands in the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A byte of an event's data.
    Data(u8),
    /// The event is over.
    End,
}

const NAME: &[u8] = b"data";

/// Where in a stream of events we are. Keeps nothing of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    line: Line,
    after_return: bool,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    /// So much of the field's name is that of data.
    Name(usize),
    Data,
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(0)
    }
}

impl Lines {
    /// What the next byte is a piece of.
    pub(super) fn next(&mut self, byte: u8) -> Option<Piece> {
        let second = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
        if second {
            return None;
        }
        if matches!(byte, b'\r' | b'\n') {
            return match std::mem::take(&mut self.line) {
                Line::Name(0) => Some(Piece::End),
                Line::Data => Some(Piece::Data(b'\n')),
                _ => None,
            };
        }
        match self.line {
            Line::Data => return Some(Piece::Data(byte)),
            Line::Name(read) => self.line = after(read, byte),
            Line::Other => {}
        }
        None
    }
}

fn after(read: usize, byte: u8) -> Line {
    match (NAME.get(read), byte) {
        (None, b':') => Line::Data,
        (Some(expected), byte) if *expected == byte => Line::Name(read + 1),
        _ => Line::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str) -> String {
        let mut lines = Lines::default();
        let piece = |piece| match piece {
            Piece::Data(byte) => char::from(byte),
            Piece::End => '|',
        };
        stream.bytes().filter_map(|byte| lines.next(byte)).map(piece).collect()
    }

    #[test]
    fn the_data_of_events_is_read_whatever_ends_a_line() {
        for end in ["\n", "\r", "\r\n"] {
            let stream =
                [": hello", "event: x", "data:1", "data: 2", "", "id: 3", "data:4", "", ""];
            assert_eq!(read(&stream.join(end)), "1\n 2\n|4\n|", "{end:?}");
        }
    }

    #[test]
    fn fields_of_other_names_are_none() {
        assert_eq!(read("dat:1\ndatas:2\n data:3\nDATA:4\ndata\ndata5\n"), "");
    }
}
