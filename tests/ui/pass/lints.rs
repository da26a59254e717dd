//! The expansions give the compiler nothing to warn of, and leave the user's item as it is.

#![deny(
    warnings,
    unused,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    unused_lifetimes,
    unused_results,
    single_use_lifetimes,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    trivial_casts,
    trivial_numeric_casts,
    let_underscore_drop,
    unsafe_code
)]

use std::{borrow::Cow, fmt};

use carolina_sockets::{Args, prelude::*};

/// A channel whose parts are all public.
#[derive(Debug, Default)]
#[channel("/custom")]
#[non_exhaustive]
pub struct Custom {
    /// A name.
    pub name: String,
}

/// Says no.
#[derive(Debug)]
pub struct Refusal;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl std::error::Error for Refusal {}

type Answer<T> = Result<T, Refusal>;

#[channel]
impl Custom {
    /// Names with a meaning of their own, written raw.
    ///
    /// # Errors
    ///
    /// Never.
    #[on("match")]
    pub fn r#match(&self) -> Result<u8, Refusal> {
        Ok(1)
    }

    /// Patterns of every kind.
    #[on("patterns")]
    #[must_use]
    pub async fn patterns(
        &self,
        #[allow(unused_mut)] Data((mut first, [second, ..])): Data<(u8, [u8; 2])>,
        Args(rest): Args<Vec<u8>>,
        _: Socket,
    ) -> u8 {
        first += second;
        first.saturating_add(rest.first().copied().unwrap_or_default())
    }

    /// Borrows from the channel, by an elided lifetime.
    #[on("elided")]
    #[must_use]
    pub fn elided(&self) -> &str {
        &self.name
    }

    /// Borrows from the channel, by a lifetime with a name.
    #[on("named")]
    #[allow(single_use_lifetimes)]
    #[must_use]
    pub fn named<'mutex>(&'mutex self, Data(more): Data<Cow<'mutex, str>>) -> (&'mutex str, Cow<'mutex, str>) {
        (&self.name, more)
    }

    /// Takes the channel in the long spelling.
    #[on("typed")]
    #[must_use]
    pub fn typed(self: &Self) -> Option<u8> {
        None
    }

    /// Returns what has no name.
    #[on("opaque")]
    #[must_use]
    pub fn opaque(&self) -> impl Serialize + use<> {
        "opaque"
    }

    /// Returns what has no name, inside of what has one.
    #[on("inner")]
    #[must_use]
    pub fn inner(&self) -> Option<impl Serialize + use<>> {
        Some("opaque")
    }

    /// Returns several, of which one has no name.
    #[on("several")]
    #[must_use]
    pub fn several(&self) -> (u8, impl Serialize + use<>, Vec<u8>) {
        (1, "opaque", Vec::new())
    }

    /// Returns an alias, and fails by an error that has none.
    #[on("alias")]
    fn alias() -> Answer<()> {
        Err(Refusal)
    }

    /// Known at compile time.
    #[on("constant")]
    const fn constant() -> u8 {
        1
    }

    /// Not to be used any more.
    #[deprecated]
    #[on("old")]
    fn old(&self) {
        drop(self.name.clone());
    }

    /// Of no crate that is built today.
    #[cfg(any())]
    #[on("absent")]
    fn absent(&self, _: NoSuchType) {}

    /// Two handlers for one event, of which one is there.
    #[cfg(not(any()))]
    #[on("either")]
    fn either(&self) {
        drop(self.name.clone());
    }

    /// The other one.
    #[cfg(any())]
    #[on("either")]
    fn other(&self) {}

    /// A method that is a handler under a condition.
    #[cfg_attr(all(), on("conditional", timeout = "1s"), must_use)]
    #[cfg_attr(any(), on("never"))]
    fn conditional(&self) -> usize {
        self.name.len()
    }

    /// A method that is there under a condition.
    #[cfg_attr(all(), cfg(any()))]
    #[on("gone")]
    fn gone(&self, _: NoSuchType) {}

    /// No handler at all.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }
}

mod elsewhere {
    use carolina_sockets::{channel, on};

    #[channel]
    impl super::Custom {
        #[on("elsewhere")]
        fn elsewhere(&self) -> usize {
            self.name.len()
        }
    }
}

#[deprecated]
#[channel]
#[derive(Debug, Default)]
struct Old;

#[allow(deprecated)]
#[channel]
impl Old {
    #[on("old")]
    const fn old(&self) {}
}

macro_rules! channels {
    ($($name:ident => $event:literal),*) => {$(
        #[channel]
        #[derive(Debug, Default)]
        struct $name;

        #[channel]
        impl $name {
            #[on($event)]
            const fn event(&self) {}
        }
    )*};
}

channels!(First => "first", Second => "second");

fn main() {}
