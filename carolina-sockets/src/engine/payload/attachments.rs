//! Reads payloads with attachments: JSON with placeholders for binary values.

use std::{collections::VecDeque, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqAccessDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value as Json};

use super::binary::text_for_binary;

/// Reads the first argument after the event's name; with `all`, the arguments as one sequence, which with `pad` is
/// followed by `null`s.
///
/// # Errors
///
/// The path of what does not fit, and why.
pub(super) fn read<T: DeserializeOwned>(
    text: &str,
    attachments: &VecDeque<Bytes>,
    all: bool,
    pad: bool,
) -> Result<T, (String, String)> {
    if !is_each_used_once(text, attachments.len()) {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| (".".to_owned(), error.to_string()))?;
        let reason = format!("expected each of the {} attachments to have one placeholder", attachments.len());
        return Err((".".to_owned(), reason));
    }
    let packet: Vec<Json> = serde_json::from_str(text).map_err(|error| (".".to_owned(), error.to_string()))?;
    let node = |value| Node { value, attachments };
    let arguments = packet.iter().skip(1).map(node);
    let missing = std::iter::repeat_n(node(&Json::Null), if pad { usize::MAX } else { 0 });
    let read = if all {
        let sequence = SeqDeserializer::<_, Error>::new(arguments.chain(missing));
        serde_path_to_error::deserialize(SeqAccessDeserializer::new(sequence))
    } else {
        serde_path_to_error::deserialize(packet.get(1).map_or(node(&Json::Null), node))
    };
    read.map_err(|error| (error.path().to_string(), error.inner().to_string()))
}

/// Whether each attachment has one placeholder. Without this, a short packet could make a handler read one attachment any
/// number of times. Nothing of the packet is kept, and the first one too many ends it.
fn is_each_used_once(text: &str, attachments: usize) -> bool {
    let mut used = vec![false; attachments];
    let read = Placeholders(&mut used).deserialize(&mut serde_json::Deserializer::from_str(text));
    read.is_ok() && used.into_iter().all(|used| used)
}

/// Marks the attachments that a value has placeholders for, and fails for a second one, or one without its attachment.
struct Placeholders<'a>(&'a mut [bool]);

