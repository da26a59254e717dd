//! The parameters of a path, from what an application gives for them.

use std::fmt;

use serde::{
    Serialize,
    ser::{
        self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
    },
};

/// The texts of parameters with these names: of a scalar for one, of a tuple or a list in order, of a struct or a map by
/// name.
///
/// # Errors
///
/// What does not fit.
pub(super) fn texts<T: Serialize + ?Sized>(value: &T, names: &[&str]) -> Result<Vec<String>, String> {
    let texts = value.serialize(All { names }).map_err(|fault| fault.0)?;
    if let Some(empty) = texts.iter().position(String::is_empty) {
        return Err(format!("the parameter `{}` is empty", names[empty]));
    }
    Ok(texts)
}

#[derive(Debug)]
struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Writes all parameters.
#[derive(Clone, Copy)]
struct All<'a> {
    names: &'a [&'a str],
}

impl<'a> All<'a> {
    fn in_order(self) -> InOrder<'a> {
        InOrder { names: self.names, texts: Vec::with_capacity(self.names.len()) }
    }

    fn by_name(self) -> ByName<'a> {
        ByName { names: self.names, texts: vec![None; self.names.len()], at: None }
    }

    fn one(self, text: String) -> Result<Vec<String>, Fault> {
        InOrder { names: self.names, texts: vec![text] }.complete()
    }
}

/// Writes one parameter.
struct One;

fn no_text<T>() -> Result<T, Fault> {
    Err(Fault("a parameter of a path is text, a number, a boolean or a name".to_owned()))
}

macro_rules! scalars {
    ($ok:ty, $one:expr; $($method:ident $type:ty;)*) => {
        $(fn $method(self, value: $type) -> Result<$ok, Fault> {
            $one(self, value.to_string())
        })*

        fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<$ok, Fault> {
            $one(self, variant.to_owned())
        }

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<$ok, Fault> {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<$ok, Fault> {
            value.serialize(self)
        }

        fn serialize_bytes(self, _: &[u8]) -> Result<$ok, Fault> {
            no_text()
        }

        fn serialize_none(self) -> Result<$ok, Fault> {
            no_text()
        }

        fn serialize_unit(self) -> Result<$ok, Fault> {
            no_text()
        }

        fn serialize_unit_struct(self, _: &'static str) -> Result<$ok, Fault> {
            no_text()
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<$ok, Fault> {
            no_text()
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Impossible<$ok, Fault>, Fault> {
            no_text()
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Impossible<$ok, Fault>, Fault> {
            no_text()
        }
    };
    ($ok:ty, $one:expr) => {
        scalars! {
            $ok, $one;
            serialize_bool bool;
            serialize_i8 i8;
            serialize_i16 i16;
            serialize_i32 i32;
            serialize_i64 i64;
            serialize_i128 i128;
            serialize_u8 u8;
            serialize_u16 u16;
            serialize_u32 u32;
            serialize_u64 u64;
            serialize_u128 u128;
            serialize_f32 f32;
            serialize_f64 f64;
            serialize_char char;
            serialize_str &str;
        }
    };
}

impl Serializer for One {
    type Ok = String;
    type Error = Fault;
    type SerializeSeq = Impossible<String, Fault>;
    type SerializeTuple = Impossible<String, Fault>;
    type SerializeTupleStruct = Impossible<String, Fault>;
    type SerializeTupleVariant = Impossible<String, Fault>;
    type SerializeMap = Impossible<String, Fault>;
    type SerializeStruct = Impossible<String, Fault>;
    type SerializeStructVariant = Impossible<String, Fault>;

    scalars!(String, |_, text| Ok(text));

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Fault> {
        no_text()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Fault> {
        no_text()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Fault> {
        no_text()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Fault> {
        no_text()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Fault> {
        no_text()
    }
}

impl<'a> Serializer for All<'a> {
    type Ok = Vec<String>;
    type Error = Fault;
    type SerializeSeq = InOrder<'a>;
    type SerializeTuple = InOrder<'a>;
    type SerializeTupleStruct = InOrder<'a>;
    type SerializeTupleVariant = Impossible<Vec<String>, Fault>;
    type SerializeMap = ByName<'a>;
    type SerializeStruct = ByName<'a>;
    type SerializeStructVariant = Impossible<Vec<String>, Fault>;

    scalars!(Vec<String>, Self::one);

    fn serialize_seq(self, _: Option<usize>) -> Result<InOrder<'a>, Fault> {
        Ok(self.in_order())
    }

    fn serialize_tuple(self, _: usize) -> Result<InOrder<'a>, Fault> {
        Ok(self.in_order())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<InOrder<'a>, Fault> {
        Ok(self.in_order())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<ByName<'a>, Fault> {
        Ok(self.by_name())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<ByName<'a>, Fault> {
        Ok(self.by_name())
    }
}

struct InOrder<'a> {
    names: &'a [&'a str],
    texts: Vec<String>,
}

impl InOrder<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.texts.push(value.serialize(One)?);
        Ok(())
    }

    fn complete(self) -> Result<Vec<String>, Fault> {
        let (given, taken) = (self.texts.len(), self.names.len());
        if given != taken {
            return Err(Fault(format!("{given} values were given for {taken} parameters, {}", self.names.join(", "))));
        }
        Ok(self.texts)
    }
}

macro_rules! in_order {
    ($($trait:ident $method:ident;)*) => {
        $(impl $trait for InOrder<'_> {
            type Ok = Vec<String>;
            type Error = Fault;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
                self.add(value)
            }

            fn end(self) -> Result<Vec<String>, Fault> {
                self.complete()
            }
        })*
    };
}

