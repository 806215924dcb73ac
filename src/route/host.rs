//! Patterns of hosts.

use std::borrow::Cow;

/// Whose requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    Any,
    /// This name or address.
    Exact(Box<str>),
    /// All names that end with this, which begins with a dot.
    Below(Box<str>),
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let folded = fold(text);
        let name = folded.strip_suffix('.').unwrap_or(&folded);
        let (below, name) = match name.strip_prefix('*') {
            Some(name) if name.starts_with('.') => (true, name),
            Some(_) => return Err(format!("`{text}`: write *.example")),
            None => (false, name),
        };
        let allowed = |it: char| it.is_ascii_alphanumeric() || "-._~".contains(it);
        let address = name.starts_with('[') && name.ends_with(']');
        let mut labels = name[usize::from(below)..].split('.');
        if !address && (!name.chars().all(allowed) || labels.any(str::is_empty)) {
            return Err(format!("`{text}` is no host name; a port is not part of it"));
        }
        Ok(match below {
            true => Self::Below(name.into()),
            false => Self::Exact(name.into()),
        })
    }
}

/// A host name in lower case.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let parse = HostPattern::parse;
        assert_eq!(parse("API.example."), Ok(HostPattern::Exact("api.example".into())));
        assert_eq!(parse("*.example"), Ok(HostPattern::Below(".example".into())));
        assert_eq!(parse("[::1]"), Ok(HostPattern::Exact("[::1]".into())));
        for text in ["", "*", "*example", "a.*", "a:80", "a..b", "a/b", ".a", "*..a", "*."] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
