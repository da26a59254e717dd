//! Parses tokens into the model. Syntax errors are found here, semantic errors in `check`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Expr, ExprLit, ExprPath, GenericArgument, GenericParam, Generics, Ident, ImplItem, Item, ItemImpl, ItemStruct, Lit,
    LitStr, PathArguments, Token, Type,
    parse::{ParseStream, Parser},
};

use super::{
    attributes::{Taken, cfgs, docs, take_attributes},
    codes::Codes,
    emits,
    model::{Block, Driver, Handler, Presence, Resume},
};
use crate::{errors::Errors, guard, on, path, suggest::did_you_mean};

/// `#[channel(…)]` on a struct.
pub(super) fn driver(arguments: TokenStream, item: &mut ItemStruct, errors: &mut Errors) -> Driver {
    let mut found = Arguments::default();
    let parser = |input: ParseStream<'_>| found.read(input, errors);
    if let Err(error) = parser.parse2(arguments) {
        errors.push(error);
    }
    let emits = emits::parse(take_attributes("emits", &mut item.attrs), errors);
    let before = errors.count();
    refuse_generics(&item.generics, errors);
    Driver {
        name: item.ident.clone(),
        path: found.path,
        private: found.private,
        presence: found.presence,
        resume: found.resume,
        guards: found.guards,
        emits,
        docs: docs(&item.attrs),
        cfgs: cfgs(&item.attrs),
        sound: errors.count() == before,
    }
}

#[derive(Default)]
struct Arguments {
    path: Option<LitStr>,
    private: bool,
    presence: Option<Presence>,
    resume: Option<Resume>,
    guards: Vec<ExprPath>,
}

const CHANNEL_OPTIONS: &str =
    "`#[channel]` takes a path in quotes, `private`, `presence`, `resume`, and `guard = path::to::function`";

/// The one option of `presence` or of `resume`.
struct WordOption {
    name: &'static str,
    /// What may be written.
    examples: &'static str,
    /// What it is for, and what may be written.
    usage: &'static str,
}

const LINGER: WordOption = WordOption {
    name: "linger",
    examples: "`presence(linger = \"15s\")`",
    usage: "`presence` has the option `linger`, how long a client that lost its connection stays listed: `presence(linger = \"15s\")`",
};

const DISCONNECT: WordOption = WordOption {
    name: "disconnect",
    examples: "`resume(disconnect = \"late\")` or `resume(disconnect = \"now\")`",
    usage: "`resume` has the option `disconnect`, when `#[on(disconnect)]` runs for a client that lost its connection: `resume(disconnect = \"late\")`, once it can no longer come back, or `resume(disconnect = \"now\")`, at once",
};

/// The options that are words.
const KNOWN: [&str; 4] = ["private", "presence", "resume", "guard"];

