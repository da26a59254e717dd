//! From the checked model to rows of the link-time registry.
//!
//! Everything stands inside `const _`, next to the item it belongs to, so that it is found wherever the item is. What a
//! handler takes and returns is checked by bounds whose span is that of the argument or return type.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{ReturnType, Type};

use super::{
    check::{is_unchecked, place, result_parts},
    model::{Block, Driver, Handler, Receiver},
};
use crate::{
    on::Target,
    paths::{core, location, private},
};

fn p(name: &str) -> TokenStream {
    private(Span::call_site(), name)
}

/// The row of a struct.
pub(super) fn driver(driver: &Driver) -> TokenStream {
    let Driver { name, path, private: is_private, cfgs } = driver;
    let (channel, row, inventory) = (p("Channel"), p("ChannelRow"), p("inventory"));
    let (channel_type, probe, built, not_built) = (p("channel_type"), p("Probe"), p("DefaultBuilt"), p("NotBuilt"));
    let (erased, option, text) = (p("ErasedChannel"), core("option::Option"), core("primitive::str"));
    let path = match path {
        Some(path) => quote!(#option::Some(#path)),
        None => quote!(#option::None),
    };
    let driver = name.to_string();
    let location = location(name.span());
    quote! {
        #(#cfgs)*
        const _: () = {
            impl #channel for #name {
                const DRIVER: &'static #text = #driver;
            }
            fn build() -> #option<#erased> {
                #[allow(unused_imports)]
                use {#built as _, #not_built as _};
                (&#probe::<#name>::new()).build()
            }
            #inventory::submit! {
                #row {
                    driver: #driver,
                    path: #path,
                    private: #is_private,
                    channel: #channel_type::<#name>,
                    default: build,
                    location: #location,
                }
            }
        };
    }
}

/// The rows of an impl block.
pub(super) fn block(block: &Block) -> TokenStream {
    let rows = block.handlers.iter().map(|handler| row(block, handler));
    // `#[on]` is taken away before the compiler resolves it; this counts its import as used.
    let used = block.handlers.first().map(|handler| {
        let (attribute, used) = (&handler.attribute, Ident::new(crate::on::USED, Span::call_site()));
        quote!(#[#attribute(#used)] const _: () = ();)
    });
    rows.chain(used).collect()
}

fn row(block: &Block, handler: &Handler) -> TokenStream {
    let Block { channel, driver, cfgs: block_cfgs, .. } = block;
    let cfgs = &handler.cfgs;
    let (row, call, channel_type, inventory) = (p("HandlerRow"), p("Call"), p("channel_type"), p("inventory"));
    let method = handler.method.to_string();
    let on = on(&handler.on.target);
    let options = options(handler);
    let (run_name, needs_name) = (
        format_ident!("__carolina_run_{}", handler.method, span = Span::call_site()),
        format_ident!("__carolina_needs_{}", handler.method, span = Span::call_site()),
    );
    let is_init = matches!(handler.on.target, Target::Init);
    let (run, variant) = match is_init {
        true => (init(handler, &run_name), quote!(Init)),
        false => (run(handler, &run_name), quote!(Event)),
    };
    let needs = needs(handler, &needs_name, if is_init { "FromInit" } else { "FromEvent" });
    let location = location(handler.on.span);
    // The type is named where it stands, so that an error about it is shown there.
    let channel_type = quote_spanned!(place(channel)=> #channel_type::<#channel>);
    quote! {
        #(#block_cfgs)*
        #(#cfgs)*
        const _: () = {
            #[automatically_derived]
            #[allow(deprecated, non_snake_case, unused_variables, unused_mut, unreachable_code, clippy::all, clippy::pedantic, clippy::nursery)]
            impl #channel {
                #run
                #needs
            }
            #inventory::submit! {
                #row {
                    channel: #channel_type,
                    driver: #driver,
                    method: #method,
                    on: #on,
                    options: #options,
                    needs: <#channel>::#needs_name,
                    call: #call::#variant(<#channel>::#run_name),
                    location: #location,
                }
            }
        };
    }
}

