use std::{any::TypeId, fmt};

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

use super::{EventContext, FromEvent, Needs};
use crate::{
    error::{EventError, code},
    template::Value,
};

/// The parameters of a channel's path (rule R18): one by its type, several by a tuple in order, or by a struct whose
/// fields have their names.
///
/// A client whose parameters do not read as every handler's `Path<T>` is refused with `invalid_path`, before anything is
/// allocated for it. They are percent-decoded.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[channel("/shops/{shop}/orders/{number}")]
/// #[derive(Default)]
/// struct Orders;
///
/// #[derive(Deserialize)]
/// struct Place {
///     shop: String,
///     number: u32,
/// }
///
/// #[channel]
/// impl Orders {
///     #[on("number")]
///     fn number(&self, Path((_, number)): Path<(String, u32)>) -> u32 {
///         number
///     }
///
///     #[on("place")]
///     fn place(&self, Path(place): Path<Place>) -> String {
///         format!("{} in {}", place.number, place.shop)
///     }
/// }
/// # #[cfg(feature = "testing")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use carolina_sockets::{Sockets, testing::TestService};
/// # let builder = Sockets::builder().discover(false).mount::<Orders>("/shops/{shop}/orders/{number}");
/// # let service = TestService::start(builder).await?;
/// # let mut client = service.connect("/shops/books/orders/7").await?;
/// # assert_eq!(client.request::<u32>("number", ()).await?, 7);
/// # assert_eq!(client.request::<String>("place", ()).await?, "7 in books");
/// # assert!(service.connect("/shops/books/orders/first").await.is_err());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "testing"))]
/// # fn main() {}
/// ```
///
/// Start-up fails where `T` cannot fit the path, and where a handler that takes one is mounted at a path without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromEvent for Path<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        read(&context.socket.channel.parameters()).map(Self).map_err(EventError::from)
    }

    fn needs(needs: &mut Needs) {
        needs.paths.push(PathNeed {
            taken: TypeId::of::<T>(),
            name: std::any::type_name::<T>(),
            check: |values| read::<T>(values).map(|_| ()),
            fits: fits::<T>,
        });
    }
}

/// What a handler takes of the path's parameters.
#[derive(Clone, Copy)]
pub(crate) struct PathNeed {
    pub(crate) taken: TypeId,
    pub(crate) name: &'static str,
    /// Whether these parameters can be read.
    pub(crate) check: fn(&[Value<'_>]) -> Result<(), PathFault>,
    /// Whether parameters of these names can be, as far as the type tells; the error is what it takes instead.
    pub(crate) fits: fn(&[&str]) -> Result<(), String>,
}

impl fmt::Debug for PathNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PathNeed").field(&self.name).finish()
    }
}

/// A parameter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathFault {
    name: String,
    value: String,
    expected: String,
}

/// How many characters of a parameter are repeated to its client.
const LONGEST_VALUE: usize = 64;

impl PathFault {
    pub(crate) fn new(name: &str, value: &str, expected: impl Into<String>) -> Self {
        let mut shown: String = value.chars().take(LONGEST_VALUE).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { name: name.to_owned(), value: shown, expected: expected.into() }
    }
}

impl From<PathFault> for EventError {
    fn from(fault: PathFault) -> Self {
        let PathFault { name, value, expected } = fault;
        let message = format!("the parameter `{name}` of the path is {value:?}, expected was {expected}");
        Self::new(code::INVALID_PATH, message)
            .details(serde_json::json!({ "name": name, "value": value, "expected": expected }))
    }
}

fn read<T: DeserializeOwned>(values: &[Value<'_>]) -> Result<T, PathFault> {
    T::deserialize(Parameters(values)).map_err(|fault| match fault {
        ReadFault::At(fault) => fault,
        // Of the whole: what start-up has checked, or a type that reads in its own way.
        ReadFault::Text(expected) => {
            let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            let given: Vec<&str> = values.iter().map(|(_, value)| &**value).collect();
            PathFault::new(&names.join(", "), &given.join(", "), expected)
        }
    })
}

/// Why parameters do not read.
#[derive(Debug)]
enum ReadFault {
    /// Of one parameter.
    At(PathFault),
    /// What was expected, of which one is not known yet.
    Text(String),
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(fault) => write!(f, "`{}`: {}", fault.name, fault.expected),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ReadFault {}

impl de::Error for ReadFault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Text(message.to_string())
    }
}

/// All parameters of a path.
struct Parameters<'a>(&'a [Value<'a>]);

impl<'a> Parameters<'a> {
    fn only(&self) -> Result<One<'a>, ReadFault> {
        match self.0 {
            [(name, value)] => Ok(One { name, value }),
            several => Err(de::Error::custom(format!("one parameter, and there are {}", several.len()))),
        }
    }
}

