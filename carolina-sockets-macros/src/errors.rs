//! Collects every error of a block, so that all are reported at once.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Ident;

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

    /// Adds what the parser has found.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// An option or a word that has been given before.
    pub(crate) fn duplicate(&mut self, name: &Ident) {
        self.at(name, format!("`{name}` is given twice; once is enough"));
    }

    /// A name that is none of `known`. Where none of them is like it either, `otherwise` tells what there is.
    pub(crate) fn unknown(&mut self, name: &Ident, known: &[&str], otherwise: &str) {
        self.at(
            name,
            match nearest(&name.to_string(), known) {
                Some(near) => format!("unknown option `{name}`; did you mean `{near}`?"),
                None => format!("unknown option `{name}`; {otherwise}"),
            },
        );
    }

    /// How many there are by now.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
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
