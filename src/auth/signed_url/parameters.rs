//! The parameters that are ours: reading them, and knowing them under any spelling.

use std::borrow::Cow;

use crate::auth::query;

/// What the names of all our parameters begin with; names that begin so and are none of these are refused.
const OURS: &str = "gw-";

/// A parameter of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Key,
    Expires,
    From,
    Prefix,
    Host,
    Ip,
    Subject,
    Signature,
}

impl Name {
    const ALL: [Self; 8] = [
        Self::Key,
        Self::Expires,
        Self::From,
        Self::Prefix,
        Self::Host,
        Self::Ip,
        Self::Subject,
        Self::Signature,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "gw-key",
            Self::Expires => "gw-expires",
            Self::From => "gw-from",
            Self::Prefix => "gw-prefix",
            Self::Host => "gw-host",
            Self::Ip => "gw-ip",
            Self::Subject => "gw-sub",
            Self::Signature => "gw-sig",
        }
    }

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// What a URL says of its own signature. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presented<'a> {
    /// The query up to the signature.
    pub(super) signed: &'a str,
    /// What follows the signature, if anything does.
    pub(super) appended: Option<&'a str>,
    pub(super) key: &'a str,
    pub(super) signature: &'a str,
    /// Seconds since the epoch.
    pub(super) expires: u64,
    /// Seconds since the epoch.
    pub(super) from: Option<u64>,
    /// How many leading segments of the path are covered; all of it without.
    pub(super) prefix: Option<usize>,
    pub(super) host: bool,
    pub(super) ip: bool,
    pub(super) subject: Option<Cow<'a, str>>,
}

/// Our parameters are not as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Presented<'a> {
    /// Reads the parameters of a query; `None` if none of them is ours.
    pub(super) fn read(query: &'a str) -> Result<Option<Self>, Malformed> {
        let mut values: [Option<&str>; Name::ALL.len()] = [None; Name::ALL.len()];
        let (mut signed, mut appended) = ("", None);
        let mut start = 0;
        for parameter in query.split('&') {
            let end = start + parameter.len();
            let (name, value) = query::parts(parameter);
            match Name::of(name) {
                None if is_ours(parameter) => return Err(Malformed),
                None => {}
                Some(name) => {
                    let slot = &mut values[name as usize];
                    // Twice, empty, or where nothing is covered.
                    if slot.is_some() || value.is_empty() || appended.is_some() {
                        return Err(Malformed);
                    }
                    *slot = Some(value);
                    if name == Name::Signature {
                        signed = &query[..start.saturating_sub(1)];
                        appended = Some(query.get(end + 1..));
                    }
                }
            }
            start = end + 1;
        }
        if values.iter().all(Option::is_none) {
            return Ok(None);
        }
        let value = |name: Name| values[name as usize];
        Ok(Some(Self {
            signed,
            appended: appended.flatten(),
            key: value(Name::Key).ok_or(Malformed)?,
            signature: value(Name::Signature).ok_or(Malformed)?,
            expires: number(value(Name::Expires).ok_or(Malformed)?)?,
            from: value(Name::From).map(number).transpose()?,
            prefix: value(Name::Prefix).map(count).transpose()?,
            host: flag(value(Name::Host))?,
            ip: flag(value(Name::Ip))?,
            subject: value(Name::Subject).map(text).transpose()?,
        }))
    }
}

/// Whether a parameter's name is one of ours, or would be if its spelling were read with more indulgence.
pub(super) fn is_ours(parameter: &str) -> bool {
    let (name, _) = query::parts(parameter);
    let ours = |name: &[u8]| {
        name.get(..OURS.len()).is_some_and(|it| it.eq_ignore_ascii_case(OURS.as_bytes()))
    };
    ours(name.as_bytes()) || (name.contains(['%', '+']) && ours(&query::decoded(name)))
}

/// Seconds since the epoch: digits, as many as a far future needs, and no zero before them.
fn number(text: &str) -> Result<u64, Malformed> {
    let digits = text.bytes().all(|it| it.is_ascii_digit());
    match digits && text.len() <= 12 && !text.starts_with('0') {
        true => text.parse().map_err(|_| Malformed),
        false => Err(Malformed),
    }
}

