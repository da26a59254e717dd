use std::borrow::Cow;

/// The key of a user: the text after `user.` in the name of the user's room.
///
/// Implemented for texts, integers and, with the feature `uuid`, which is on by default, `uuid::Uuid`. An integer and its
/// decimal digits name the same user. Implement it for the application's own user type, and `emit_to_user` takes that.
///
/// ```
/// use std::borrow::Cow;
/// use carolina_sockets::identity::UserKey;
///
/// struct Account { id: u64, name: String }
///
/// impl UserKey for Account {
///     fn user_key(&self) -> Cow<'_, str> {
///         self.id.to_string().into()
///     }
/// }
///
/// assert_eq!(Account { id: 7, name: "Ada".into() }.user_key(), 7.user_key());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a user",
    label = "not a user key",
    note = "pass a text, an integer or a `Uuid`, or implement `carolina_sockets::identity::UserKey` for `{Self}`"
)]
pub trait UserKey {
    /// The key as text, equal to what the session holds for this user.
    fn user_key(&self) -> Cow<'_, str>;
}

impl UserKey for str {
    fn user_key(&self) -> Cow<'_, str> {
        self.into()
    }
}

impl UserKey for String {
    fn user_key(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

#[cfg(feature = "uuid")]
impl UserKey for uuid::Uuid {
    fn user_key(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl<T: UserKey + ?Sized> UserKey for &T {
    fn user_key(&self) -> Cow<'_, str> {
        (**self).user_key()
    }
}

macro_rules! integers {
    ($($integer:ty)+) => {$(
        impl UserKey for $integer {
            fn user_key(&self) -> Cow<'_, str> {
                self.to_string().into()
            }
        }
    )+};
}

integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r11_one_user_has_one_key() {
        assert_eq!(7_u64.user_key(), "7".user_key());
        assert_eq!((-7_i32).user_key(), "-7");
        assert_eq!(String::from("ada").user_key(), (&"ada").user_key());
        #[cfg(feature = "uuid")]
        assert_eq!(uuid::Uuid::nil().user_key(), "00000000-0000-0000-0000-000000000000");
    }
}