macro_rules! one {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
            self.only()?.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Parameters<'_> {
    type Error = ReadFault;

    one!(deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_identifier);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        match self.only() {
            Ok(one) => one.deserialize_any(visitor),
            Err(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_seq(Each { left: self.0.iter(), value: None })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, ReadFault> {
        if length != self.0.len() {
            return Err(de::Error::custom(format!("{length} parameters, and there are {}", self.0.len())));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ReadFault> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_map(Each { left: self.0.iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadFault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadFault> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_unit()
    }
}

/// The parameters one by one.
struct Each<'a> {
    left: std::slice::Iter<'a, Value<'a>>,
    value: Option<One<'a>>,
}

impl<'de> SeqAccess<'de> for Each<'_> {
    type Error = ReadFault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadFault> {
        self.left.next().map(|(name, value)| seed.deserialize(One { name, value })).transpose()
    }
}

impl<'de> MapAccess<'de> for Each<'_> {
    type Error = ReadFault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadFault> {
        let Some((name, value)) = self.left.next() else { return Ok(None) };
        self.value = Some(One { name, value });
        let key: StrDeserializer<'_, ReadFault> = (*name).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadFault> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(de::Error::custom("a name before its value")),
        }
    }
}

/// One parameter.
#[derive(Clone, Copy)]
struct One<'a> {
    name: &'a str,
    value: &'a str,
}

impl One<'_> {
    /// The error of this parameter.
    fn at<T>(self, read: Result<T, ReadFault>) -> Result<T, ReadFault> {
        read.map_err(|fault| match fault {
            ReadFault::Text(expected) => ReadFault::At(PathFault::new(self.name, self.value, expected)),
            known => known,
        })
    }

    fn expected<T>(self, what: &str) -> Result<T, ReadFault> {
        Err(ReadFault::At(PathFault::new(self.name, self.value, what)))
    }
}

/// One value has one spelling, as each is a channel of its own: `042` is no number here.
macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
            match self.value.parse::<$type>() {
                Ok(value) if value.to_string() == self.value => self.at(visitor.$visit(value)),
                _ => self.expected($what),
            }
        })*
    };
}

macro_rules! no_parameter {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, ReadFault> {
            self.expected("something that is no part of a path")
        })*
    };
}

impl<'de> Deserializer<'de> for One<'_> {
    type Error = ReadFault;

    parsed! {
        deserialize_bool visit_bool bool, "`true` or `false`";
        deserialize_i8 visit_i8 i8, "an integer (i8)";
        deserialize_i16 visit_i16 i16, "an integer (i16)";
        deserialize_i32 visit_i32 i32, "an integer (i32)";
        deserialize_i64 visit_i64 i64, "an integer (i64)";
        deserialize_i128 visit_i128 i128, "an integer (i128)";
        deserialize_u8 visit_u8 u8, "an integer without a sign (u8)";
        deserialize_u16 visit_u16 u16, "an integer without a sign (u16)";
        deserialize_u32 visit_u32 u32, "an integer without a sign (u32)";
        deserialize_u64 visit_u64 u64, "an integer without a sign (u64)";
        deserialize_u128 visit_u128 u128, "an integer without a sign (u128)";
        deserialize_f32 visit_f32 f32, "a number (f32)";
        deserialize_f64 visit_f64 f64, "a number (f64)";
        deserialize_char visit_char char, "one character";
    }

    no_parameter! {
        deserialize_seq();
        deserialize_tuple(usize);
        deserialize_tuple_struct(&'static str, usize);
        deserialize_map();
        deserialize_struct(&'static str, &'static [&'static str]);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        self.at(visitor.visit_str(self.value))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        self.at(visitor.visit_str(self.value))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        self.at(visitor.visit_str(self.value))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        self.at(visitor.visit_str(self.value))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        self.at(visitor.visit_bytes(self.value.as_bytes()))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        self.at(visitor.visit_bytes(self.value.as_bytes()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadFault> {
        self.at(visitor.visit_newtype_struct(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadFault> {
        if !variants.contains(&self.value) {
            return self.expected(&format!("one of {}", variants.join(", ")));
        }
        self.at(visitor.visit_enum(self))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadFault> {
        visitor.visit_unit()
    }
}

impl<'de> EnumAccess<'de> for One<'_> {
    type Error = ReadFault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadFault> {
        Ok((seed.deserialize(self)?, self))
    }
}

impl<'de> VariantAccess<'de> for One<'_> {
    type Error = ReadFault;

    fn unit_variant(self) -> Result<(), ReadFault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ReadFault> {
        self.expected("a name alone")
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ReadFault> {
        self.expected("a name alone")
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, ReadFault> {
        self.expected("a name alone")
    }
}

/// Whether parameters of these names can be read as a `T`, as far as the type tells without values.
fn fits<T: DeserializeOwned>(names: &[&str]) -> Result<(), String> {
    match T::deserialize(Shape(names)) {
        Err(ShapeFault(Some(fault))) => Err(fault),
        _ => Ok(()),
    }
}

/// Asks a type what it reads. It always fails, with `Some` where that does not fit these names.
struct Shape<'a>(&'a [&'a str]);

#[derive(Debug)]
struct ShapeFault(Option<String>);

impl fmt::Display for ShapeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or_default())
    }
}

impl std::error::Error for ShapeFault {}

impl de::Error for ShapeFault {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

impl Shape<'_> {
    fn count<T>(&self, count: usize) -> Result<T, ShapeFault> {
        let are = |count| if count == 1 { "one parameter".to_owned() } else { format!("{count} parameters") };
        Err(ShapeFault(
            (count != self.0.len()).then(|| format!("{}, and the path has {}", are(count), are(self.0.len()))),
        ))
    }
}

macro_rules! shape_of_one {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ShapeFault> {
            self.count(1)
        })*
    };
}

macro_rules! shape_of_any {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, ShapeFault> {
            Err(ShapeFault(None))
        })*
    };
}

