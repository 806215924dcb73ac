//! The comments of a file, by the path of what they stand at.

use std::collections::HashMap;

use super::raw::File;

/// Comments by path, as `google/protobuf/descriptor.proto` counts it: the numbers of fields and places in lists.
pub(super) struct Comments<'a>(HashMap<&'a [i32], &'a str>);

/// How long a comment may be, in octets; what is longer is left out.
const MAX: usize = 16 * 1024;

impl<'a> Comments<'a> {
    pub(super) fn of(file: &'a File) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations.filter_map(|location| {
            let text = match location.leading_comments.trim() {
                "" => location.trailing_comments.trim(),
                leading => leading,
            };
            (!text.is_empty() && text.len() <= MAX).then_some((location.path.as_slice(), text))
        });
        Self(comments.collect())
    }

    /// Each line without the blank that follows the slashes.
    pub(super) fn at(&self, path: &[i32]) -> Box<str> {
        let Some(text) = self.0.get(path) else { return Box::default() };
        let lines: Vec<&str> =
            text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
        lines.join("\n").into()
    }
}
