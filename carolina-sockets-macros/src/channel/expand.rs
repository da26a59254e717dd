//! Turns the checked model into rows of the link-time registry.
//!
//! Everything is emitted inside `const _`, next to the item it belongs to, so that names resolve as they do for the
//! item. What a handler takes and returns is checked by bounds that carry the span of the argument or return type.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{ExprPath, Type, ext::IdentExt, spanned::Spanned};

use super::{
    attributes::without_lifetimes,
    check::{path_parameters, result_parts},
    describe,
    model::{Block, Driver, Handler, Receiver},
};
use crate::{
    guard,
    names::{core, location, private},
    on::{On, Target},
};

fn p(name: &str) -> TokenStream {
    private(Span::call_site(), name)
}

/// A name inside the expansion. It is prefixed, because a constant of the caller's with the same name would turn the
/// binding into a pattern.
fn local(name: &str) -> Ident {
    local_at(Span::call_site(), name)
}

/// As [`local`], with a span, so that compile errors about the value point there.
fn local_at(place: Span, name: &str) -> Ident {
    format_ident!("__carolina_{name}", span = place)
}

/// Suppresses lints on a generated item: they are reported on the user's own item.
fn allow_lints() -> TokenStream {
    quote! {
        #[allow(
            deprecated, non_snake_case, unused_variables, unused_qualifications,
            clippy::all, clippy::pedantic, clippy::nursery
        )]
    }
}

