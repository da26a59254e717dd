//! Writes values into packets, and reads clients' acknowledgements.
//!
//! socketioxide's writer treats a newtype as a tuple, and loses binary values inside an `Option`, a newtype or an
//! enum's variant. [`Payload`] writes these as in JSON: as the inner value. [`Answer`] reads a newtype the same way.

use std::{fmt, marker::PhantomData};

use serde::{
    de::{
        Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor,
        value::{SeqAccessDeserializer, UnitDeserializer},
    },
    ser::{
        Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant, Serializer,
    },
};
use socketioxide_core::parser::is_de_tuple;

/// A client's acknowledgement: its first argument, for a tuple several; a missing one reads as `null`.
pub(crate) struct Answer<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Answer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Arguments<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Arguments<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an acknowledgement's arguments")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<T, A::Error> {
                let value = if is_de_tuple::<T>() {
                    T::deserialize(SeqAccessDeserializer::new(&mut sequence))?
                } else if let Some(first) = sequence.next_element()? {
                    first
                } else {
                    T::deserialize(UnitDeserializer::new())?
                };
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(value)
            }
        }

        // The parser looks at the kind of the value alone, not at the length.
        deserializer.deserialize_tuple(usize::MAX, Arguments(PhantomData)).map(Self)
    }
}

/// The arguments of an emit or an acknowledgement: a tuple or array is several arguments, `()` is none, everything else
/// is one.
pub(crate) struct Payload<'a, T: ?Sized>(pub(crate) &'a T);

/// Whether the type is `()` or a reference to it. A serializer cannot tell, since `serde_json` writes `null` as a unit
/// too; and without `'static` there is no `TypeId`.
fn is_unit<T: ?Sized>() -> bool {
    std::any::type_name::<T>().trim_start_matches('&') == "()"
}

impl<T: Serialize + ?Sized> Serialize for Payload<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_unit::<T>() {
            return serializer.serialize_tuple(0)?.end();
        }
        self.0.serialize(Writer { to: serializer, is_whole: true })
    }
}

/// About how many bytes a value takes in a packet.
pub(crate) fn size<T: Serialize + ?Sized>(value: &T) -> usize {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
            self.0 += data.len();
            Ok(data.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // What does not serialize is told by whoever sends it.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// A value within another.
struct Part<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for Part<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Writer { to: serializer, is_whole: false })
    }
}

struct Writer<S> {
    to: S,
    /// Whether the value stands for all the arguments.
    is_whole: bool,
}

impl<S: Serializer> Writer<S> {
    /// Writes a transparent wrapper: as one argument, or as its inner value.
    fn transparent<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        if !self.is_whole {
            return value.serialize(self);
        }
        let mut arguments = self.to.serialize_tuple(1)?;
        arguments.serialize_element(&Part(value))?;
        arguments.end()
    }
}

/// Passes values on as they are.
macro_rules! plain {
    ($($method:ident($type:ty)),*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.to.$method(value)
        }
    )*};
}

impl<S: Serializer> Serializer for Writer<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<S::SerializeSeq>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Parts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<S::SerializeTupleVariant>;
    type SerializeMap = Parts<S::SerializeMap>;
    type SerializeStruct = Parts<S::SerializeStruct>;
    type SerializeStructVariant = Parts<S::SerializeStructVariant>;

    plain! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64), serialize_f32(f32),
        serialize_f64(f64), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.transparent(value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.transparent(value)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let mut map = self.to.serialize_map(Some(1))?;
        map.serialize_entry(variant, &Part(value))?;
        map.end()
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.to.serialize_seq(length).map(Parts)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.to.serialize_tuple(length).map(Parts)
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.to.serialize_tuple_struct(name, length).map(Parts)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.to.serialize_tuple_variant(name, index, variant, length).map(Parts)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.to.serialize_map(length).map(Parts)
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.to.serialize_struct(name, length).map(Parts)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.to.serialize_struct_variant(name, index, variant, length).map(Parts)
    }

    fn is_human_readable(&self) -> bool {
        self.to.is_human_readable()
    }
}

/// A value of several parts.
struct Parts<C>(C);