/// What a value is, as far as placeholders have such ones.
enum Part {
    True,
    Number(u64),
    Text(Option<u64>),
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Key {
    #[serde(rename = "_placeholder")]
    Placeholder,
    #[serde(rename = "num")]
    Number,
    /// So serde_json gives numbers as text, with its feature `arbitrary_precision`, which any crate of a program may turn on.
    #[serde(rename = "$serde_json::private::Number")]
    NumberAsText,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Placeholders<'_> {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Placeholders<'_> {
    type Value = Part;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Part, E> {
        Ok(if value { Part::True } else { Part::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Part, E> {
        Ok(Part::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        Ok(Part::Text(text.parse().ok()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Part, A::Error> {
        while values.next_element_seed(Placeholders(self.0))?.is_some() {}
        Ok(Part::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Part, A::Error> {
        let (mut is_placeholder, mut number) = (false, None);
        while let Some(key) = entries.next_key()? {
            match (key, entries.next_value_seed(Placeholders(self.0))?) {
                (Key::Placeholder, value) => is_placeholder = matches!(value, Part::True),
                (Key::Number, Part::Number(value)) => number = usize::try_from(value).ok(),
                (Key::Number, _) => number = None,
                (Key::NumberAsText, Part::Text(Some(number))) => return Ok(Part::Number(number)),
                (Key::NumberAsText | Key::Other, _) => {}
            }
        }
        if is_placeholder {
            match number.and_then(|number| self.0.get_mut(number)) {
                Some(used) if !*used => *used = true,
                _ => return Err(A::Error::custom("a placeholder that is one too many")),
            }
        }
        Ok(Part::Other)
    }
}

/// A value, binary where it is a placeholder.
#[derive(Clone, Copy)]
struct Node<'a> {
    value: &'a Json,
    attachments: &'a VecDeque<Bytes>,
}

impl<'a> Node<'a> {
    /// The attachment, if the value is a placeholder.
    fn binary(self) -> Result<Option<&'a Bytes>, Error> {
        let number = match self.value.get("_placeholder") {
            Some(Json::Bool(true)) => self.value.get("num").and_then(Json::as_u64),
            _ => return Ok(None),
        };
        let found = number.and_then(|number| self.attachments.get(usize::try_from(number).ok()?));
        found.map(Some).ok_or_else(|| Error::custom("a placeholder for an attachment that is not there"))
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(binary) = self.binary()? {
            return visitor.visit_byte_buf(binary.to_vec());
        }
        let node = |value| Node { value, ..self };
        match self.value {
            Json::Array(values) => visitor.visit_seq(SeqDeserializer::new(values.iter().map(node))),
            Json::Object(entries) => {
                visitor.visit_map(MapDeserializer::new(entries.iter().map(|(key, value)| (key.as_str(), node(value)))))
            }
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::String(text) => visitor.visit_str(text),
            Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Json::String(text) => Err(text_for_binary(text)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    /// A binary value is read byte by byte.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.binary()? {
            Some(binary) => visitor.visit_seq(SeqDeserializer::new(binary.iter().copied())),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            Json::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            Json::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_str(), Node { value, ..self }));
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(entries)))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Node<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first<T: DeserializeOwned>(payload: &Json) -> Result<T, (String, String)> {
        let text = json!(["event", payload]).to_string();
        let all = [Bytes::from_static(b"ab"), Bytes::from_static(b"cd")];
        let attachments = all.into_iter().take(text.matches("_placeholder").count()).collect();
        read(&text, &attachments, false, false)
    }

    fn place(number: u64) -> Json {
        json!({ "_placeholder": true, "num": number })
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct New<T>(T);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Named<T> {
        a: T,
        #[serde(default)]
        b: i64,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Of {
        Nothing,
        One(Bytes),
        Two(Bytes, u8),
        Named { a: Bytes },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        One { a: Bytes },
    }

    #[test]
    fn binary_values_are_read_wherever_they_stand() {
        let (ab, cd) = (Bytes::from_static(b"ab"), Bytes::from_static(b"cd"));
        assert_eq!(first(&place(0)), Ok(ab.clone()));
        assert_eq!(first(&place(0)), Ok(Some(ab.clone())));
        assert_eq!(first(&Json::Null), Ok(None::<Bytes>));
        assert_eq!(first(&place(0)), Ok(b"ab".to_vec()));
        assert_eq!(first(&place(0)), Ok(New(Some(ab.clone()))));
        assert_eq!(first(&json!({ "a": place(0), "b": -3 })), Ok(Named { a: Some(ab.clone()), b: -3 }));
        assert_eq!(first(&json!([place(1), place(0)])), Ok(vec![cd.clone(), ab.clone()]));
        assert_eq!(first(&json!("nothing")), Ok(Of::Nothing));
        assert_eq!(first(&json!({ "one": place(0) })), Ok(Of::One(ab.clone())));
        assert_eq!(first(&json!({ "two": [place(0), 7] })), Ok(Of::Two(ab.clone(), 7)));
        assert_eq!(first(&json!({ "named": { "a": place(0) } })), Ok(Of::Named { a: ab.clone() }));
        assert_eq!(first(&json!({ "kind": "One", "a": place(0) })), Ok(Tagged::One { a: ab }));
        assert_eq!(first(&json!(1.5)), Ok(1.5));
        assert_eq!(first(&json!("text")), Ok("text".to_owned()));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_path() {
        let attachments = VecDeque::from([Bytes::from_static(b"ab")]);
        let packet = json!(["event", 1, { "a": [place(0), 5] }]).to_string();
        let (path, reason) = read::<(u8, Named<Vec<Bytes>>)>(&packet, &attachments, true, true).unwrap_err();
        assert_eq!(path, "[1].a[1]");
        assert!(reason.contains("expected"), "{reason}");
    }

    #[test]
    fn text_is_not_binary() {
        for payload in [json!({ "a": "text", "b": place(0) }), json!({ "a": place(0), "b": "text" })] {
            let (path, reason) = first::<std::collections::BTreeMap<String, Bytes>>(&payload).unwrap_err();
            assert_eq!((path.len(), reason.contains("expected binary data")), (1, true), "{path}: {reason}");
        }
    }

    #[test]
    fn r15_each_attachment_has_one_placeholder() {
        let attachments = VecDeque::from([Bytes::from_static(b"ab")]);
        for payload in [json!(null), place(7), json!([place(0), place(0)]), json!({ "_placeholder": true })] {
            let packet = json!(["event", payload]).to_string();
            let (_, reason) = read::<serde::de::IgnoredAny>(&packet, &attachments, false, false).unwrap_err();
            assert_eq!(reason, "expected each of the 1 attachments to have one placeholder", "{packet}");
        }
    }

    #[test]
    fn missing_arguments_are_null() {
        let attachments = VecDeque::from([Bytes::from_static(b"ab")]);
        let packet = json!(["event", place(0)]).to_string();
        let read = |all, pad| super::read::<(Bytes, Option<Bytes>)>(&packet, &attachments, all, pad);
        assert_eq!(read(true, true), Ok((Bytes::from_static(b"ab"), None)));
        let all = super::read::<Vec<Bytes>>(&packet, &attachments, true, false);
        assert_eq!(all, Ok(vec![Bytes::from_static(b"ab")]));
    }
}