/// A duration as a constant.
fn length(of: std::time::Duration) -> TokenStream {
    let duration = core("time::Duration");
    let (seconds, nanos) = (of.as_secs(), of.subsec_nanos());
    quote!(#duration::new(#seconds, #nanos))
}

/// The row of a struct.
pub(super) fn driver(driver: &Driver) -> TokenStream {
    let Driver { name, path, private: is_private, presence, resume, guards, emits, docs, cfgs, .. } = driver;
    let (channel, row, inventory) = (p("Channel"), p("ChannelRow"), p("inventory"));
    let (channel_type, probe, built, not_built) = (p("channel_type"), p("Probe"), p("DefaultBuilt"), p("NotBuilt"));
    let (erased, option, text) = (p("ErasedChannel"), core("option::Option"), core("primitive::str"));
    let (build, quiet) = (local("build"), allow_lints());
    let path = match path {
        Some(path) => quote!(#option::Some(#path)),
        None => quote!(#option::None),
    };
    let presence = presence.as_ref().map_or_else(
        || quote!(#option::None),
        |presence| {
            let row = p("PresenceRow");
            let linger = match presence.linger.map(length) {
                Some(linger) => quote!(#option::Some(#linger)),
                None => quote!(#option::None),
            };
            quote!(#option::Some(#row { linger: #linger }))
        },
    );
    let resume = resume.as_ref().map_or_else(
        || quote!(#option::None),
        |resume| {
            let (row, now) = (p("ResumeRow"), resume.disconnect_now.unwrap_or_default());
            quote!(#option::Some(#row { disconnect_now: #now }))
        },
    );
    let driver = name.unraw().to_string();
    let location = location(name.span());
    let names: Vec<Ident> = (0..guards.len()).map(|number| local(&format!("guard_{number}"))).collect();
    let functions = guards.iter().zip(&names).map(|(guard, name)| guard_function(guard, name));
    let guards = guard_rows(guards, names.iter().map(|name| quote!(#name)));
    let emit_row = p("EmitRow");
    let (describe_emits, emits): (Vec<TokenStream>, Vec<TokenStream>) = emits
        .iter()
        .enumerate()
        .map(|(number, emit)| {
            let (name, conditions, event) = (local(&format!("emit_{number}")), &emit.cfgs, &emit.event);
            let function = describe::emit(emit, &name, &local("description"));
            let (check, value) = (describe::check_emit(emit), describe::value(&quote!(#name)));
            let function = quote!(#(#conditions)* #function #check);
            (function, quote!(#(#conditions)* #emit_row { event: #event, describe: #value }))
        })
        .unzip();
    let docs = describe::value(&docs.to_token_stream());
    quote! {
        #(#cfgs)*
        #quiet
        const _: () = {
            #(#functions)*
            #(#describe_emits)*
            impl #channel for #name {
                const DRIVER: &'static #text = #driver;
                const PATH: #option<&'static #text> = #path;
            }
            fn #build() -> #option<#erased> {
                #[allow(unused_imports)]
                use {#built as _, #not_built as _};
                (&#probe::<#name>::new()).build()
            }
            #inventory::submit! {
                #row {
                    driver: #driver,
                    path: #path,
                    private: #is_private,
                    presence: #presence,
                    resume: #resume,
                    guards: #guards,
                    emits: &[#(#emits),*],
                    docs: #docs,
                    channel: #channel_type::<#name>,
                    default: #build,
                    location: #location,
                }
            }
        };
    }
}

/// The function that runs a guard. What is wrong with the guard is reported at its path.
fn guard_function(guard: &ExprPath, name: &Ident) -> TokenStream {
    let (guard_call, future, call) = (p("GuardCall"), p("EventFuture"), local("call"));
    let place = guard.span();
    let (boxed, run) = (private(place, "on_any_thread"), private(place, "guard"));
    let run = quote_spanned!(place=> #boxed(#run(#guard, #call)));
    quote! {
        #[doc(hidden)]
        fn #name<'a>(#call: #guard_call<'a>) -> #future<'a> {
            #run
        }
    }
}

/// The guards as a row has them; `functions` are the paths of the functions that run them.
fn guard_rows(guards: &[ExprPath], functions: impl Iterator<Item = TokenStream>) -> TokenStream {
    let row = p("GuardRow");
    let rows = guards.iter().zip(functions).map(|(guard, function)| {
        let name = guard::name(guard);
        quote!(#row { name: #name, run: #function })
    });
    quote!(&[#(#rows),*])
}

/// The rows of an impl block. A rejected handler has no row; the others keep theirs, so that the compiler checks them
/// too.
pub(super) fn block(block: &Block) -> TokenStream {
    let rows = block.handlers.iter().enumerate().filter_map(|(number, handler)| {
        let on = handler.on.as_ref().filter(|_| block.sound && handler.sound)?;
        Some(Row { block, handler, on, number }.expand())
    });
    // `#[on]` is removed before the compiler resolves it; this makes its import count as used.
    let used = block.handlers.first().map(|handler| {
        let (attribute, used) = (handler.attribute.path(), Ident::new(crate::on::USED, Span::call_site()));
        quote!(#[#attribute(#used)] const _: () = ();)
    });
    rows.chain(used).collect()
}

/// A handler whose row is being generated.
struct Row<'a> {
    block: &'a Block,
    handler: &'a Handler,
    on: &'a On,
    /// The handler's index in its block.
    number: usize,
}

impl Row<'_> {
    fn expand(&self) -> TokenStream {
        let Block { channel, driver, cfgs: block_cfgs, .. } = self.block;
        let cfgs = &self.handler.cfgs;
        let (row, call, inventory) = (p("HandlerRow"), p("Call"), p("inventory"));
        let method = self.handler.signature.ident.unraw();
        let run_name = local(&format!("run_{method}_{}", self.number));
        let needs_name = local(&format!("needs_{method}_{}", self.number));
        let method = method.to_string();
        let (on, options, quiet) = (self.target(), self.options(), allow_lints());
        let (run, variant) = match self.on.target {
            Target::Presence => (self.presence(&run_name), quote!(Presence)),
            Target::Init => (self.init(&run_name), quote!(Init)),
            _ => (self.run(&run_name), quote!(Event)),
        };
        let needs = self.needs(&needs_name);
        let describe_name = local(&format!("describe_{method}_{}", self.number));
        let describe = describe::handler(self.handler, self.on, &describe_name, &local("description"));
        let described = describe::value(&quote!(<#channel>::#describe_name));
        let guard_names: Vec<Ident> =
            (0..self.on.guards.len()).map(|guard| local(&format!("guard_{method}_{}_{guard}", self.number))).collect();
        let guard_functions = self.on.guards.iter().zip(&guard_names).map(|(guard, name)| guard_function(guard, name));
        let guards = guard_rows(&self.on.guards, guard_names.iter().map(|name| quote!(<#channel>::#name)));
        let location = location(self.handler.attribute.pound_token.span());
        // The type keeps its span, so that an error about it is shown at the `impl`.
        let place = channel.span();
        let channel_type = private(place, "channel_type");
        let channel_type = quote_spanned!(place=> #channel_type::<#channel>);
        quote! {
            #(#block_cfgs)*
            #(#cfgs)*
            #quiet
            const _: () = {
                impl #channel {
                    #run
                    #needs
                    #describe
                    #(#guard_functions)*
                }
                #inventory::submit! {
                    #row {
                        channel: #channel_type,
                        driver: #driver,
                        method: #method,
                        on: #on,
                        options: #options,
                        guards: #guards,
                        needs: <#channel>::#needs_name,
                        call: #call::#variant(<#channel>::#run_name),
                        describe: #described,
                        location: #location,
                    }
                }
            };
        }
    }

    fn target(&self) -> TokenStream {
        let on = p("On");
        match &self.on.target {
            Target::Events(names) => quote!(#on::Events(&[#(#names),*])),
            Target::Any => quote!(#on::Any),
            Target::Authorize => quote!(#on::Authorize),
            Target::Connect => quote!(#on::Connect),
            Target::Disconnect => quote!(#on::Disconnect),
            Target::Presence => quote!(#on::Presence),
            Target::Init => quote!(#on::Init),
        }
    }

    fn options(&self) -> TokenStream {
        let (options, rate, option) = (p("Options"), p("Rate"), core("option::Option"));
        let timeout = match self.on.timeout.map(length) {
            Some(timeout) => quote!(#option::Some(#timeout)),
            None => quote!(#option::None),
        };
        let rate = match self.on.rate {
            Some((count, per)) => {
                let per = length(per);
                quote!(#option::Some(#rate { count: #count, per: #per }))
            }
            None => quote!(#option::None),
        };
        let concurrent = self.on.concurrent;
        quote!(#options { concurrent: #concurrent, timeout: #timeout, rate: #rate })
    }

    /// The function that extracts the arguments, calls the method and converts its result into an outcome.
    fn run(&self, name: &Ident) -> TokenStream {
        let (any, event_context, future, outcome, downcast) =
            (p("AnyChannel"), p("EventContext"), p("EventFuture"), p("Outcome"), p("downcast"));
        let (channel, context) = (local("channel"), local("context"));
        let (probe, readable, unreadable) = (p("Probe"), p("ViaReadable"), p("ViaUnreadable"));
        let read =
            |_: Span, argument: &TokenStream| quote!((&#probe::<#argument>::new()).argument().read(#context).await);
        let refuse = |error: &Ident| quote!(#outcome::Failed(#error));
        let body = self.body(&quote!(#downcast::<Self>(#channel)), read, refuse, &self.convert_result(&context));
        // The bound has the span of the argument, so that a type that is not an extractor is reported there.
        let checks = self.arguments().into_iter().map(|(place, argument)| {
            let assert = private(place, "assert_extractor");
            quote_spanned!(place=> #assert::<#argument>();)
        });
        let owner = &self.block.channel;
        let paths = self.handler.arguments().filter_map(|argument| {
            let (count, place) = (path_parameters(argument)?, argument.span());
            let check = private(place, "check_parameters");
            Some(quote_spanned!(place=> const _: () = #check::<#owner>(#count);))
        });
        quote! {
            #[doc(hidden)]
            fn #name<'a>(#channel: &'a #any, #context: &'a mut #event_context) -> #future<'a> {
                #[allow(unused_imports)]
                use {#readable as _, #unreadable as _};
                #(#paths)*
                #(#checks)*
                #body
            }
        }
    }

    /// The function that builds a channel.
    fn init(&self, name: &Ident) -> TokenStream {
        let (init_context, future, erased, error) = (p("InitContext"), p("BoxFuture"), p("ErasedChannel"), p("Error"));
        let (result, context) = (core("result::Result"), local("context"));
        let read = |place: Span, argument: &TokenStream| {
            let from = private(place, "FromInit");
            quote_spanned!(place=> <#argument as #from>::from_init(&#context))
        };
        let refuse = |error: &Ident| quote!(#result::Err(#error));
        let place = self.handler.output_place();
        let returned = local_at(place, "returned");
        let output = private(place, "InitOutput");
        let convert = quote_spanned!(place=> #output::<Self>::into_channel(#returned));
        let body = self.body(&TokenStream::new(), read, refuse, &convert);
        quote! {
            #[doc(hidden)]
            fn #name(#context: #init_context) -> #future<'static, #result<#erased, #error>> {
                #body
            }
        }
    }

    /// The function that adds to keys.
    fn presence(&self, name: &Ident) -> TokenStream {
        let (any, downcast, init_context, future) = (p("AnyChannel"), p("downcast"), p("InitContext"), p("BoxFuture"));
        let (extras, event_error, result) = (p("Extras"), p("EventError"), core("result::Result"));
        let (channel, context) = (local("channel"), local("context"));
        let read = |place: Span, argument: &TokenStream| {
            let from = private(place, "FromInit");
            quote_spanned!(place=> <#argument as #from>::from_init(&#context))
        };
        let refuse = |error: &Ident| quote!(#result::Err(#event_error::from(#error)));
        let place = self.handler.output_place();
        let returned = local_at(place, "returned");
        let output = private(place, "PresenceOutput");
        let convert = quote_spanned!(place=> #output::into_extras(#returned));
        let body = self.body(&quote!(#downcast::<Self>(#channel)), read, refuse, &convert);
        quote! {
            #[doc(hidden)]
            fn #name<'a>(#channel: &'a #any, #context: #init_context) -> #future<'a, #result<#extras, #event_error>> {
                #body
            }
        }
    }

    /// The common part of these: `read` reads an argument into a result, `refuse` handles an argument that could not be
    /// read.
    fn body(
        &self,
        channel: &TokenStream,
        read: impl Fn(Span, &TokenStream) -> TokenStream,
        refuse: impl Fn(&Ident) -> TokenStream,
        convert: &TokenStream,
    ) -> TokenStream {
        let signature = &self.handler.signature;
        let (result, value, error) = (core("result::Result"), local("value"), local("error"));
        let arguments = self.arguments();
        let names: Vec<Ident> = (0..arguments.len()).map(|number| local(&format!("argument_{number}"))).collect();
        let extract = arguments.iter().zip(&names).map(|((place, argument), name)| {
            let (read, refuse) = (read(*place, argument), refuse(&error));
            quote! {
                let #name = match #read {
                    #result::Ok(#value) => #value,
                    #result::Err(#error) => return #refuse,
                };
            }
        });
        let (method, returned) = (&signature.ident, local("returned"));
        let channel = matches!(self.handler.receiver(), Receiver::Shared).then(|| quote!(#channel,));
        let wait = signature.asyncness.map(|_| quote!(.await));
        let fallible = self.fallible();
        // Has the method's span, so that a future that is not `Send` is reported there.
        let place = method.span();
        let boxed = private(place, "on_any_thread");
        let body = quote! {{
            #(#extract)*
            let #returned = Self::#method(#channel #(#names),*)#wait;
            #fallible
            #convert
        }};
        quote_spanned!(place=> #boxed(async move #body))
    }

    /// The arguments' types, each with its span.
    fn arguments(&self) -> Vec<(Span, TokenStream)> {
        let lifetimes: Vec<String> =
            self.handler.signature.generics.lifetimes().map(|known| known.lifetime.ident.to_string()).collect();
        let types = self.handler.arguments();
        types.map(|of| (of.span(), without_lifetimes(of.to_token_stream(), &lifetimes))).collect()
    }

    /// The return type, if it is a `Result<T, E>` and this handler may return one.
    fn result(&self) -> Option<(&Type, &Type)> {
        self.handler.output().and_then(result_parts).filter(|_| !matches!(self.on.target, Target::Disconnect))
    }

    /// Converts `E` into the library's error, so that a compile error points at `E` if it is not convertible.
    fn fallible(&self) -> Option<TokenStream> {
        let (_, error) = self.result()?;
        let place = error.span();
        let (fallible, returned) = (private(place, "fallible"), local_at(place, "returned"));
        Some(quote_spanned!(place=> let #returned = #fallible(#returned);))
    }

    fn convert_result(&self, context: &Ident) -> TokenStream {
        let place = self.handler.output_place();
        let by_trait = |name| {
            let returned = local_at(place, "returned");
            let output = private(place, name);
            quote_spanned!(place=> #output::into_outcome(#returned))
        };
        match self.on.target {
            Target::Authorize => by_trait("AuthorizeOutput"),
            Target::Connect => by_trait("ConnectOutput"),
            Target::Disconnect => by_trait("DisconnectOutput"),
            _ => {
                let place = self.result().map_or(place, |(value, _)| value.span());
                let (kind, returned) = (p("returned"), local_at(place, "returned"));
                let convert = quote_spanned!(place=> (&&&&&&#kind::Wrap::of(&#returned)).kind().into_outcome(#returned, #context));
                quote! {
                    #[allow(unused_imports)]
                    use #kind::{
                        ViaNoError as _, ViaNoValue as _, ViaNothing as _, ViaResult as _, ViaUnit as _,
                        ViaUnitResult as _, ViaValue as _,
                    };
                    #convert
                }
            }
        }
    }

    /// The function that declares what start-up has to provide.
    fn needs(&self, name: &Ident) -> TokenStream {
        let (needs, all) = (local("needs"), p("Needs"));
        let is_init = matches!(self.on.target, Target::Init | Target::Presence);
        let each = self.arguments().into_iter().map(|(place, argument)| {
            if is_init {
                let from = private(place, "FromInit");
                return quote_spanned!(place=> <#argument as #from>::needs(#needs););
            }
            let probe = p("Probe");
            quote!((&#probe::<#argument>::new()).argument().needs(#needs);)
        });
        let (readable, unreadable) = (p("ViaReadable"), p("ViaUnreadable"));
        quote! {
            #[doc(hidden)]
            fn #name(#needs: &mut #all) {
                #[allow(unused_imports)]
                use {#readable as _, #unreadable as _};
                #(#each)*
            }
        }
    }
}