macro_rules! parts {
    ($($trait:ident: $method:ident($($key:ident: $type:ty)?)),*) => {$(
        impl<C: $trait> $trait for Parts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<(), C::Error> {
                self.0.$method($($key,)? &Part(value))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(key: &'static str),
    SerializeStructVariant: serialize_field(key: &'static str)
}

impl<C: SerializeMap> SerializeMap for Parts<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.0.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.0.serialize_value(&Part(value))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde::Serialize;
    use socketioxide_core::{Value, parser::Parse};
    use socketioxide_parser_common::CommonParser;

    use super::*;

    /// The text of the event's packet, and the number of attachments.
    fn written<T: Serialize>(value: T) -> (String, usize) {
        match CommonParser.encode_value(&Payload(&value), Some("e")).unwrap() {
            Value::Str(text, attachments) => (text.to_string(), attachments.map_or(0, |attachments| attachments.len())),
            Value::Bytes(_) => panic!("a packet of text"),
        }
    }

    #[derive(Clone, Serialize)]
    struct New<T>(T);

    #[derive(Serialize)]
    struct Pair(u8, u8);

    #[derive(Serialize)]
    struct Named<T> {
        a: T,
    }

    #[derive(Serialize)]
    enum Of<T> {
        Nothing,
        One(T),
        Two(T, T),
        Named { a: T },
    }

    #[test]
    fn r7_whatever_serializes_is_a_sound_packet() {
        let text = |value: &str| (format!(r#"["e",{value}]"#), 0);
        assert_eq!(written(New(4)), text("4"));
        assert_eq!(written(New("s")), text(r#""s""#));
        assert_eq!(written(New(vec![1, 2])), text("[1,2]"));
        assert_eq!(written(New((1, 2))), text("[1,2]"));
        assert_eq!(written(New(New(4))), text("4"));
        assert_eq!(written(New(Named { a: 1 })), text(r#"{"a":1}"#));
        assert_eq!(written(Box::new(New(4))), text("4"));
        assert_eq!(written(Named { a: Some(New(4)) }), text(r#"{"a":4}"#));
        assert_eq!(written(vec![New(1), New(2)]), text("[1,2]"));
        assert_eq!(written((New(1), "x")), text(r#"1,"x""#));
        assert_eq!(written((1,)), text("1"));
        assert_eq!(written([1, 2]), text("1,2"));
        assert_eq!(written(Pair(1, 2)), text("1,2"));
        assert_eq!(written(Some((1, 2))), text("[1,2]"));
        assert_eq!(written(Some(4)), text("4"));
        assert_eq!(written(None::<u8>), text("null"));
        assert_eq!(written(serde_json::Value::Null), text("null"));
        assert_eq!(written(serde_json::json!({ "a": [1.5, null] })), text(r#"{"a":[1.5,null]}"#));
        assert_eq!(written(std::collections::BTreeMap::from([(1, New(2))])), text(r#"{"1":2}"#));
        assert_eq!(written(Of::<u8>::Nothing), text(r#""Nothing""#));
        assert_eq!(written(Of::One(1)), text(r#"{"One":1}"#));
        assert_eq!(written(Of::Two(1, 2)), text(r#"{"Two":[1,2]}"#));
        assert_eq!(written(Of::Named { a: 1 }), text(r#"{"Named":{"a":1}}"#));
    }

    #[test]
    fn a_unit_is_no_argument() {
        let nothing = (r#"["e"]"#.to_owned(), 0);
        assert_eq!(written(()), nothing);
        let reference = &();
        assert_eq!(written(reference), nothing);
        let twice = &reference;
        assert_eq!(written(twice), nothing);
        assert_eq!(written(((),)), (r#"["e",null]"#.to_owned(), 0));
        assert_eq!(written(Some(())), (r#"["e",null]"#.to_owned(), 0));
    }

    #[test]
    fn binary_values_are_attached_wherever_they_stand() {
        let bytes = Bytes::from_static(b"ab");
        let place = |number: usize| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
        let text = |value: &str, count| (format!(r#"["e",{value}]"#), count);
        assert_eq!(written(bytes.clone()), text(&place(0), 1));
        assert_eq!(written(Some(bytes.clone())), text(&place(0), 1));
        assert_eq!(written(New(bytes.clone())), text(&place(0), 1));
        assert_eq!(written(Named { a: Some(bytes.clone()) }), text(&format!(r#"{{"a":{}}}"#, place(0)), 1));
        assert_eq!(written((1, Some(bytes.clone()))), text(&format!("1,{}", place(0)), 1));
        assert_eq!(written(Of::One(bytes.clone())), text(&format!(r#"{{"One":{}}}"#, place(0)), 1));
        let two = Of::Two(bytes.clone(), bytes.clone());
        assert_eq!(written(two), text(&format!(r#"{{"Two":[{},{}]}}"#, place(0), place(1)), 2));
        assert_eq!(written(vec![New(bytes.clone()), New(bytes)]), text(&format!("[{},{}]", place(0), place(1)), 2));
    }
}
