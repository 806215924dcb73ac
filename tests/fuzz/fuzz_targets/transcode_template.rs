//! Templates are taken or refused; each takes the paths that it spells, and of several, a path is taken by the one
//! that an oracle without a tree finds.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use http::Method;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use tower_gateway::transcode::{Descriptors, Schema};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    templates: Vec<Vec<Piece<'a>>>,
    path: Vec<Piece<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Slash,
    One,
    Rest,
    Open(u8),
    Equals,
    Close,
    Colon,
    A,
    EncodedA,
    Text(&'a str),
}

const METHODS: usize = 8;
const FIELDS: [&str; 4] = ["a", "b", "c", "d"];

/// A service of a few methods, whose request has a few fields of text and itself.
static SET: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let field = |(name, number): (&&str, i32)| FieldDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(Type::String.into()),
        ..FieldDescriptorProto::default()
    };
    let method = |n: usize| MethodDescriptorProto {
        name: Some(format!("M{n}")),
        input_type: Some(".f.M".to_owned()),
        output_type: Some(".f.M".to_owned()),
        ..MethodDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("fuzz.proto".to_owned()),
        package: Some("f".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![DescriptorProto {
            name: Some("M".to_owned()),
            field: FIELDS.iter().zip(1..).map(field).collect(),
            ..DescriptorProto::default()
        }],
        service: vec![ServiceDescriptorProto {
            name: Some("S".to_owned()),
            method: (0..METHODS).map(method).collect(),
            ..ServiceDescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    prost::Message::encode_to_vec(&FileDescriptorSet { file: vec![file] })
});

fuzz_target!(|input: Input<'_>| {
    let texts = input.templates.iter().take(METHODS).map(|pieces| text(pieces));
    // Those that cannot be in a table at all would hide what the others do.
    let mut taken: Vec<String> = Vec::new();
    for template in texts {
        let Some(schema) = schema(std::slice::from_ref(&template)) else { continue };
        let flat = Flat::of(&template);
        for rest in ["", "/y", "/y/z:v"] {
            let path = flat.path(rest);
            assert_eq!(called(&schema, &path), Some(0), "{template} {path}");
        }
        taken.push(template);
        if self::schema(&taken).is_none() {
            let last = taken.pop().expect("it was pushed");
            let collides = taken.iter().any(|it| Flat::of(it).is_as(&Flat::of(&last)));
            assert!(collides, "{last} is refused beside {taken:?}");
        }
    }
    let Some(schema) = schema(&taken) else { return };
    let path = format!("/{}", text(&input.path));
    let fits = taken.iter().enumerate().filter_map(|(n, it)| Some((Flat::of(it).fit(&path)?, n)));
    let best = fits.max().map(|(_, n)| n);
    assert_eq!(called(&schema, &path), best, "{taken:?} {path}");
});

fn text(pieces: &[Piece<'_>]) -> String {
    let pieces = pieces.iter().map(|piece| match piece {
        Piece::Slash => "/".to_owned(),
        Piece::One => "*".to_owned(),
        Piece::Rest => "**".to_owned(),
        Piece::Open(n) => format!("{{{}", FIELDS[usize::from(*n) % FIELDS.len()]),
        Piece::Equals => "=".to_owned(),
        Piece::Close => "}".to_owned(),
        Piece::Colon => ":".to_owned(),
        Piece::A => "a".to_owned(),
        Piece::EncodedA => "%61".to_owned(),
        Piece::Text(text) => (*text).to_owned(),
    });
    pieces.collect()
}

/// The schema in which method `n` has template `n`.
fn schema(templates: &[String]) -> Option<Schema> {
    let rules = templates.iter().enumerate().map(
        |(n, template)| serde_json::json!({ "selector": format!("f.S.M{n}"), "get": template }),
    );
    let config = serde_json::json!({ "http": { "rules": rules.collect::<Vec<_>>() } });
    Descriptors::from_set(&*SET).service_config(config.to_string()).compile().ok()
}

fn called(schema: &Schema, path: &str) -> Option<usize> {
    let method = schema.method_of(&Method::GET, path)?;
    Some(method.strip_prefix("/f.S/M").expect("one of ours").parse().expect("a number"))
}

/// A template without its variables: segments, of which the last may be `**`, and a verb.
struct Flat<'a> {
    segments: Vec<&'a str>,
    verb: Option<&'a str>,
}

impl<'a> Flat<'a> {
    fn of(template: &'a str) -> Self {
        let (path, verb) = match (template.rfind(':'), template.rfind(['/', '}'])) {
            (Some(colon), Some(end)) if colon > end => {
                (&template[..colon], Some(&template[colon + 1..]))
            }
            _ => (template, None),
        };
        let segment = |segment: &'a str| {
            let (is_open, inner) = match segment.strip_prefix('{') {
                Some(inner) => (true, inner),
                None => (false, segment),
            };
            let inner = inner.strip_suffix('}').unwrap_or(inner);
            match (is_open, inner.split_once('=')) {
                (true, Some((_, first))) => first,
                (true, None) => "*",
                (false, _) => inner,
            }
        };
        Self { segments: path[1..].split('/').map(segment).collect(), verb }
    }

    /// A path that it takes, with `rest` after a segment where `**` stands.
    fn path(&self, rest: &str) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            match *segment {
                "*" => path += "/x",
                "**" => path = path + "/x" + rest,
                literal => path = path + "/" + literal,
            }
        }
        match self.verb {
            Some(verb) => path + ":" + verb,
            None => path,
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        let decoded = |flat: &Self| -> Vec<Vec<u8>> {
            let parts = flat.segments.iter().copied().chain([":"]).chain(flat.verb);
            parts.map(|part| percent_decode_str(part).collect()).collect()
        };
        decoded(self) == decoded(other)
    }

    /// How well it fits, verb first and then segment by segment: the greatest wins.
    fn fit(&self, path: &str) -> Option<Vec<u8>> {
        let same = |one: &str, other: &str| percent_decode_str(one).eq(percent_decode_str(other));
        if path.contains("//") {
            return None;
        }
        let mut path = &path[1..];
        if let Some(verb) = self.verb {
            let (before, found) =
                path.rsplit_once(':').filter(|(_, found)| !found.contains('/'))?;
            if !same(verb, found) {
                return None;
            }
            path = before;
        }
        let mut fit = vec![u8::from(self.verb.is_some())];
        let mut segments = path.split('/');
        for pattern in &self.segments {
            fit.push(match (*pattern, segments.next()) {
                ("**", _) => return Some([fit, vec![1]].concat()),
                ("*", Some(segment)) if !segment.is_empty() => 2,
                ("*", _) => return None,
                (literal, Some(segment)) if same(literal, segment) => 3,
                _ => return None,
            });
        }
        fit.push(3);
        segments.next().is_none().then_some(fit)
    }
}