in_order! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
}

struct ByName<'a> {
    names: &'a [&'a str],
    texts: Vec<Option<String>>,
    /// Whose value comes next.
    at: Option<usize>,
}

impl ByName<'_> {
    /// Other names than the path's are left out.
    fn add<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Fault> {
        if let Some(at) = self.names.iter().position(|known| *known == name) {
            self.texts[at] = Some(value.serialize(One)?);
        }
        Ok(())
    }

    fn complete(self) -> Result<Vec<String>, Fault> {
        let texts = self.texts.into_iter().zip(self.names);
        texts.map(|(text, name)| text.ok_or_else(|| Fault(format!("the parameter `{name}` is missing")))).collect()
    }
}

impl SerializeStruct for ByName<'_> {
    type Ok = Vec<String>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Fault> {
        self.add(name, value)
    }

    fn end(self) -> Result<Vec<String>, Fault> {
        self.complete()
    }
}

impl SerializeMap for ByName<'_> {
    type Ok = Vec<String>;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Fault> {
        let name = name.serialize(One)?;
        self.at = self.names.iter().position(|known| *known == name);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        if let Some(at) = self.at.take() {
            self.texts[at] = Some(value.serialize(One)?);
        }
        Ok(())
    }

    fn end(self) -> Result<Vec<String>, Fault> {
        self.complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Place {
        number: u32,
        shop: &'static str,
    }

    #[test]
    fn r18_values_become_parameters() {
        let (one, two) = (&["id"][..], &["shop", "number"][..]);
        let given = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(texts(&42, one), given(&["42"]));
        assert_eq!(texts("a/b", one), given(&["a/b"]));
        assert_eq!(texts(&(true,), one), given(&["true"]));
        assert_eq!(texts(&("books", 7_u8), two), given(&["books", "7"]));
        assert_eq!(texts(&["books", "7"], two), given(&["books", "7"]));
        assert_eq!(texts(&Place { number: 7, shop: "books" }, two), given(&["books", "7"]));
        assert_eq!(texts(&serde_json::json!({ "shop": "books", "number": 7 }), two), given(&["books", "7"]));
        #[cfg(feature = "uuid")]
        assert_eq!(texts(&uuid::Uuid::nil(), one), given(&["00000000-0000-0000-0000-000000000000"]));
    }

    #[test]
    fn r18_values_that_do_not_fit_are_told() {
        let (one, two) = (&["id"][..], &["shop", "number"][..]);
        assert_eq!(texts(&42, two), Err("1 values were given for 2 parameters, shop, number".to_owned()));
        assert_eq!(texts(&(1, 2), one), Err("2 values were given for 1 parameters, id".to_owned()));
        assert_eq!(
            texts(&serde_json::json!({ "shop": "a" }), two),
            Err("the parameter `number` is missing".to_owned())
        );
        assert_eq!(texts("", one), Err("the parameter `id` is empty".to_owned()));
        assert!(texts(&((1, 2), 3), two).unwrap_err().contains("is text"));
        assert!(texts(&(), one).is_err());
    }
}
