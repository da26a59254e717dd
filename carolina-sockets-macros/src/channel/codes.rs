//! Finds the codes of the errors that a handler makes: `EventError::new("code", …)` in its body, and in methods of the same block that it names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{ImplItem, ItemImpl, ext::IdentExt};

/// The methods of a block.
pub(super) struct Codes(BTreeMap<String, Method>);

#[derive(Default)]
struct Method {
    codes: BTreeSet<String>,
    /// The names in its body, among which may be those of other methods.
    names: BTreeSet<String>,
}

impl Codes {
    pub(super) fn of(block: &ItemImpl) -> Self {
        let methods = block.items.iter().filter_map(|item| match item {
            ImplItem::Fn(method) => {
                let mut found = Method::default();
                found.read(method.block.to_token_stream());
                Some((method.sig.ident.unraw().to_string(), found))
            }
            _ => None,
        });
        Self(methods.collect())
    }

    /// The codes of a method and of those that it may call, in alphabetical order.
    pub(super) fn reached_from(&self, method: &Ident) -> Vec<String> {
        let (mut codes, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut next = vec![method.unraw().to_string()];
        while let Some(name) = next.pop() {
            let Some(method) = self.0.get(&name).filter(|_| !seen.contains(&name)) else { continue };
            codes.extend(method.codes.iter().cloned());
            next.extend(method.names.iter().cloned());
            seen.insert(name);
        }
        codes.into_iter().collect()
    }
}

impl Method {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if *word == "EventError" => self.constructor(&tokens[at + 1..]),
                TokenTree::Ident(word) => drop(self.names.insert(word.unraw().to_string())),
                TokenTree::Group(group) => self.read(group.stream()),
                _ => {}
            }
        }
    }

    /// What stands behind `EventError`.
    fn constructor(&mut self, behind: &[TokenTree]) {
        let [TokenTree::Punct(_), TokenTree::Punct(_), TokenTree::Ident(function), rest @ ..] = behind else { return };
        match (function.to_string().as_str(), rest.first()) {
            ("new", Some(TokenTree::Group(arguments))) => {
                let first = arguments.stream().into_iter().next().map(TokenStream::from);
                if let Some(Ok(code)) = first.map(syn::parse2::<syn::LitStr>) {
                    self.codes.insert(code.value());
                }
            }
            (known @ ("forbidden" | "unauthenticated"), _) => drop(self.codes.insert(known.to_owned())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_the_body_and_in_methods_that_it_names() {
        let block: ItemImpl = syn::parse_quote! {
            impl A {
                fn a(&self) -> Result<(), EventError> {
                    if x { return Err(carolina_sockets::EventError::new("one", "text")) }
                    self.b().map_err(|_| EventError::forbidden())?;
                    Err(EventError::new(CODE, "named by a constant"))
                }
                fn b(&self) { Self::c(); EventError::new("two", format!("{}", 1)); }
                fn c() { A.a(); EventError::new("three", ""); }
                fn d() { EventError::new("four", ""); }
            }
        };
        let codes = Codes::of(&block);
        let reached = |name: &str| codes.reached_from(&Ident::new(name, proc_macro2::Span::call_site()));
        assert_eq!(reached("a"), ["forbidden", "one", "three", "two"]);
        assert_eq!(reached("d"), ["four"]);
    }
}
