//! Finds `#[on]`, `#[emits]` and `#[cfg]` among an item's attributes, including those inside `#[cfg_attr]`, and its documentation.

use proc_macro2::{Punct, Spacing, TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token, parse::Parser, parse_quote, punctuated::Punctuated};

/// An attribute of the library's that was removed from its item.
pub(super) struct Taken {
    pub(super) attribute: Attribute,
    /// The predicates of the enclosing `#[cfg_attr]`s, as `#[cfg]`s.
    pub(super) conditions: Vec<Attribute>,
}

/// Removes every attribute of this name and returns them.
pub(super) fn take_attributes(name: &str, attributes: &mut Vec<Attribute>) -> Vec<Taken> {
    let mut taken = Vec::new();
    let kept = std::mem::take(attributes).into_iter().filter_map(|attribute| {
        let meta = without_attributes(name, &attribute, attribute.meta.clone(), &[], &mut taken)?;
        Some(Attribute { meta, ..attribute })
    });
    *attributes = kept.collect();
    taken
}

/// `meta` without the attributes of this name; `None` if nothing remains.
fn without_attributes(
    name: &str,
    whole: &Attribute,
    meta: Meta,
    conditions: &[Attribute],
    taken: &mut Vec<Taken>,
) -> Option<Meta> {
    if meta.path().segments.last().is_some_and(|segment| segment.ident == name) {
        taken.push(Taken { attribute: Attribute { meta, ..whole.clone() }, conditions: conditions.to_vec() });
        return None;
    }
    let Some((predicate, inner)) = conditional(&meta) else { return Some(meta) };
    let conditions: Vec<Attribute> = conditions.iter().cloned().chain([parse_quote!(#[cfg(#predicate)])]).collect();
    let before = taken.len();
    let kept: Vec<Meta> =
        inner.into_iter().filter_map(|meta| without_attributes(name, whole, meta, &conditions, taken)).collect();
    match (taken.len() == before, kept.is_empty()) {
        (true, _) => Some(meta),
        (false, true) => None,
        (false, false) => Some(parse_quote!(cfg_attr(#predicate, #(#kept),*))),
    }
}

/// The `#[cfg]`s, including those inside `#[cfg_attr]`.
pub(super) fn cfgs(attributes: &[Attribute]) -> Vec<Attribute> {
    let with = |attribute: &Attribute| Some(Attribute { meta: cfg_of(&attribute.meta)?, ..attribute.clone() });
    attributes.iter().filter_map(with).collect()
}

fn cfg_of(meta: &Meta) -> Option<Meta> {
    if meta.path().is_ident("cfg") {
        return Some(meta.clone());
    }
    let (predicate, inner) = conditional(meta)?;
    let cfgs: Vec<Meta> = inner.iter().filter_map(cfg_of).collect();
    (!cfgs.is_empty()).then(|| parse_quote!(cfg_attr(#predicate, #(#cfgs),*)))
}

/// The documentation comments, without the space that begins each line.
pub(super) fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let meta = attribute.meta.require_name_value().ok().filter(|meta| meta.path.is_ident("doc"))?;
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value else { return None };
        Some(text.value())
    });
    let lines: Vec<String> = lines
        .flat_map(|text| {
            text.split('\n').map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()).collect::<Vec<_>>()
        })
        .collect();
    lines.join("\n").trim().to_owned()
}

/// The predicate of a `cfg_attr(…)` and its attributes. Malformed ones are left for the compiler to report.
fn conditional(meta: &Meta) -> Option<(TokenStream, Vec<Meta>)> {
    let list = meta.require_list().ok().filter(|list| list.path.is_ident("cfg_attr"))?;
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let mut tokens = list.tokens.clone().into_iter();
    let predicate = tokens.by_ref().take_while(|token| !is_comma(token)).collect();
    let inner = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens.collect()).ok()?;
    Some((predicate, inner.into_iter().collect()))
}

/// The tokens of a type, with the method's own lifetimes replaced by `'_`.
pub(super) fn without_lifetimes(tokens: TokenStream, known: &[String]) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut result = TokenStream::new();
    while let Some(token) = tokens.next() {
        let token = match token {
            TokenTree::Group(group) => {
                let inner = without_lifetimes(group.stream(), known);
                let mut copy = proc_macro2::Group::new(group.delimiter(), inner);
                copy.set_span(group.span());
                TokenTree::Group(copy)
            }
            TokenTree::Punct(quote) if quote.as_char() == '\'' => {
                match tokens.next_if(|next| matches!(next, TokenTree::Ident(name) if known.contains(&name.to_string())))
                {
                    Some(name) => {
                        let span = name.span();
                        let mut apostrophe = Punct::new('\'', Spacing::Joint);
                        apostrophe.set_span(span);
                        let name = proc_macro2::Ident::new("_", span);
                        result.extend(quote!(#apostrophe #name));
                        continue;
                    }
                    None => TokenTree::Punct(quote),
                }
            }
            other => other,
        };
        result.extend([token]);
    }
    result
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    fn texts(attributes: &[Attribute]) -> Vec<String> {
        attributes.iter().map(|attribute| attribute.to_token_stream().to_string()).collect()
    }

    #[test]
    fn what_a_condition_brings_is_taken_with_the_condition() {
        let mut attributes: Vec<Attribute> = vec![
            parse_quote!(#[doc = "kept"]),
            parse_quote!(#[carolina_sockets::on("a")]),
            parse_quote!(#[cfg_attr(all(x, y), on("b"), must_use, cfg_attr(z, on("c")))]),
            parse_quote!(#[cfg_attr(x, on("d"))]),
            parse_quote!(#[cfg_attr(x, must_use)]),
        ];
        let ons = take_attributes("on", &mut attributes);
        assert_eq!(
            texts(&attributes),
            ["# [doc = \"kept\"]", "# [cfg_attr (all (x , y) , must_use)]", "# [cfg_attr (x , must_use)]"]
        );
        let ons: Vec<_> =
            ons.iter().map(|on| (on.attribute.to_token_stream().to_string(), texts(&on.conditions))).collect();
        assert_eq!(ons[0], ("# [carolina_sockets :: on (\"a\")]".to_owned(), vec![]));
        assert_eq!(ons[1], ("# [on (\"b\")]".to_owned(), vec!["# [cfg (all (x , y))]".to_owned()]));
        assert_eq!(ons[2].1, ["# [cfg (all (x , y))]", "# [cfg (z)]"]);
        assert_eq!(ons[3].1, ["# [cfg (x)]"]);
    }

    #[test]
    fn cfgs_are_told_from_other_attributes() {
        let attributes: Vec<Attribute> = vec![
            parse_quote!(#[cfg(x)]),
            parse_quote!(#[doc = "cfg (y)"]),
            parse_quote!(#[cfg_attr(z, doc = "cfg (y)")]),
            parse_quote!(#[cfg_attr(z, must_use, cfg(y))]),
        ];
        assert_eq!(texts(&cfgs(&attributes)), ["# [cfg (x)]", "# [cfg_attr (z , cfg (y))]"]);
    }

    #[test]
    fn documentation_is_read_as_it_is_written() {
        let attributes: Vec<Attribute> = vec![
            parse_quote!(#[doc = " One."]),
            parse_quote!(#[doc = ""]),
            parse_quote!(#[must_use]),
            parse_quote!(#[doc = "   Two."]),
        ];
        assert_eq!(docs(&attributes), "One.\n\n  Two.");
    }

    #[test]
    fn a_methods_own_lifetimes_are_left_to_inference() {
        let tokens = quote!(Data<(Cow<'a, str>, &'static str, for<'b> fn(&'b u8, &'a u8))>);
        let text = without_lifetimes(tokens, &["a".to_owned()]).to_string();
        assert_eq!(text, quote!(Data<(Cow<'_, str>, &'static str, for<'b> fn(&'b u8, &'_ u8))>).to_string());
    }
}