impl Arguments {
    fn read(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        while !input.is_empty() {
            if input.peek(Lit) {
                match input.parse()? {
                    Lit::Str(path) => self.take_path(path, errors),
                    other => errors.at(other, "a channel's path is a string: `#[channel(\"/path\")]`"),
                }
            } else if input.peek(Token![/]) {
                let slash: Token![/] = input.parse()?;
                return Err(syn::Error::new_spanned(
                    slash,
                    "a channel's path has to be in quotes: `#[channel(\"/path\")]`",
                ));
            } else {
                let word: Ident = syn::ext::IdentExt::parse_any(input)?;
                if word == "presence" {
                    self.take_presence(&word, input, errors)?;
                } else if word == "resume" {
                    self.take_resume(&word, input, errors)?;
                } else {
                    match input.parse::<Option<Token![=]>>()? {
                        Some(_) if word == "guard" => guard::parse(&word, input, &mut self.guards, errors)?,
                        Some(_) => self.take_word(&word, Some(input.parse()?), errors),
                        None => self.take_word(&word, None, errors),
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }

    /// What follows the word `presence`.
    fn take_presence(&mut self, word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        let mut presence = Presence::default();
        let is_sound =
            read_option(word, input, &LINGER, errors, |option, text, errors| match on::duration(&text.value()) {
                _ if presence.linger.is_some() => errors.duplicate(option),
                Ok(linger) => presence.linger = Some(linger),
                Err(problem) => errors.at(text, format!("{problem}; write for example {}", LINGER.examples)),
            })?;
        if is_sound && self.presence.replace(presence).is_some() {
            errors.duplicate(word);
        }
        Ok(())
    }

    /// What follows the word `resume`.
    fn take_resume(&mut self, word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        let mut resume = Resume::default();
        let is_sound =
            read_option(word, input, &DISCONNECT, errors, |option, text, errors| match text.value().as_str() {
                _ if resume.disconnect_now.is_some() => errors.duplicate(option),
                when @ ("now" | "late") => resume.disconnect_now = Some(when == "now"),
                other => {
                    errors.at(text, format!("`disconnect` cannot be `{other}`; write {}", DISCONNECT.examples));
                }
            })?;
        if is_sound && self.resume.replace(resume).is_some() {
            errors.duplicate(word);
        }
        Ok(())
    }

    fn take_path(&mut self, literal: LitStr, errors: &mut Errors) {
        if self.path.is_some() {
            errors.at(&literal, "a struct declares one path; mount it at others by the configuration's [channels]");
        }
        if let Err(problem) = path::check_channel(&literal.value()) {
            errors.at(&literal, problem);
        }
        self.path = Some(literal);
    }

    fn take_word(&mut self, word: &Ident, value: Option<Expr>, errors: &mut Errors) {
        match (word.to_string().as_str(), value) {
            ("private", None) if self.private => errors.duplicate(word),
            ("private", None) => self.private = true,
            ("private", Some(_)) => errors.at(word, "`private` takes no value"),
            ("guard", _) => guard::needs_value(word, errors),
            ("path", Some(Expr::Lit(ExprLit { lit: Lit::Str(path), .. }))) => {
                let text = path.to_token_stream();
                errors.at(word, format!("the path is written without a name: `#[channel({text})]`"));
                self.path = Some(path);
            }
            (text, None) if did_you_mean(text, KNOWN).is_empty() => {
                errors.unknown(word, &[], &format!("{CHANNEL_OPTIONS}; if it is the path, write `\"/{text}\"`"));
            }
            _ => errors.unknown(word, &KNOWN, CHANNEL_OPTIONS),
        }
    }
}

fn refuse_generics(generics: &Generics, errors: &mut Errors) {
    for parameter in &generics.params {
        match parameter {
            GenericParam::Lifetime(_) => refuse_lifetime(parameter, errors),
            _ => refuse_generic(parameter, errors),
        }
    }
}

fn refuse_lifetime(place: impl ToTokens, errors: &mut Errors) {
    errors.at(
        place,
        "a channel lives as long as the service, so it cannot be generic over a lifetime; own the data, or keep it in an `Arc`",
    );
}

fn refuse_generic(place: impl ToTokens, errors: &mut Errors) {
    errors.at(
        place,
        "a channel cannot be generic: it is found at link time, before a type is chosen; wrap the one you mean, as in `struct Orders(Generic<Order>);`",
    );
}

/// An impl block. Its `#[on]` attributes are removed.
pub(super) fn block(arguments: &TokenStream, item: &mut ItemImpl, errors: &mut Errors) -> Block {
    if !arguments.is_empty() {
        errors.at(arguments, "above an impl block `#[channel]` takes no arguments; the path and options such as `guard` belong above the struct");
    }
    let before = errors.count();
    if let Some((path, _)) = &item.trait_ {
        errors.at(path, "a channel's handlers are its own methods; put them into an `impl` without a trait");
    }
    refuse_generics(&item.generics, errors);
    if item.generics.params.is_empty() {
        refuse_arguments(&item.self_ty, errors);
    }
    let sound = errors.count() == before;
    for Taken { attribute, .. } in take_attributes("emits", &mut item.attrs) {
        errors.at(attribute, emits::ELSEWHERE);
    }
    let codes = Codes::of(item);
    let handlers = item.items.iter_mut().flat_map(|item| handlers(item, &codes, errors)).collect();
    Block {
        channel: (*item.self_ty).clone(),
        driver: driver_name(&item.self_ty),
        cfgs: cfgs(&item.attrs),
        handlers,
        sound,
    }
}

/// Rejects `impl Custom<'_>` and `impl Custom<u8>`, which require a generic channel.
fn refuse_arguments(channel: &Type, errors: &mut Errors) {
    let Type::Path(path) = super::check::strip_groups(channel) else { return };
    let Some(PathArguments::AngleBracketed(list)) = path.path.segments.last().map(|last| &last.arguments) else {
        return;
    };
    for argument in &list.args {
        match argument {
            GenericArgument::Lifetime(_) => refuse_lifetime(argument, errors),
            _ => refuse_generic(argument, errors),
        }
    }
}

fn driver_name(channel: &Type) -> String {
    match super::check::strip_groups(channel) {
        Type::Path(path) => {
            path.path.segments.last().map(|last| syn::ext::IdentExt::unraw(&last.ident).to_string()).unwrap_or_default()
        }
        other => other.to_token_stream().to_string(),
    }
}

/// The handlers that an item of the block declares: one for each `#[on]`, as several `#[cfg_attr]`s may each contain
/// one.
fn handlers(item: &mut ImplItem, codes: &Codes, errors: &mut Errors) -> Vec<Handler> {
    let attributes = match item {
        ImplItem::Fn(method) => &mut method.attrs,
        ImplItem::Const(item) => &mut item.attrs,
        ImplItem::Type(item) => &mut item.attrs,
        ImplItem::Macro(item) => &mut item.attrs,
        _ => return Vec::new(),
    };
    for Taken { attribute, .. } in take_attributes("emits", attributes) {
        errors.at(attribute, emits::ELSEWHERE);
    }
    let ons = take_attributes("on", attributes);
    let ImplItem::Fn(method) = item else {
        for Taken { attribute, .. } in &ons {
            errors.at(attribute, "`#[on]` belongs above a method");
        }
        return Vec::new();
    };
    let (cfgs, docs) = (cfgs(&method.attrs), docs(&method.attrs));
    let codes = codes.reached_from(&method.sig.ident);
    let mut unconditional = None;
    let mut handlers: Vec<Handler> = Vec::new();
    for Taken { attribute, conditions } in ons {
        let first = if conditions.is_empty() { unconditional.replace(attribute.clone()) } else { None };
        if let Some(first) = first {
            let both = [&first, &attribute].map(arguments_text).join(", ");
            errors.at(&attribute, format!("one `#[on]` per method; write them together: `#[on({both})]`"));
            continue;
        }
        let before = errors.count();
        let on = on::parse(&attribute, &attribute.meta, errors);
        let cfgs = conditions.into_iter().chain(cfgs.iter().cloned()).collect();
        let sound = errors.count() == before;
        let (docs, codes) = (docs.clone(), codes.clone());
        handlers.push(Handler { attribute, on, cfgs, docs, codes, signature: method.sig.clone(), sound });
    }
    handlers
}

fn arguments_text(attribute: &syn::Attribute) -> String {
    attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default()
}

/// The first tokens of an item, to be underlined.
pub(super) fn head(item: &Item) -> TokenStream {
    let keyword = match item {
        Item::Enum(item) => item.enum_token.to_token_stream(),
        Item::Union(item) => item.union_token.to_token_stream(),
        Item::Trait(item) => item.trait_token.to_token_stream(),
        Item::Fn(item) => item.sig.fn_token.to_token_stream(),
        Item::Mod(item) => item.mod_token.to_token_stream(),
        Item::Type(item) => item.type_token.to_token_stream(),
        Item::Const(item) => item.const_token.to_token_stream(),
        Item::Static(item) => item.static_token.to_token_stream(),
        other => other.to_token_stream(),
    };
    if keyword.is_empty() { TokenTree::from(Ident::new("item", Span::call_site())).into() } else { keyword }
}

/// Reads what follows a word that may have one option: nothing, or `(option = "text")`, which `take` is given each time. `false` when a value follows
/// in place of that, which is reported.
fn read_option(
    word: &Ident,
    input: ParseStream<'_>,
    known: &WordOption,
    errors: &mut Errors,
    mut take: impl FnMut(&Ident, &LitStr, &mut Errors),
) -> syn::Result<bool> {
    let WordOption { name, examples, usage } = known;
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        let value: Expr = input.parse()?;
        errors.at(value, format!("`{word}` takes no value; {usage}"));
        return Ok(false);
    }
    if input.peek(syn::token::Paren) {
        let inner;
        syn::parenthesized!(inner in input);
        while !inner.is_empty() {
            let option: Ident = syn::ext::IdentExt::parse_any(&inner)?;
            let value = inner.parse::<Option<Token![=]>>()?.map(|_| inner.parse::<Expr>()).transpose()?;
            match value {
                _ if option != name => errors.unknown(&option, &[*name], usage),
                Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => take(&option, &text, errors),
                Some(other) => errors.at(other, format!("the value of `{name}` is a string: {examples}")),
                None => errors.at(&option, format!("`{name}` needs a value: {examples}")),
            }
            if !inner.is_empty() {
                inner.parse::<Token![,]>()?;
            }
        }
    }
    Ok(true)
}
