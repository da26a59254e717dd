//! From tokens to the model. What is wrong with the grammar is found here; what is wrong with the meaning, in `check`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, FnArg, GenericParam, Generics, Ident, ImplItem, Item, ItemImpl, ItemStruct, Lit, LitStr, Meta,
    ReturnType, Signature, Token, Type,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

use super::model::{Block, Driver, Handler, Receiver};
use crate::{
    errors::{Errors, nearest},
    on,
};

/// `#[channel(…)]` on a struct.
pub(super) fn driver(arguments: TokenStream, item: &ItemStruct, errors: &mut Errors) -> Option<Driver> {
    let mut path: Option<LitStr> = None;
    let mut private: Option<Ident> = None;
    let mut found = Errors::default();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if input.peek(Lit) {
                match input.parse()? {
                    Lit::Str(text) => {
                        if path.is_some() {
                            found.at(
                                &text,
                                "a struct declares one path; mount it at others by the configuration's [channels]",
                            );
                        }
                        check_path(&text, &mut found);
                        path = Some(text);
                    }
                    other => found.at(other, "a channel's path is a string: `#[channel(\"/path\")]`"),
                }
            } else {
                let word: Ident = syn::ext::IdentExt::parse_any(input)?;
                match word.to_string().as_str() {
                    "private" if private.is_some() => found.at(&word, "`private` is given twice; once is enough"),
                    "private" => private = Some(word),
                    unknown => found.at(
                        &word,
                        match nearest(unknown, &["private"]) {
                            Some(near) => format!("unknown option `{unknown}`; did you mean `{near}`?"),
                            None => format!(
                                "unknown option `{unknown}`; `#[channel]` takes a path in quotes, and `private`"
                            ),
                        },
                    ),
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(arguments) {
        found.push(error);
    }
    refuse_generics(&item.generics, &mut found);
    let sound = found.is_empty();
    errors.absorb(found);
    sound.then(|| Driver { name: item.ident.clone(), path, private: private.is_some(), cfgs: cfgs(&item.attrs) })
}

fn check_path(path: &LitStr, errors: &mut Errors) {
    let text = path.value();
    if !text.starts_with('/') {
        return errors.at(path, format!("a channel's path begins with `/`: `\"/{}\"`", text.trim_start_matches('.')));
    }
    if let Some(bad) = text.chars().find(|character| matches!(character, ',' | '?' | '#') || character.is_whitespace())
    {
        errors
            .at(path, format!("a channel's path has no `{}` in it: Socket.IO could not carry it", bad.escape_debug()));
    }
}

fn refuse_generics(generics: &Generics, errors: &mut Errors) {
    for parameter in &generics.params {
        let what = match parameter {
            GenericParam::Lifetime(_) => {
                "a channel lives as long as the service, so it cannot be generic over a lifetime; own the data, or keep it in an `Arc`"
            }
            _ => {
                "a channel cannot be generic: it is found at link time, when nobody has chosen the type; wrap the one you mean, as in `struct Orders(Generic<Order>);`"
            }
        };
        errors.at(parameter, what);
    }
}

/// An impl block. The `#[on]` attributes are taken out of it.
pub(super) fn block(arguments: TokenStream, item: &mut ItemImpl, errors: &mut Errors) -> Block {
    if !arguments.is_empty() {
        errors.at(&arguments, "above an impl block `#[channel]` stands alone; the path stands above the struct");
    }
    if let Some((path, _)) = &item.trait_ {
        errors.at(path, "a channel's handlers are its own methods; put them into an `impl` without a trait");
    }
    refuse_generics(&item.generics, errors);
    let handlers = item.items.iter_mut().filter_map(|item| handler(item, errors)).collect();
    Block { channel: (*item.self_ty).clone(), driver: driver_name(&item.self_ty), cfgs: cfgs(&item.attrs), handlers }
}

fn driver_name(channel: &Type) -> String {
    match channel {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        other => other.to_token_stream().to_string(),
    }
}

fn handler(item: &mut ImplItem, errors: &mut Errors) -> Option<Handler> {
    let attributes = match item {
        ImplItem::Fn(method) => &mut method.attrs,
        ImplItem::Const(item) => &mut item.attrs,
        ImplItem::Type(item) => &mut item.attrs,
        ImplItem::Macro(item) => &mut item.attrs,
        _ => return None,
    };
    let ons = take_ons(attributes);
    let mut ons = ons.into_iter();
    let first = ons.next()?;
    let ImplItem::Fn(method) = item else {
        errors.at(&first, "`#[on]` stands above a method");
        return None;
    };
    for second in ons {
        let both: Vec<String> = [&first, &second].iter().map(|on| tokens_of(on).to_string()).collect();
        errors.at(&second, format!("one `#[on]` per method; write them together: `#[on({})]`", both.join(", ")));
    }
    let on = on::parse(tokens_of(&first), first.span(), errors)?;
    Some(Handler {
        attribute: first.path().clone(),
        on,
        method: method.sig.ident.clone(),
        cfgs: cfgs(&method.attrs),
        receiver: receiver(&method.sig),
        is_async: method.sig.asyncness.is_some(),
        arguments: arguments_of(&method.sig, errors),
        output: method.sig.output.clone(),
        output_span: match &method.sig.output {
            ReturnType::Default => method.sig.ident.span(),
            ReturnType::Type(_, output) => output.span(),
        },
    })
}

fn take_ons(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    let is_on = |attribute: &Attribute| attribute.path().segments.last().is_some_and(|segment| segment.ident == "on");
    let (ons, others) = std::mem::take(attributes).into_iter().partition(is_on);
    *attributes = others;
    ons
}

fn tokens_of(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        Meta::Path(_) => TokenStream::new(),
        Meta::NameValue(value) => value.value.to_token_stream(),
    }
}

fn receiver(signature: &Signature) -> Receiver {
    let Some(FnArg::Receiver(receiver)) = signature.inputs.first() else { return Receiver::None };
    let typed = receiver.to_token_stream().to_string().contains(':');
    let text = receiver.to_token_stream().to_string();
    match (typed, text.starts_with('&'), text.contains("mut")) {
        (false, true, false) => Receiver::Shared,
        (false, true, true) => Receiver::Other(receiver.span(), "&mut self"),
        (true, ..) => Receiver::Other(receiver.span(), "self: …"),
        (false, false, _) => Receiver::Other(receiver.span(), "self"),
    }
}

/// The types of the arguments. What no handler can be is told here, as it concerns the signature.
fn arguments_of(signature: &Signature, errors: &mut Errors) -> Vec<Type> {
    if let syn::Safety::Unsafe(token) = &signature.safety {
        errors.at(token, "a handler cannot be `unsafe`: whatever a client sends ends up in it");
    }
    if let Some(token) = &signature.abi {
        errors.at(token, "a handler is an ordinary function; leave `extern` out");
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.at(parameter, "a handler cannot be generic: nobody would choose the type; write the one you mean");
        }
    }
    let mut types = Vec::new();
    for input in &signature.inputs {
        let FnArg::Typed(argument) = input else { continue };
        match &*argument.ty {
            Type::ImplTrait(generic) => {
                errors.at(generic, "a handler's argument cannot be `impl Trait`; write the type you mean");
            }
            Type::Reference(reference) => {
                errors.at(reference, "a handler owns its arguments; take the extractor by value, as `socket: Socket`");
            }
            sound => types.push(sound.clone()),
        }
    }
    types
}

/// `#[cfg]`, and `#[cfg_attr]`s that bring one.
fn cfgs(attributes: &[Attribute]) -> Vec<Attribute> {
    let brings_cfg = |attribute: &&Attribute| {
        attribute.path().is_ident("cfg")
            || attribute.path().is_ident("cfg_attr") && tokens_of(attribute).to_string().contains("cfg (")
    };
    attributes.iter().filter(brings_cfg).cloned().collect()
}

/// The beginning of an item, to be underlined.
pub(super) fn head(item: &Item) -> TokenStream {
    let keyword = match item {
        Item::Enum(item) => item.enum_token.to_token_stream(),
        Item::Union(item) => item.union_token.to_token_stream(),
        Item::Trait(item) => item.trait_token.to_token_stream(),
        Item::Fn(item) => item.sig.fn_token.to_token_stream(),
        Item::Mod(item) => item.mod_token.to_token_stream(),
        Item::Type(item) => item.type_token.to_token_stream(),
        other => other.to_token_stream(),
    };
    match keyword.is_empty() {
        true => proc_macro2::TokenTree::from(Ident::new("item", Span::call_site())).into(),
        false => quote!(#keyword),
    }
}
