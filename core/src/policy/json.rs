//! JSON as other people write it: order, duplicate members, the digits of a number and the spelling of a string all
//! survive being read. `serde_json::Value` would lose the second and the third, so foreign text never passes through it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Deeper than any policy; beyond it text is compared as it stands, so that no input can exhaust the stack.
const DEPTH: usize = 24;

/// One JSON value, with all its members and digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Text(String),
    /// A number or a bool, as spelled: policies may put quotes round either without changing the meaning.
    Scalar(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// `null`, a string that is not Unicode (a lone surrogate), or what lies too deep: the compact text.
    Opaque(String),
}

impl Json {
    /// Reads text that is known to be JSON; whatever it cannot take apart it keeps as [`Json::Opaque`].
    pub(super) fn read(text: &str) -> Self {
        Self::read_to(text.trim(), DEPTH)
    }

    fn read_to(text: &str, depth: usize) -> Self {
        let opaque = || Self::Opaque(compact(text));
        match text.bytes().next() {
            Some(b'{') if depth > 0 => members(text).map_or_else(opaque, |members| {
                let read =
                    |(key, value): &(&RawValue, &RawValue)| (name_of(key.get()), Self::read_to(value.get(), depth - 1));
                Self::Object(members.iter().map(read).collect())
            }),
            Some(b'[') if depth > 0 => items(text).map_or_else(opaque, |items| {
                Self::List(items.iter().map(|item| Self::read_to(item.get(), depth - 1)).collect())
            }),
            Some(b'"') => serde_json::from_str(text).map_or_else(|_| opaque(), Self::Text),
            Some(b't' | b'f' | b'-' | b'0'..=b'9') => Self::Scalar(text.to_owned()),
            _ => opaque(),
        }
    }

    /// The text of a string, a number or a bool.
    pub(super) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// A list's elements; anything else is a list of itself, as the policy language has it.
    pub(super) fn elements(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            single => std::slice::from_ref(single),
        }
    }
}

/// The members of an object in order, duplicates included; `None` if the text is no object.
pub(super) fn members(text: &str) -> Option<Vec<(&RawValue, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(text).ok().map(|members| members.0)
}

/// The elements of a list; `None` if the text is no list.
pub(super) fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// A member's name: decoded, or as it stands (with its quotes) if it is not Unicode.
pub(super) fn name_of(key: &str) -> String {
    serde_json::from_str(key).unwrap_or_else(|_| key.to_owned())
}

/// A string as JSON text.
pub(super) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// The same JSON without white space between its tokens; every token stays byte for byte.
pub(super) fn compact(text: &str) -> String {
    let mut compacted = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            (in_string, escaped) = (escaped || c != '"', !escaped && c == '\\');
        } else if c == '"' {
            in_string = true;
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        compacted.push(c);
    }
    compacted
}

struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_only_between_tokens() {
        assert_eq!(compact("{ \"a b\\\" \" :\t[ 1.50 ,\n\"\\\\\" ] }\r\n"), "{\"a b\\\" \":[1.50,\"\\\\\"]}");
    }

    #[test]
    fn what_serde_would_lose_is_still_there() {
        let read = Json::read(r#" {"n":1.500,"n":9007199254740993,"s":"\ud800","z":null} "#);
        let scalar = |text: &str| Json::Scalar(text.to_owned());
        let expected = vec![
            ("n".to_owned(), scalar("1.500")),
            ("n".to_owned(), scalar("9007199254740993")),
            ("s".to_owned(), Json::Opaque(r#""\ud800""#.to_owned())),
            ("z".to_owned(), Json::Opaque("null".to_owned())),
        ];
        assert_eq!(read, Json::Object(expected));
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(matches!(Json::read(&deep), Json::List(_)));
    }
}
