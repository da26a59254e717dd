//! The paths that expansions refer to, all in this file. They are absolute, so that no name of the caller's, not even
//! `std` or `Result`, can shadow them.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

/// A name in `carolina_sockets::private`, with the span for errors about it.
pub(crate) fn private(span: Span, name: &str) -> TokenStream {
    let name = proc_macro2::Ident::new(name, span);
    quote_spanned!(span=> ::carolina_sockets::private::#name)
}

/// A name in `core`, by its path.
pub(crate) fn core(path: &str) -> TokenStream {
    let segments = path.split("::").map(|segment| proc_macro2::Ident::new(segment, Span::call_site()));
    quote::quote!(::core #(:: #segments)*)
}

/// The source location of `span`. It is taken from the span, since `file!()` and `line!()` would give the location of
/// the outermost macro invocation.
pub(crate) fn location(span: Span) -> TokenStream {
    let location = private(Span::call_site(), "Location");
    let (file, line, column) = position(span);
    quote::quote!(#location::new(#file, #line, #column))
}

fn position(span: Span) -> (String, u32, u32) {
    if !proc_macro::is_available() {
        return (String::new(), 0, 0);
    }
    let span = span.unwrap();
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    (span.file(), number(span.line()), number(span.column()))
}
