//! Comments as summaries and descriptions.

use serde_json::{Map, Value};

/// What a summary may have at most, in characters.
const LONGEST_SUMMARY: usize = 120;

/// Adds the description, if there is one.
pub(super) fn describe(object: &mut Map<String, Value>, text: &str) {
    if !text.is_empty() {
        object.insert("description".into(), text.into());
    }
}

/// The first sentence, without its full stop, and the whole if it says more.
pub(super) fn summarise(object: &mut Map<String, Value>, comment: &str) {
    let (summary, whole) = split(comment);
    if !summary.is_empty() {
        object.insert("summary".into(), summary.into());
    }
    describe(object, whole);
}

fn split(comment: &str) -> (String, &str) {
    let paragraph = comment.split("\n\n").next().unwrap_or_default();
    let line = paragraph.lines().collect::<Vec<_>>().join(" ");
    let sentence = line.split_inclusive(". ").next().unwrap_or_default().trim();
    let summary = sentence.strip_suffix('.').unwrap_or(sentence);
    match summary.chars().count() {
        0 => (String::new(), ""),
        1..=LONGEST_SUMMARY if sentence.len() == comment.len() => (summary.to_owned(), ""),
        1..=LONGEST_SUMMARY => (summary.to_owned(), comment),
        _ => (String::new(), comment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_sums_up() {
        let long = "word ".repeat(40);
        for (comment, summary, description) in [
            ("", "", ""),
            ("Gets a user.", "Gets a user", ""),
            ("Gets a user. Or none.", "Gets a user", "Gets a user. Or none."),
            ("Gets\na user\n\nof v1.2 only", "Gets a user", "Gets\na user\n\nof v1.2 only"),
            (long.as_str(), "", long.as_str()),
        ] {
            assert_eq!(split(comment), (summary.to_owned(), description), "{comment:?}");
        }
    }
}
