//! What rows tell the contract: functions that describe what a handler takes and answers, and what a channel emits.
//!
//! They are inside macros of the library's that drop them without its feature `contract`. A tuple or an array is taken apart here, as far as it is
//! written as one, so that each part may have a schema or not.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, PathArguments, Type, spanned::Spanned};

use super::{
    attributes::without_lifetimes,
    check::{library_name, result_parts, strip_groups},
    model::{Emit, Handler},
};
use crate::{
    names::private,
    on::{On, Target},
};

fn p(name: &str) -> TokenStream {
    private(proc_macro2::Span::call_site(), name)
}

/// Items that are dropped without the feature.
pub(super) fn items(items: &TokenStream) -> TokenStream {
    quote!(::carolina_sockets::__contract_items! { #items })
}

/// A value of a row, which is `()` without the feature.
pub(super) fn value(value: &TokenStream) -> TokenStream {
    quote!(::carolina_sockets::__contract_value!(#value))
}

/// The function that describes a handler.
pub(super) fn handler(handler: &Handler, on: &On, name: &Ident, description: &Ident) -> TokenStream {
    let lifetimes: Vec<String> =
        handler.signature.generics.lifetimes().map(|known| known.lifetime.ident.to_string()).collect();
    let (docs, codes) = (&handler.docs, &handler.codes);
    let is_event = matches!(on.target, Target::Events(_) | Target::Any);
    let has_client = !matches!(on.target, Target::Init | Target::Presence);
    let arguments = handler.arguments().filter(|_| has_client).map(|of| argument(of, &lifetimes, description));
    let answer = is_event.then(|| handler.output().map(|of| answer(of, &lifetimes, description)));
    let imports = imports();
    let all = p("Description");
    items(&quote! {
        #[doc(hidden)]
        fn #name(#description: &mut #all<'_>) {
            #imports
            #description.docs(#docs);
            #(#description.code(#codes);)*
            #(#arguments)*
            #answer
        }
    })
}

/// The function that describes an event that a channel emits.
pub(super) fn emit(emit: &Emit, name: &Ident, description: &Ident) -> TokenStream {
    let (imports, all) = (imports(), p("Description"));
    let sent = answer(&emit.of, &[], description);
    items(&quote! {
        #[doc(hidden)]
        fn #name(#description: &mut #all<'_>) {
            #imports
            #sent
        }
    })
}

/// Checks that what is emitted can be sent, whatever the features.
pub(super) fn check_emit(emit: &Emit) -> TokenStream {
    let of = &emit.of;
    let assert = private(of.span(), "assert_emitted");
    let check = quote_spanned!(of.span()=> #assert::<#of>());
    let cfgs = &emit.cfgs;
    quote!(#(#cfgs)* const _: fn() = || { #check; };)
}

fn imports() -> TokenStream {
    let describe = p("describe");
    quote! {
        #[allow(unused_imports)]
        use #describe::{
            ViaAll as _, ViaAnything as _, ViaArguments as _, ViaKnown as _, ViaOpaque as _, ViaOpaqueResult as _,
            ViaResult as _, ViaSchema as _, ViaUnit as _, ViaUnitResult as _,
        };
    }
}

fn probe(of: &Type, lifetimes: &[String]) -> TokenStream {
    let (probe, of) = (p("Probe"), without_lifetimes(of.to_token_stream(), lifetimes));
    quote!((&&&&&&#probe::<#of>::new()))
}

/// Describes an argument of a handler.
fn argument(of: &Type, lifetimes: &[String], description: &Ident) -> TokenStream {
    if let Some(inner) = payload(of) {
        let parts = match strip_groups(inner) {
            Type::Tuple(tuple) => Some(
                tuple
                    .elems
                    .iter()
                    .map(|part| {
                        let part = probe(part, lifetimes);
                        quote!(#part.taken(#description);)
                    })
                    .collect::<TokenStream>(),
            ),
            Type::Array(array) => {
                let (part, length) = (probe(&array.elem, lifetimes), &array.len);
                Some(quote!(#part.taken(#description); #description.repeat_taken(#length);))
            }
            _ => None,
        };
        if let Some(parts) = parts {
            return quote!(#description.begin_taken(); #parts);
        }
    }
    let probe = probe(of, lifetimes);
    quote!(#probe.argument(#description);)
}

/// `T` of what is written as `Data<T>`, `TryData<T>` or `Valid<T>`.
fn payload(of: &Type) -> Option<&Type> {
    library_name(of).filter(|name| matches!(name.as_str(), "Data" | "TryData" | "Valid"))?;
    let Type::Path(path) = strip_groups(of) else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

/// Describes what is answered or emitted.
fn answer(of: &Type, lifetimes: &[String], description: &Ident) -> TokenStream {
    if let Some((value, _)) = result_parts(of) {
        let value = answer(value, lifetimes, description);
        return quote!(#description.may_fail(); #value);
    }
    match strip_groups(of) {
        Type::Tuple(tuple) => {
            let parts = tuple.elems.iter().map(|part| sent(part, lifetimes, description));
            quote!(#description.begin_sent(); #(#parts)*)
        }
        Type::Array(array) => {
            let (part, length) = (sent(&array.elem, lifetimes, description), &array.len);
            quote!(#description.begin_sent(); #part #description.repeat_sent(#length);)
        }
        other if is_opaque(other) => {
            let part = sent(other, lifetimes, description);
            quote!(#description.begin_sent(); #part)
        }
        _ => {
            let probe = probe(of, lifetimes);
            quote!(#probe.answer(#description);)
        }
    }
}

/// Describes one of the values that are sent.
fn sent(of: &Type, lifetimes: &[String], description: &Ident) -> TokenStream {
    if is_opaque(of) {
        let text = of.to_token_stream().to_string();
        return quote!(#description.opaque_sent(#text););
    }
    let part = probe(of, lifetimes);
    quote!(#part.sent(#description);)
}

/// Whether there is an `impl Trait` in it, which can be named nowhere but in the signature.
fn is_opaque(of: &Type) -> bool {
    fn any(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Group(group) => any(group.stream()),
            TokenTree::Ident(ident) => ident == "impl",
            _ => false,
        })
    }
    any(of.to_token_stream())
}
