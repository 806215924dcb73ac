//! A path has one form: what comes out cannot be read in two ways, stays as it is, and is what every other
//! spelling of it becomes.
#![no_main]

use arbitrary::Arbitrary;
use http::Request;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tower_gateway::target::PathRules;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    keep_parameters: bool,
    /// Which unreserved characters to encode in the other spelling.
    encode: u64,
    path: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let rules = match input.keep_parameters {
        true => PathRules::default().keep_parameters(),
        false => PathRules::default(),
    };
    normalizes_alike(rules, input.path);
    let Ok(path) = rules.canonical(input.path) else {
        return;
    };
    assert_eq!(rules.canonical(&path).as_deref(), Ok(&*path), "not the one form");
    let spelling = respelled(&path, input.encode);
    assert_eq!(rules.canonical(&spelling).as_deref(), Ok(&*path), "{spelling}");
    let decoded: Vec<u8> = percent_decode_str(&path).collect();
    assert!(decoded.iter().eq(&percent_decode_str(input.path).collect::<Vec<u8>>()));
    assert!(!decoded.contains(&b'\\') && !decoded.iter().any(u8::is_ascii_control));
    assert!(!decoded.windows(2).any(|it| it == b"//"), "an empty segment");
    assert!(
        decoded.iter().filter(|it| **it == b'/').eq(path
            .bytes()
            .filter(|it| *it == b'/')
            .collect::<Vec<u8>>()
            .iter())
    );
    for segment in decoded.split(|it| *it == b'/') {
        // A server that cuts parameters off must not find a dot segment either.
        let name = segment.split(|it| *it == b';').next().unwrap_or_default();
        assert!(name != b"." && name != b"..", "a dot segment");
    }
});

/// The same path with some of its unreserved characters encoded, in either case.
fn respelled(path: &str, encode: u64) -> String {
    let mut escape = 0; // octets that belong to an escape already
    let mut out = String::new();
    for (n, byte) in path.bytes().enumerate() {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let chosen = encode >> (n % 64) & 1 == 1;
        match (escape, byte) {
            (0, b'%') => escape = 2,
            (0, _) if path != "*" && unreserved && chosen && n % 2 == 0 => {
                out += &format!("%{byte:02x}");
                continue;
            }
            (0, _) if path != "*" && unreserved && chosen => {
                out += &format!("%{byte:02X}");
                continue;
            }
            (0, _) => {}
            _ => escape -= 1,
        }
        out.push(byte.into());
    }
    out
}

/// `normalize` says the same of a request with this target, and leaves its query alone.
fn normalizes_alike(rules: PathRules, path: &str) {
    let Ok(mut request) = Request::get(path).body(()) else {
        return;
    };
    let before = request.uri().clone();
    match (rules.normalize(&mut request), rules.canonical(before.path())) {
        (Ok(()), Ok(path)) => assert_eq!(request.uri().path(), path),
        (Ok(()), Err(_)) => assert!(before.path_and_query().is_none()),
        (Err(_), path) => assert!(path.is_err() && *request.uri() == before),
    }
    assert_eq!(request.uri().query(), before.query());
    assert_eq!(request.uri().authority(), before.authority());
}
