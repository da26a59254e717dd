use std::{ops::Deref, vec};

use super::{FromInit, InitContext};
use crate::error::{Error, Result};

/// The keys that `#[on(presence)]` is to add to (rule R20): those that clients of this node have not been told of yet, each once.
///
/// The handler runs for all keys that have come within `presence.batch`, however many clients are told of them, so that names from a
/// database are one query. The fields of what it returns for a key stand beside `metas` in `presence_state` and `presence_diff`, and stay
/// as they are while the key is there. A key that it returns nothing for is told without.
///
/// ```
/// use std::collections::HashMap;
///
/// use carolina_sockets::{Keys, prelude::*};
/// # struct Database;
/// # impl Database { async fn names(&self, keys: &[String]) -> Result<HashMap<String, String>, std::io::Error> { Ok(HashMap::new()) } }
///
/// #[channel("/rooms", presence)]
/// #[derive(Default)]
/// struct Rooms;
///
/// #[derive(Serialize)]
/// struct Named {
///     name: String,
/// }
///
/// #[channel]
/// impl Rooms {
///     #[on(presence)]
///     async fn names(&self, keys: Keys, database: State<Database>) -> Result<HashMap<String, Named>, EventError> {
///         let names = database.names(&keys).await?;
///         Ok(names.into_iter().map(|(key, name)| (key, Named { name })).collect())
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(pub Vec<String>);

impl Deref for Keys {
    type Target = Vec<String>;

    fn deref(&self) -> &Vec<String> {
        &self.0
    }
}

impl IntoIterator for Keys {
    type Item = String;
    type IntoIter = vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromInit for Keys {
    fn from_init(context: &InitContext) -> Result<Self> {
        let keys = context.keys.clone().map(Keys);
        keys.ok_or_else(|| Error::Init("`Keys` are known in `#[on(presence)]` alone".to_owned().into()))
    }
}