fn count(text: &str) -> Result<usize, Malformed> {
    usize::try_from(number(text)?).map_err(|_| Malformed)
}

fn flag(value: Option<&str>) -> Result<bool, Malformed> {
    match value {
        None => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(Malformed),
    }
}

/// Percent-encoded UTF-8; `+` is a plus.
fn text(value: &str) -> Result<Cow<'_, str>, Malformed> {
    percent_encoding::percent_decode_str(value).decode_utf8().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "a=1&gw-key=k&gw-expires=2000000300&gw-sig=AAAA";

    fn read(query: &str) -> Result<Option<Presented<'_>>, Malformed> {
        Presented::read(query)
    }

    #[test]
    fn what_stands_before_the_signature_is_signed() {
        let presented = read(GOOD).unwrap().unwrap();
        assert_eq!(presented.signed, "a=1&gw-key=k&gw-expires=2000000300");
        assert_eq!((presented.key, presented.signature), ("k", "AAAA"));
        assert_eq!(presented.expires, 2_000_000_300);
        assert_eq!(presented.appended, None);
        assert!(!presented.host && !presented.ip && presented.prefix.is_none());
        let with = |more: &str| read(&format!("{GOOD}{more}")).unwrap().unwrap().appended.is_some();
        assert!(with("&") && with("&utm=1") && with("&a&b") && !with(""));
    }

    #[test]
    fn without_a_parameter_of_ours_there_is_no_signature() {
        for query in ["", "a=1&b", "&&", "x-gw-sig=1", "gwsig=1", "gw", "=gw-sig"] {
            assert_eq!(read(query), Ok(None), "{query}");
        }
    }

    #[test]
    fn each_stands_once_in_one_spelling_before_the_signature() {
        let mut table = vec![
            "gw-sig=AAAA".to_owned(),
            "gw-sig=AAAA&gw-key=k&gw-expires=2000000300".to_owned(),
            "gw-key=k&gw-sig=AAAA&gw-expires=2000000300".to_owned(),
            "gw-key=k&gw-sig=AAAA".to_owned(),
            "gw-key=k&gw-expires=2000000300".to_owned(),
            "gw-key=k&gw-expires=2000000300&gw-sig=".to_owned(),
            "gw-key=k&gw-expires=2000000300&gw-sig".to_owned(),
            "gw-key=&gw-expires=2000000300&gw-sig=AAAA".to_owned(),
            format!("{GOOD}&gw-sig=AAAA"),
            format!("{GOOD}&gw-ip=1"),
            format!("gw-sig=BBBB&{GOOD}"),
            format!("gw-key=k&{GOOD}"),
            format!("{GOOD}&GW-SIG=AAAA"),
        ];
        for other in ["gw-new=1", "GW-key=k", "%67w-key=k", "gw%2Dsig=AAAA", "gw-=", "gw-host=0"] {
            table.push(format!("{other}&{GOOD}"));
        }
        for other in
            ["gw-host", "gw-ip=true", "gw-prefix=0", "gw-prefix=-1", "gw-sub=%ff", "gw-sub"]
        {
            table.push(format!("{other}&{GOOD}"));
        }
        for query in table {
            assert_eq!(read(&query), Err(Malformed), "{query}");
        }
    }

    #[test]
    fn su_04_a_time_is_a_number_in_one_spelling() {
        let huge = "9".repeat(30);
        let bad = ["-1", "+1", "1e9", "0", "01", "1.5", "0x10", "%31", " 1", "1 ", "٣", &huge];
        for expires in bad {
            let query = format!("gw-key=k&gw-expires={expires}&gw-sig=AAAA");
            assert_eq!(read(&query), Err(Malformed), "{expires}");
            let query = format!("gw-key=k&gw-expires=2000000300&gw-from={expires}&gw-sig=AAAA");
            assert_eq!(read(&query), Err(Malformed), "{expires}");
        }
        assert!(read("gw-key=k&gw-expires=999999999999&gw-sig=AAAA").is_ok());
    }
}