impl<'de> Deserializer<'de> for Shape<'_> {
    type Error = ShapeFault;

    shape_of_one!(deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf);

    shape_of_any! {
        deserialize_any();
        deserialize_unit();
        deserialize_unit_struct(&'static str);
        deserialize_seq();
        deserialize_map();
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeFault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ShapeFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, _: V) -> Result<V::Value, ShapeFault> {
        self.count(length)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        _: V,
    ) -> Result<V::Value, ShapeFault> {
        self.count(length)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ShapeFault> {
        let missing = fields.iter().find(|field| !self.0.contains(field));
        Err(ShapeFault(missing.map(|field| format!("a parameter `{field}`, and the path has {}", list(self.0)))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ShapeFault> {
        self.count(1)
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, collections::HashMap};

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Place {
        shop: String,
        number: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u64);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Side {
        Left,
        Right,
    }

    fn values<'a>(all: &[(&'a str, &'a str)]) -> Vec<Value<'a>> {
        all.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).collect()
    }

    fn expected<T: DeserializeOwned + std::fmt::Debug>(value: &str) -> String {
        let fault = read::<T>(&values(&[("id", value)])).unwrap_err();
        assert_eq!((&*fault.name, &*fault.value), ("id", value));
        fault.expected
    }

    #[test]
    fn r18_parameters_read_as_scalars_tuples_and_structs() {
        let one = values(&[("id", "42")]);
        assert_eq!(read::<u64>(&one), Ok(42));
        assert_eq!(read::<String>(&one), Ok("42".to_owned()));
        assert_eq!(read::<Id>(&one), Ok(Id(42)));
        assert_eq!(read::<Option<u8>>(&one), Ok(Some(42)));
        assert_eq!(read::<(u64,)>(&one), Ok((42,)));
        assert_eq!(read::<Side>(&values(&[("side", "right")])), Ok(Side::Right));
        let two = values(&[("shop", "books"), ("number", "7")]);
        assert_eq!(read::<(String, u32)>(&two), Ok(("books".to_owned(), 7)));
        assert_eq!(read::<Place>(&two), Ok(Place { shop: "books".to_owned(), number: 7 }));
        assert_eq!(read::<Vec<String>>(&two), Ok(vec!["books".to_owned(), "7".to_owned()]));
        assert_eq!(read::<HashMap<String, String>>(&two).map(|map| map.len()), Ok(2));
        #[cfg(feature = "uuid")]
        assert!(read::<uuid::Uuid>(&values(&[("id", "67e55044-10b1-426f-9247-bb680e5fe0c8")])).is_ok());
    }

    #[test]
    fn r18_what_does_not_read_is_told() {
        for value in ["abc", "-1", "+1", "042", "1.5", "", "18446744073709551616", "٤"] {
            assert_eq!(expected::<u64>(value), "an integer without a sign (u64)");
        }
        assert_eq!(expected::<i8>("128"), "an integer (i8)");
        assert_eq!(expected::<bool>("yes"), "`true` or `false`");
        assert_eq!(expected::<char>("ab"), "one character");
        assert_eq!(expected::<f64>("1e"), "a number (f64)");
        assert_eq!(expected::<Side>("up"), "one of left, right");
        #[cfg(feature = "uuid")]
        assert!(expected::<uuid::Uuid>("1").contains("length"));
        let fault = read::<Place>(&values(&[("shop", "a"), ("number", "x")])).unwrap_err();
        assert_eq!((&*fault.name, &*fault.value), ("number", "x"));
        let long = "x".repeat(1000);
        let fault = read::<u64>(&values(&[("id", &long)])).unwrap_err();
        assert_eq!(fault.value.chars().count(), LONGEST_VALUE + 1);
    }

    #[test]
    fn r18_types_that_cannot_fit_a_path_are_found_without_values() {
        let (one, two) = (&["id"][..], &["shop", "number"][..]);
        assert_eq!((fits::<u64>(one), fits::<Id>(one), fits::<Place>(two)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((fits::<(u8, u8)>(two), fits::<Vec<String>>(two)), (Ok(()), Ok(())));
        assert_eq!(fits::<u64>(two), Err("one parameter, and the path has 2 parameters".to_owned()));
        assert_eq!(fits::<Id>(two), Err("one parameter, and the path has 2 parameters".to_owned()));
        assert_eq!(fits::<(u8, u8)>(one), Err("2 parameters, and the path has one parameter".to_owned()));
        assert_eq!(fits::<Place>(one), Err("a parameter `shop`, and the path has `id`".to_owned()));
    }
}
