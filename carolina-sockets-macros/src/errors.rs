//! Collects every error of a block, so that all are reported at once.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Ident;

use crate::suggest::did_you_mean;

/// The errors found so far. Dropping it without reporting them panics, as the errors would be lost.
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

    /// Adds a parser error.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// Reports an option or a word that is given twice.
    pub(crate) fn duplicate(&mut self, name: &Ident) {
        self.at(name, format!("`{name}` is given twice; once is enough"));
    }

    /// Reports a name that is not in `known`: with the nearest known name, or else with `otherwise`.
    pub(crate) fn unknown(&mut self, name: &Ident, known: &[&str], otherwise: &str) {
        let near = did_you_mean(&name.to_string(), known.iter().copied());
        let hint = if near.is_empty() { format!("; {otherwise}") } else { near };
        self.at(name, format!("unknown option `{name}`{hint}"));
    }

    /// The number of errors so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// The errors as `compile_error!` tokens; empty if there are none.
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
