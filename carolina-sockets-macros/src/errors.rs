//! Collects every error of a block, so that all are reported at once.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The errors found so far. Looked at, or the compilation goes wrong silently: so it panics when it is dropped
/// unseen.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
    seen: bool,
}

impl Errors {
    /// Adds an error that underlines a token or several.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.found.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds an error at a place.
    pub(crate) fn here(&mut self, span: Span, message: impl std::fmt::Display) {
        self.found.push(syn::Error::new(span, message));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// Takes over what another collection has found.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        other.seen = true;
        self.found.append(&mut other.found);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The errors as the compiler is told of them; nothing when there are none.
    pub(crate) fn into_tokens(mut self) -> TokenStream {
        self.seen = true;
        self.found.iter().map(syn::Error::to_compile_error).collect()
    }

    #[cfg(test)]
    pub(crate) fn into_messages(mut self) -> Vec<String> {
        self.seen = true;
        self.found.iter().map(ToString::to_string).collect()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        if !self.seen && !self.found.is_empty() && !std::thread::panicking() {
            panic!("errors were collected and not reported: {:?}", self.found);
        }
    }
}

/// The name among `known` that is most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let rated = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known));
    rated.filter(|(distance, known)| *distance <= 1 + known.len() / 4).min().map(|(_, known)| known)
}
