//! The field mask of a PATCH whose body is the resource.
//!
//! A client that sends `{"displayName": "Ann", "address": {"zip": null}}` means these two fields, and not that all
//! others be cleared: the mask is `display_name,address.zip`. The rule is that of grpc-gateway's
//! `FieldMaskFromRequestBody`:
//!
//! - a member whose field is a plain message stands for what its own members stand for, and an object without any
//!   for itself;
//! - every other member stands for its field as a whole: scalars, lists, maps, well-known types;
//! - `null` stands for its field too, which is then cleared;
//! - paths name fields as the `.proto` file does, in the order of the text.
//!
//! An empty object has an empty mask. Members that the message does not have are not in the mask.

use super::{
    fault::Fault,
    json::{read::Cursor, text},
    types::{Field, Form, Label, Message, MessageId, Types},
    wire::{Broken, DEPTH, MAX_DEPTH, Open},
};

/// The paths of a body, which is a message in JSON. It has to have been read before: names that stand twice and the
/// like are faults there.
///
/// # Errors
///
/// The text is no object, or no JSON where this looks.
pub(crate) fn paths(types: &Types, id: MessageId, json: &[u8]) -> Result<Vec<String>, Fault> {
    let mut walk = Walk { types, cursor: Cursor::new(json)?, above: String::new(), paths: vec![] };
    walk.cursor.open(b'{', "an object")?;
    walk.members(types.message(id), 0)?;
    Ok(walk.paths)
}

/// Appends a field that holds these paths, a `google.protobuf.FieldMask`.
pub(crate) fn put(field: &Field, paths: &[String], out: &mut Vec<u8>) {
    field.tag.put(out);
    let open = Open::new(out);
    text::put_paths(out, paths.iter().map(String::as_str));
    open.close(out);
}

/// The field `update_mask` of a method's input, if it is the only `google.protobuf.FieldMask` there.
pub(crate) fn field(types: &Types, input: MessageId) -> Option<&Field> {
    let is_mask = |field: &&Field| {
        field.label == Label::Singular
            && types.message_of(field).is_some_and(|message| message.form == Form::FieldMask)
    };
    let mut masks = types.message(input).fields.iter().filter(is_mask);
    match (masks.next(), masks.next()) {
        (Some(field), None) if &*field.name == "update_mask" => Some(field),
        _ => None,
    }
}

struct Walk<'a, 'j> {
    types: &'a Types,
    cursor: Cursor<'j>,
    /// The path of the message that is walked over, with a dot behind it.
    above: String,
    paths: Vec<String>,
}

impl Walk<'_, '_> {
    /// The members of an object that has been opened, which lies this deep; whether there were any.
    fn members(&mut self, message: &Message, depth: u32) -> Result<bool, Fault> {
        if depth > MAX_DEPTH {
            return Err(Broken(DEPTH).into());
        }
        if self.cursor.eat(b'}') {
            return Ok(false);
        }
        loop {
            self.cursor.peek();
            let name = self.cursor.string()?;
            self.cursor.colon()?;
            match message.field_named(&name) {
                Some(field) => self.member(field, depth)?,
                None => self.cursor.skip(depth)?,
            }
            if !self.cursor.more(b'}')? {
                return Ok(true);
            }
        }
    }

    fn member(&mut self, field: &Field, depth: u32) -> Result<(), Fault> {
        let inner = self
            .types
            .message_of(field)
            .filter(|message| field.label == Label::Singular && message.form == Form::Plain);
        match inner {
            Some(inner) if self.cursor.eat(b'{') => {
                let above = self.above.len();
                self.above.extend([&field.name, "."]);
                let any = self.members(inner, depth + 1)?;
                self.above.truncate(above);
                if any {
                    return Ok(());
                }
            }
            _ => self.cursor.skip(depth)?,
        }
        self.paths.push(format!("{}{}", self.above, field.name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, DynamicMessage};

    use super::*;
    use crate::transcode::types::testing::set;

    const SOURCE: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/field_mask.proto";
        import "google/protobuf/struct.proto";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/any.proto";
        import "google/protobuf/wrappers.proto";
        message User {
          string display_name = 1; Address home_address = 2; repeated Address others = 3;
          map<string, Address> by_name = 4; google.protobuf.Timestamp made_at = 5;
          google.protobuf.Struct more = 6; google.protobuf.Any any = 7;
          google.protobuf.StringValue nick_name = 8; User friend = 9;
          oneof contact { Address post = 10; string mail = 11; }
        }
        message Address { string zip_code = 1; string city = 2; }
        message Update { User user = 1; google.protobuf.FieldMask update_mask = 2; }
        message Two { google.protobuf.FieldMask update_mask = 1; google.protobuf.FieldMask read_mask = 2; }
        message Other { google.protobuf.FieldMask mask = 1; }
        message Many { repeated google.protobuf.FieldMask update_mask = 1; }
    "#;

    fn of(json: &str) -> String {
        let types = Types::compile(&[set(SOURCE)]).unwrap();
        match paths(&types, types.find("t.User").unwrap(), json.as_bytes()) {
            Ok(paths) => paths.join(","),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn a_body_means_the_fields_that_it_names() {
        let cases = [
            ("{}", ""),
            (r#"{"displayName":"Ann"}"#, "display_name"),
            (r#"{"display_name":""}"#, "display_name"),
            (r#"{"displayName":null,"homeAddress":null}"#, "display_name,home_address"),
            (
                r#"{"homeAddress":{"city":"x","zipCode":null}}"#,
                "home_address.city,home_address.zip_code",
            ),
            (r#"{"homeAddress":{},"friend":{"friend":{}}}"#, "home_address,friend.friend"),
            (
                r#"{"friend":{"homeAddress":{"city":"x"},"displayName":"y"},"displayName":"z"}"#,
                "friend.home_address.city,friend.display_name,display_name",
            ),
            (r#"{"others":[{"city":"x"}],"byName":{"a":{"city":"x"}}}"#, "others,by_name"),
            (
                r#"{"madeAt":"1970-01-01T00:00:00Z","more":{"a":{"b":1}},"nickName":"x"}"#,
                "made_at,more,nick_name",
            ),
            (r#"{"any":{"@type":"/t.Address","city":"x"}}"#, "any"),
            (r#"{"post":{"city":"x"}}"#, "post.city"),
            (r#"{"mystery":{"a":[1]},"\u0064isplayName":"x"}"#, "display_name"),
            ("[]", "has to be an object, not an array."),
            (r#"{"displayName""#, "not JSON: the text ends where `:` belongs."),
        ];
        for (json, expected) in cases {
            assert_eq!(of(json), expected, "{json}");
        }
        let deep = of(&r#"{"friend":"#.repeat(10_000));
        assert_eq!(deep, "messages lie more than 100 deep in one another");
    }

    #[test]
    fn the_mask_goes_into_the_one_field_that_is_meant() {
        let set = set(SOURCE);
        let types = Types::compile(&[&set]).unwrap();
        let found = |name: &str| field(&types, types.find(name).unwrap());
        assert!(found("t.Two").is_none() && found("t.Other").is_none());
        assert!(found("t.Many").is_none() && found("t.User").is_none());
        let mut out = Vec::new();
        put(found("t.Update").unwrap(), &["a_b".to_owned(), "c.d".to_owned()], &mut out);
        let pool = DescriptorPool::decode(set.as_slice()).unwrap();
        let update = pool.get_message_by_name("t.Update").unwrap();
        let read = DynamicMessage::decode(update, out.as_slice()).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"updateMask":"aB,c.d"}"#);
    }
}
