//! `#[channel]`: tokens are parsed into a model, the model is checked, and the valid parts are expanded. The user's
//! item is always emitted, so that one mistake does not cause follow-up errors.

mod attributes;
mod check;
mod codes;
mod describe;
mod emits;
mod expand;
mod model;
mod parse;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use crate::errors::Errors;

pub(crate) use emits::outside_channel as emits_outside_channel;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = match syn::parse2::<Item>(item.clone()) {
        Ok(item) => item,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#item #error);
        }
    };
    let (item, rows) = match item {
        Item::Struct(mut item) => {
            let driver = parse::driver(arguments, &mut item, &mut errors);
            let rows = driver.sound.then(|| expand::driver(&driver));
            (quote!(#item), rows)
        }
        Item::Impl(mut item) => {
            let mut block = parse::block(&arguments, &mut item, &mut errors);
            check::block(&mut block, &mut errors);
            (quote!(#item), Some(expand::block(&block)))
        }
        item => {
            errors.at(parse::head(&item), "`#[channel]` belongs above a struct, and above its impl blocks");
            (quote!(#item), None)
        }
    };
    let errors = errors.into_tokens();
    quote!(#item #rows #errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(arguments: &str, item: &str) -> String {
        let expanded = expand(arguments.parse().unwrap(), item.parse().unwrap()).to_string();
        expanded.split("compile_error").skip(1).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn sound_channels_have_no_errors() {
        assert_eq!(messages("\"/custom\", private", "struct Custom;"), "");
        assert_eq!(messages("\"/custom\", guard = a::b, private, guard = <C as D>::e", "struct Custom;"), "");
        assert_eq!(messages("", "pub(crate) struct Custom { a: u8 }"), "");
        let emitting = r#"#[emits("a", String)] #[carolina_sockets::emits("b", (u8, Bytes),)]
            #[cfg_attr(x, emits("c", ()))] #[cfg_attr(not(x), emits("c", u8))] struct Custom;"#;
        assert_eq!(messages("", emitting), "");
        let block = r#"impl Custom {
            #[on(init)] fn new(state: State<Db>) -> Self { Self }
            #[on(authorize)] fn authorize(&self, user: User) -> bool { true }
            #[on(connect)] async fn connect(&self, socket: Socket) {}
            #[on(disconnect)] fn disconnect(&self, reason: DisconnectReason) {}
            #[on(presence, timeout = "1s")] async fn names(&self, keys: Keys, db: State<Db>) -> HashMap<u64, A> { a }
            #[on("a", "b", concurrent, timeout = "5s", rate = "20/s", guard = a::b, guard = Self::c)]
            async fn event(&self, Data((mut a, b)): Data<(u8, u8)>) -> Result<u8, EventError> { Ok(a) }
            #[on(any)] fn any(event: Event) {}
            #[on("long")] fn long(self: &Self) -> impl Serialize { 1 }
            #[on("named")] fn named<'a>(&'a self, data: Data<Cow<'a, str>>) -> &'a str { "" }
            #[cfg(a)] #[on("either")] fn either(&self) {}
            #[cfg(not(a))] #[on("either")] fn other(&self) {}
            #[cfg_attr(a, on("one"))] #[cfg_attr(not(a), on("two"))] fn conditional(&self) {}
            fn helper(&mut self) {}
        }"#;
        assert_eq!(messages("", block), "");
        // A user's type with the same name as one of the library's.
        assert_eq!(messages("", "impl A { #[on(connect)] fn a(&self, data: mine::Data<u8>) {} }"), "");
    }

    #[test]
    fn mistakes_are_told_where_they_stand() {
        for (arguments, item, expected) in [
            ("\"custom\"", "struct A;", "begins with `/`"),
            ("\"/a,b\"", "struct A;", "`,`"),
            ("\"/a\", \"/b\"", "struct A;", "one path"),
            ("privat", "struct A;", "did you mean `private`?"),
            ("private, private", "struct A;", "given twice"),
            ("7", "struct A;", "is a string"),
            ("/a", "struct A;", "has to be in quotes"),
            ("a", "struct A;", "write `\\\"/a\\\"`"),
            ("path = \"/a\"", "struct A;", "is written without a name"),
            ("private = true", "struct A;", "takes no value"),
            ("\"/a\" private", "struct A;", "expected `,`"),
            ("", "struct A<T>(T);", "cannot be generic"),
            ("", "#[emits] struct A;", "`#[emits(\\\"event\\\", Type)]`"),
            ("", "#[emits(\"a\")] struct A;", "the type of what is sent"),
            ("", "#[emits(a, String)] struct A;", "has to be in quotes"),
            ("", "#[emits(String, \"a\")] struct A;", "the event comes first"),
            ("", "#[emits(\"a\", \"b\", String)] struct A;", "one event"),
            ("", "#[emits(\"a\", u8, u8)] struct A;", "`(u8, u8)`"),
            ("", "#[emits(\"a\", impl Serialize)] struct A;", "`impl Trait`"),
            ("", "#[emits = \"a\"] struct A;", "in parentheses"),
            ("", "#[emits(\"a\", u8)] #[emits(\"a\", u8)] struct A;", "declared twice"),
            ("", "#[emits(\"connect\", ())] struct A;", "reserves the name"),
            ("", "#[emits(\"exception\", ())] struct A;", "library's own event"),
            ("", "#[emits(\"carolina:closed\", ())] struct A;", "library's own event"),
            ("", "#[emits(\"\", ())] struct A;", "needs a name"),
            ("", "#[emits(\"a\", u8)] impl A {}", "above the struct"),
            ("", "impl A { #[emits(\"a\", u8)] fn a(&self) {} }", "above the struct"),
            ("", "enum A { B }", "belongs above a struct"),
            ("", "fn a() {}", "belongs above a struct"),
            ("\"/a\"", "impl A {}", "belong above the struct"),
            ("guard = a", "impl A {}", "belong above the struct"),
            ("guard", "struct A;", "needs a function"),
            ("guard = \"a\"", "struct A;", "named by its path"),
            ("guard = a, guard = a", "struct A;", "named twice"),
            ("guard = [a, b]", "struct A;", "one by one"),
            ("guard = a(1)", "struct A;", "`guard = a`"),
            ("gard = a", "struct A;", "did you mean `guard`?"),
            ("", "impl<T> A<T> {}", "cannot be generic"),
            ("", "impl A<'_> {}", "generic over a lifetime"),
            ("", "impl A<u8> {}", "cannot be generic"),
            ("", "impl Clone for A {}", "its own methods"),
            ("", "impl A { #[on(\"a\")] const B: u8 = 1; }", "a method"),
            ("", "impl A { #[on(\"a\")] fn a(&mut self) {} }", "Mutex"),
            ("", "impl A { #[on(\"a\")] fn a(self) {} }", "`&self`"),
            ("", "impl A { #[on(\"a\")] fn a(self: Arc<Self>) {} }", "`&self`"),
            ("", "impl A { #[on(\"a\")] fn a<T>(&self, a: T) {} }", "generic"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: impl Copy) {} }", "`impl Trait`"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: Option<impl Copy>) {} }", "`impl Trait`"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: &Socket) {} }", "by value"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: &str) {} }", "`Data(text): Data<String>`"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: &mine::Thing) {} }", "as `Data<T>`"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: Data<&str>) {} }", "`String` instead of `&str`"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: TryData<(u8, &str)>) {} }", "`String` instead of `&str`"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: Data<u8>, b: Data<u8>) {} }", "`Data((a, b)): Data<(A, B)>`"),
            ("", "impl A { #[on(\"a\")] fn a(&self, a: Data<u8>, b: Valid<u8>) {} }", "once more"),
            ("", "impl A { #[on(\"a\")] fn a(&self, #[cfg(b)] a: Socket) {} }", "on the method"),
            ("", "impl A { #[on(\"a\")] fn a(&self) -> ! { loop {} } }", "a handler ends"),
            ("", "impl A { #[on(\"a\")] extern \"C\" fn a(&self) {} }", "leave `extern` out"),
            ("", "impl A { #[on(\"a\")] unsafe fn a(&self) {} }", "`unsafe`"),
            ("", "impl A { #[on(\"a\")] #[on(\"b\")] fn a(&self) {} }", "#[on(\\\"a\\\", \\\"b\\\")]"),
            ("", "impl A { #[on(\"a\")] fn a(&self) {} #[on(\"a\")] fn b(&self) {} }", "`a` has a handler already"),
            ("", "impl A { #[on(any)] fn a(&self) {} #[on(any)] fn b(&self) {} }", "one `#[on(any)]`"),
            ("", "impl A { #[on(init)] fn a(&self) -> Self { A } }", "no `&self`"),
            ("", "impl A { #[on(init)] fn a() {} }", "returns `Self`"),
            ("", "impl A { #[on(connect)] fn a(&self, data: Data<u8>) {} }", "auth::<T>()"),
            ("", "impl A { #[on(authorize)] fn a(&self, event: Event) -> bool { true } }", "no event yet"),
            ("", "impl A { #[on(disconnect)] fn a(&self, ack: Ack) {} }", "nothing left to read"),
            (
                "",
                "impl A { #[on(disconnect)] fn a(&self, args: carolina_sockets::Args<Vec<u8>>) {} }",
                "nothing left to read",
            ),
            ("", "impl A { #[on(\"a\")] fn a(&self, reason: DisconnectReason) {} }", "`#[on(disconnect)]` alone"),
            ("", "impl A { #[on(presence)] fn a(&self, keys: Keys) {} }", "`HashMap<String, T>`"),
            ("", "impl A { #[on(presence)] fn a(&self, a: Socket) -> B { b } }", "runs once for many keys"),
            ("", "impl A { #[on(presence, rate = \"1/s\")] fn a(&self) -> B { b } }", "at most once per"),
            ("", "impl A { #[on(presence, concurrent)] fn a(&self) -> B { b } }", "beside all sockets"),
            ("", "impl A { #[on(presence, guard = a)] fn a(&self) -> B { b } }", "guards are for events"),
            ("", "impl A { #[on(\"a\")] fn a(&self, keys: Keys) {} }", "`#[on(presence)]` alone"),
            ("", "impl A { #[on] fn a(&self) {} }", "needs an event's name"),
        ] {
            let found = messages(arguments, item);
            assert!(found.contains(expected), "{item}: {found}");
        }
    }

    #[test]
    fn the_item_survives_its_mistakes() {
        let expanded = expand("".parse().unwrap(), "impl A { #[on(nonsense)] fn a(&self) {} }".parse().unwrap());
        let expanded = expanded.to_string();
        assert!(expanded.contains("fn a (& self)"), "{expanded}");
        assert!(!expanded.contains("# [on (nonsense"), "{expanded}");
    }

    #[test]
    fn a_mistake_in_one_handler_takes_no_row_from_another() {
        let block = r#"impl A { #[on("a")] fn a(&mut self) {} #[on("b")] fn b(&self) {} }"#;
        let expanded = expand(TokenStream::new(), block.parse().unwrap()).to_string();
        assert_eq!(expanded.matches("HandlerRow").count(), 1, "{expanded}");
        let driver = expand("\"a\"".parse().unwrap(), "struct A;".parse().unwrap()).to_string();
        assert_eq!(driver.matches("ChannelRow").count(), 1, "{driver}");
    }

    #[test]
    fn every_mistake_of_a_handler_is_told() {
        let block = r#"impl A { #[on("", rate = "20")] unsafe fn a(&mut self, a: impl Copy) -> ! {} }"#;
        let found = messages("", block);
        for expected in ["needs a name", "not a rate", "`unsafe`", "Mutex", "`impl Trait`", "a handler ends"] {
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    /// Runs for `FUZZ_SECONDS`, or for a moment.
    #[test]
    fn whatever_stands_there_is_expanded_or_refused() {
        use std::time::{Duration, Instant};

        use proptest::{
            prelude::*,
            test_runner::{Config, TestRunner},
        };

        let word = || {
            let words = [
                "on",
                "channel",
                "\"/a\"",
                "\"e\"",
                "any",
                "connect",
                "init",
                "private",
                "timeout",
                "=",
                "\"5s\"",
                "\"20/s\"",
                "rate",
                ",",
                "concurrent",
                "5",
                "-1",
                "'a'",
                "b\"x\"",
                "\"\\u{0}\"",
                "::",
                "&",
                "mut",
                "self",
                "(x)",
                "[1]",
                "{}",
                "<T>",
                "#",
                "r#\"x\"#",
            ];
            proptest::sample::select(words.to_vec())
        };
        let words = || proptest::collection::vec(word(), 0..6).prop_map(|words| words.join(" "));
        let method = (words(), words(), words()).prop_map(|(on, arguments, returned)| {
            format!("#[on({on})] async fn handler({arguments}) -> Result<({returned}), EventError> {{ }}")
        });
        let item = prop_oneof![
            words().prop_map(|inside| format!("struct Custom {{ {inside} }}")),
            proptest::collection::vec(method, 0..4)
                .prop_map(|methods| format!("impl Custom {{ {} }}", methods.join("\n"))),
            words(),
        ];
        let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0.2);
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
        while Instant::now() < until {
            let run = runner.run(&(words(), item.clone()), |(arguments, item)| {
                // What is no sequence of tokens does not get as far as a macro.
                let (Ok(arguments), Ok(item)) = (arguments.parse::<TokenStream>(), item.parse::<TokenStream>()) else {
                    return Ok(());
                };
                let given = item.is_empty();
                prop_assert!(given || !expand(arguments, item).is_empty(), "an item has vanished");
                Ok(())
            });
            if let Err(error) = run {
                panic!("{error}");
            }
        }
    }
}