fn on(target: &Target) -> TokenStream {
    let on = p("On");
    match target {
        Target::Events(names) => quote!(#on::Events(&[#(#names),*])),
        Target::Any => quote!(#on::Any),
        Target::Authorize => quote!(#on::Authorize),
        Target::Connect => quote!(#on::Connect),
        Target::Disconnect => quote!(#on::Disconnect),
        Target::Init => quote!(#on::Init),
    }
}

fn options(handler: &Handler) -> TokenStream {
    let (options, rate, option, duration) = (p("Options"), p("Rate"), core("option::Option"), core("time::Duration"));
    let length = |of: std::time::Duration| {
        let (seconds, nanos) = (of.as_secs(), of.subsec_nanos());
        quote!(#duration::new(#seconds, #nanos))
    };
    let timeout = match handler.on.timeout.map(length) {
        Some(timeout) => quote!(#option::Some(#timeout)),
        None => quote!(#option::None),
    };
    let rate = match handler.on.rate {
        Some((count, per)) => {
            let per = length(per);
            quote!(#option::Some(#rate { count: #count, per: #per }))
        }
        None => quote!(#option::None),
    };
    let concurrent = handler.on.concurrent;
    quote!(#options { concurrent: #concurrent, timeout: #timeout, rate: #rate })
}

/// The function that extracts the arguments, calls the method and settles what it returns.
fn run(handler: &Handler, name: &Ident) -> TokenStream {
    let (any, context, future, boxed, outcome, downcast) =
        (p("AnyChannel"), p("EventContext"), p("EventFuture"), p("boxed"), p("Outcome"), p("downcast"));
    let result = core("result::Result");
    let names: Vec<Ident> =
        (0..handler.arguments.len()).map(|n| format_ident!("argument_{n}", span = Span::call_site())).collect();
    let extract = handler.arguments.iter().zip(&names).map(|(argument, name)| {
        let from = private(place(argument), "FromEvent");
        // The bound has the span of the argument, so that a type that is no extractor is reported there.
        let read = quote_spanned!(place(argument)=> <#argument as #from>::from_event(context));
        quote! {
            let #name = match #read.await {
                #result::Ok(value) => value,
                #result::Err(error) => return #outcome::Failed(error),
            };
        }
    });
    let call = call(handler, &names, &quote!(#downcast::<Self>(channel)));
    let settle = settle(handler);
    let checks = checks(handler);
    quote! {
        #[doc(hidden)]
        fn #name<'a>(channel: &'a #any, context: &'a mut #context) -> #future<'a> {
            #boxed(async move {
                #(#extract)*
                let returned = #call;
                #checks
                #settle
            })
        }
    }
}

fn call(handler: &Handler, arguments: &[Ident], channel: &TokenStream) -> TokenStream {
    let method = &handler.method;
    let receiver = matches!(handler.receiver, Receiver::Shared).then(|| quote!(#channel,));
    let wait = handler.is_async.then(|| quote!(.await));
    quote!(Self::#method(#receiver #(#arguments),*)#wait)
}

fn settle(handler: &Handler) -> TokenStream {
    let span = handler.output_span;
    let by_trait = |name| {
        let output = private(span, name);
        quote_spanned!(span=> #output::settle(returned))
    };
    match handler.on.target {
        Target::Events(_) | Target::Any => {
            let kind = private(Span::call_site(), "kind");
            let spanned = quote_spanned!(span=> (&&&#kind::Wrap::of(&returned)).kind());
            quote! {
                #[allow(unused_imports)]
                use #kind::{ViaResult as _, ViaUnit as _, ViaUnitResult as _, ViaValue as _};
                #spanned.settle(returned, context)
            }
        }
        Target::Authorize => by_trait("AuthorizeOutput"),
        Target::Connect => by_trait("ConnectOutput"),
        Target::Disconnect => by_trait("DisconnectOutput"),
        Target::Init => TokenStream::new(),
    }
}

/// Bounds on the return type, for a message that speaks of it.
fn checks(handler: &Handler) -> TokenStream {
    let (Target::Events(_) | Target::Any, ReturnType::Type(_, output)) = (&handler.on.target, &handler.output) else {
        return TokenStream::new();
    };
    let check = |name: &str, of: &Type| {
        let assert = private(place(of), name);
        quote_spanned!(place(of)=> #assert::<#of>();)
    };
    match result_parts(output) {
        Some((value, error)) => {
            let value = (!is_unchecked(value)).then(|| check("assert_answer", value));
            let error = error.map(|error| check("assert_error", error));
            quote!(#value #error)
        }
        None if is_unchecked(output) => TokenStream::new(),
        None => check("assert_answer", output),
    }
}

fn needs(handler: &Handler, name: &Ident, from: &str) -> TokenStream {
    let needs = p("Needs");
    let each = handler.arguments.iter().map(|argument| {
        let from = private(place(argument), from);
        quote_spanned!(place(argument)=> <#argument as #from>::needs(needs);)
    });
    quote! {
        #[doc(hidden)]
        fn #name(needs: &mut #needs) {
            #(#each)*
        }
    }
}

/// The function that builds a channel.
fn init(handler: &Handler, name: &Ident) -> TokenStream {
    let (context, future, erased, error, boxed) =
        (p("InitContext"), p("BoxFuture"), p("ErasedChannel"), p("Error"), p("boxed"));
    let result = core("result::Result");
    let names: Vec<Ident> =
        (0..handler.arguments.len()).map(|n| format_ident!("argument_{n}", span = Span::call_site())).collect();
    let extract = handler.arguments.iter().zip(&names).map(|(argument, name)| {
        let from = private(place(argument), "FromInit");
        let read = quote_spanned!(place(argument)=> <#argument as #from>::from_init(&context));
        quote! {
            let #name = match #read {
                #result::Ok(value) => value,
                #result::Err(error) => return #result::Err(error),
            };
        }
    });
    let call = call(handler, &names, &TokenStream::new());
    let output = private(handler.output_span, "InitOutput");
    let settle = quote_spanned!(handler.output_span=> #output::<Self>::settle(returned));
    quote! {
        #[doc(hidden)]
        fn #name(context: #context) -> #future<'static, #result<#erased, #error>> {
            #boxed(async move {
                #(#extract)*
                let returned = #call;
                #settle
            })
        }
    }
}
