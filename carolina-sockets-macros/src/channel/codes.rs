//! Finds the codes of the errors that a handler makes: `EventError::new("code", …)` in its body, and in methods of the same block that it names.
//! A code may be a constant, if that can be named outside of the body as well.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{ImplItem, ItemImpl, Path, ext::IdentExt};

/// The methods of a block.
pub(super) struct Codes(BTreeMap<String, Method>);

#[derive(Default)]
struct Method {
    codes: BTreeSet<String>,
    /// The constants that are codes, by their text.
    constants: BTreeMap<String, TokenStream>,
    /// The names in its body, among which may be those of other methods.
    names: BTreeSet<String>,
}

impl Codes {
    pub(super) fn of(block: &ItemImpl) -> Self {
        let methods = block.items.iter().filter_map(|item| match item {
            ImplItem::Fn(method) => {
                let mut found = Method::default();
                found.read(method.block.to_token_stream());
                let own: TokenStream = method.attrs.iter().map(ToTokens::to_token_stream).collect();
                found.keep_constants(&block.self_ty, own);
                Some((method.sig.ident.unraw().to_string(), found))
            }
            _ => None,
        });
        Self(methods.collect())
    }

    /// The codes of a method and of those that it may call, each as an expression: texts in alphabetical order, then constants.
    pub(super) fn reached_from(&self, method: &Ident) -> Vec<TokenStream> {
        let (mut codes, mut constants, mut seen) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        let mut next = vec![method.unraw().to_string()];
        while let Some(name) = next.pop() {
            let Some(method) = self.0.get(&name).filter(|_| !seen.contains(&name)) else { continue };
            codes.extend(&method.codes);
            constants.extend(method.constants.clone());
            next.extend(method.names.iter().cloned());
            seen.insert(name);
        }
        codes.into_iter().map(ToTokens::to_token_stream).chain(constants.into_values()).collect()
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
                let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
                let first: TokenStream = arguments.stream().into_iter().take_while(|token| !is_comma(token)).collect();
                if let Ok(code) = syn::parse2::<syn::LitStr>(first.clone()) {
                    self.codes.insert(code.value());
                } else if syn::parse2::<Path>(first.clone()).is_ok_and(|path| is_constant(&path)) {
                    self.constants.insert(first.to_string(), first);
                }
            }
            (known @ ("forbidden" | "unauthenticated"), _) => drop(self.codes.insert(known.to_owned())),
            _ => {}
        }
    }
}

impl Method {
    /// Leaves out the constants that may not be there, or may be others, where the contract is described: those of a body that declares or imports something, and
    /// those under a `cfg`.
    fn keep_constants(&mut self, channel: &syn::Type, attributes: TokenStream) {
        let is_here = |word: &str| self.names.contains(word);
        let has_cfg = attributes.to_string().contains("cfg");
        if has_cfg || ["use", "const", "static", "cfg", "macro_rules", "mod"].into_iter().any(is_here) {
            self.constants.clear();
        }
        for path in self.constants.values_mut() {
            let mut tokens = path.clone().into_iter();
            if matches!(tokens.next(), Some(TokenTree::Ident(first)) if first == "Self") {
                let rest: TokenStream = tokens.collect();
                *path = quote!(<#channel> #rest);
            }
        }
    }
}

/// Whether a path ends as constants do: `FULL`, `codes::FULL`, `Self::FULL`.
fn is_constant(path: &Path) -> bool {
    let last = path.segments.last().map(|last| last.ident.unraw().to_string()).unwrap_or_default();
    let is_upper = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    path.segments.iter().all(|segment| segment.arguments.is_none())
        && last.starts_with(|first: char| first.is_ascii_uppercase())
        && last.chars().all(is_upper)
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
                    Err(EventError::new(codes::CODE, "named by a constant"))
                }
                fn b(&self) { Self::c(); EventError::new("two", format!("{}", 1)); }
                fn c() { A.a(); EventError::new("three", ""); }
                fn d() { EventError::new("four", ""); EventError::new(Self::FIVE, ""); EventError::new(six, ""); }
                fn e() { const SEVEN: &str = "seven"; EventError::new(SEVEN, ""); }
                #[cfg(unix)]
                fn f() { EventError::new(EIGHT, ""); }
            }
        };
        let codes = Codes::of(&block);
        let reached = |name: &str| {
            let all = codes.reached_from(&Ident::new(name, proc_macro2::Span::call_site()));
            all.iter().map(|code| code.to_string().replace(' ', "")).collect::<Vec<_>>()
        };
        assert_eq!(reached("a"), [r#""forbidden""#, r#""one""#, r#""three""#, r#""two""#, "codes::CODE"]);
        assert_eq!(reached("d"), [r#""four""#, "<A>::FIVE"]);
        assert!(reached("e").is_empty() && reached("f").is_empty());
    }
}
