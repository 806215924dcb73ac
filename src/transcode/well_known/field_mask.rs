//! `google.protobuf.FieldMask`: paths in lowerCamelCase, separated by commas.

/// One path as it stands in JSON; `None` if it would not come back as it was.
pub(crate) fn put(out: &mut Vec<u8>, path: &str) -> Option<()> {
    let mut raise = false;
    for byte in path.bytes() {
        match byte {
            b'_' if raise => return None,
            b'_' => raise = true,
            b'A'..=b'Z' => return None,
            _ if raise && !byte.is_ascii_lowercase() => return None,
            _ => {
                out.push(if std::mem::take(&mut raise) { byte.to_ascii_uppercase() } else { byte });
            }
        }
    }
    (!raise).then_some(())
}

/// The paths, each in snake_case; `None` if one has an underscore or is empty.
pub(crate) fn parse(text: &str) -> Option<Vec<String>> {
    match text {
        "" => Some(Vec::new()),
        text => text.split(',').map(snake_case).collect(),
    }
}

fn snake_case(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len() + 4);
    for char in path.chars() {
        match char {
            '_' => return None,
            'A'..='Z' => out.extend(['_', char.to_ascii_lowercase()]),
            _ => out.push(char),
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back() {
        let cases = [("a", "a"), ("f_bar", "fBar"), ("a.b_c.d", "a.bC.d"), ("f1.x_y1", "f1.xY1")];
        for (path, json) in cases {
            let mut out = Vec::new();
            put(&mut out, path).unwrap();
            assert_eq!(out, json.as_bytes());
            assert_eq!(parse(json), Some(vec![path.to_owned()]));
        }
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse("a,bC"), Some(vec!["a".to_owned(), "b_c".to_owned()]));
    }

    #[test]
    fn what_would_not_come_back_is_refused() {
        for path in ["fooBar", "a__b", "a_", "foo_3_bar", "a_.b", "A"] {
            assert_eq!(put(&mut Vec::new(), path), None, "{path}");
        }
        for text in ["a_b", "a,,b", ",", "a,"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
