//! `Cache-Control` of what a signed URL has opened: no shared cache keeps it for longer than the URL is good.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Caps what `Cache-Control` allows to shared caches at so many seconds (RFC 9111 §5.2.2); where there is none, the
/// answer is `private`.
///
/// Fields that speak to some caches in its place (RFC 9213 §2) are capped where they are.
///
/// `private`, `no-store` and `no-cache` stay as they stand: shared caches do not reuse such answers unasked.
pub(super) fn cap(headers: &mut HeaderMap, seconds: u64) {
    cap_field(headers, &header::CACHE_CONTROL, seconds);
    for name in &TARGETED {
        if headers.contains_key(name) {
            cap_field(headers, name, seconds);
        }
    }
}

/// The field of RFC 9213 §3, and those that came before it.
const TARGETED: [HeaderName; 3] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];

fn cap_field(headers: &mut HeaderMap, name: &HeaderName, seconds: u64) {
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    let texts: Option<Vec<&str>> = lines.iter().map(|it| it.to_str().ok()).collect();
    let value = match texts {
        Some(texts) if !texts.is_empty() => match capped(&texts.join(", "), seconds) {
            None => return,
            Some(text) => HeaderValue::try_from(text).ok(),
        },
        _ => None, // nothing, or nothing that can be read
    };
    let value = value.unwrap_or(HeaderValue::from_static("private"));
    headers.insert(name, value);
}

/// The directives that allow no more than that; `None` if these already do.
fn capped(text: &str, seconds: u64) -> Option<String> {
    let mut out = String::new();
    let mut limited = false;
    for directive in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let is = |other: &str| name.trim().eq_ignore_ascii_case(other);
        let value = value.trim().trim_matches('"');
        if (is("private") || is("no-cache")) && value.is_empty() || is("no-store") {
            return None;
        }
        if is("stale-while-revalidate") || is("stale-if-error") {
            continue; // RFC 5861: longer than its lifetime
        }
        let separator = if out.is_empty() { "" } else { ", " };
        let _ = match is("max-age") || is("s-maxage") {
            false => write!(out, "{separator}{directive}"),
            true => {
                limited = true;
                let allowed = value.parse().unwrap_or(0).min(seconds);
                write!(out, "{separator}{}={allowed}", name.trim())
            }
        };
    }
    if !limited {
        let separator = if out.is_empty() { "" } else { ", " };
        let _ = write!(out, "{separator}max-age={seconds}");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        }
        cap(&mut headers, 300);
        assert_eq!(headers.get_all(header::CACHE_CONTROL).iter().count(), lines.len().max(1));
        headers[header::CACHE_CONTROL].to_str().unwrap().to_owned()
    }

    #[test]
    fn su_06_shared_caches_keep_nothing_for_longer_than_the_url_is_good() {
        for (sent, expected) in [
            ("public, max-age=86400", "public, max-age=300"),
            ("max-age=60, s-maxage=86400", "max-age=60, s-maxage=300"),
            ("Max-Age=\"86400\", must-revalidate", "Max-Age=300, must-revalidate"),
            ("public", "public, max-age=300"),
            ("max-age=60, stale-while-revalidate=900", "max-age=60"),
            ("max-age=99999999999999999999", "max-age=0"),
            ("max-age=-1", "max-age=0"),
            ("private=\"x\"", "private=\"x\", max-age=300"),
            ("private, max-age=86400", "private, max-age=86400"),
            ("no-store", "no-store"),
            ("no-cache, max-age=86400", "no-cache, max-age=86400"),
            (", ,", "max-age=300"),
        ] {
            assert_eq!(after(&[sent]), expected, "{sent}");
        }
        assert_eq!(after(&[]), "private");
    }

    #[test]
    fn su_06_what_speaks_to_some_caches_only_is_capped_too() {
        for name in TARGETED {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
            headers.insert(&name, HeaderValue::from_static("max-age=86400"));
            cap(&mut headers, 300);
            assert_eq!(headers[header::CACHE_CONTROL], "private");
            assert_eq!(headers[&name], "max-age=300");
            headers.insert(&name, HeaderValue::from_bytes(b"\xff").unwrap());
            cap(&mut headers, 300);
            assert_eq!(headers[&name], "private");
        }
    }

    #[test]
    fn several_fields_are_read_as_one() {
        let mut headers = HeaderMap::new();
        for line in ["public", "max-age=86400"] {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static(line));
        }
        cap(&mut headers, 300);
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=300");
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        cap(&mut headers, 300);
        assert_eq!(headers.get_all(header::CACHE_CONTROL).iter().count(), 2, "left as it was");
    }
}
