//! `application/x-www-form-urlencoded`, RFC 6749 appendix B.

/// Adds `name=value` to a form.
pub(super) fn field(form: &mut String, name: &'static str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name); // ours, and plain
    form.push('=');
    encode(form, value);
}

/// The text, encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut form = String::with_capacity(text.len());
    encode(&mut form, text);
    form
}

/// Letters, digits and `*-._` stand for themselves, `+` for a space; the rest of UTF-8 is percent-encoded.
fn encode(form: &mut String, text: &str) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                form.push(char::from(byte));
            }
            b' ' => form.push('+'),
            _ => {
                let hex = [byte >> 4, byte & 15].map(|it| char::from(HEX[usize::from(it)]));
                form.extend(['%', hex[0], hex[1]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::query::decoded;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_of_one_field(text: String) {
            let form = encoded(&text);
            let plain = |it: u8| it.is_ascii_alphanumeric() || b"*-._+%".contains(&it);
            prop_assert!(form.bytes().all(plain));
            prop_assert_eq!(&*decoded(&form), text.as_bytes());
        }
    }

    #[test]
    fn rfc_6749_appendix_b() {
        assert_eq!(encoded(" %&+\u{a3}\u{20ac}"), "+%25%26%2B%C2%A3%E2%82%AC");
    }

    #[test]
    fn int_03_a_value_is_one_field_whatever_it_contains() {
        let mut form = String::new();
        field(&mut form, "token", "a&token=good&x=\r\n#%00\0");
        field(&mut form, "token_type_hint", "access_token");
        let expected =
            "token=a%26token%3Dgood%26x%3D%0D%0A%23%2500%00&token_type_hint=access_token";
        assert_eq!(form, expected);
    }
}
