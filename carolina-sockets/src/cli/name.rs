use heck::{ToSnakeCase, ToUpperCamelCase};

use super::usage_error;
use crate::error::Result;

/// Rust's keywords, which no struct or package can be named.
const KEYWORDS: [&str; 52] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Names that a channel's file already uses: from the prelude, the standard library and the test.
const TAKEN: [&str; 48] = [
    "Ack",
    "Args",
    "AtomicBool",
    "AtomicI64",
    "AtomicU32",
    "AtomicU64",
    "AtomicUsize",
    "Box",
    "Bytes",
    "ChannelHandle",
    "Clone",
    "Data",
    "Debug",
    "Default",
    "Deserialize",
    "DisconnectReason",
    "Err",
    "Event",
    "EventError",
    "Handshake",
    "Identify",
    "Identity",
    "JsonSchema",
    "MainChannel",
    "None",
    "Ok",
    "Option",
    "Path",
    "Presence",
    "Relaxed",
    "Result",
    "Resumed",
    "Send",
    "Serialize",
    "Session",
    "Socket",
    "SocketData",
    "Sockets",
    "Some",
    "State",
    "String",
    "TestService",
    "TryData",
    "User",
    "UserKey",
    "Valid",
    "Validate",
    "Vec",
];

/// The dependencies of a generated application, which it cannot be named after.
const PACKAGES: [&str; 11] = [
    "alloc",
    "automod",
    "axum",
    "carolina-sockets",
    "carolina_sockets",
    "core",
    "schemars",
    "serde",
    "std",
    "test",
    "tokio",
];

/// Checks the name of a struct.
pub(super) fn check_struct(name: &str) -> Result {
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    if !begins || !characters.all(|character| character.is_ascii_alphanumeric() || character == '_') {
        let spelled = camel(name);
        let hint = if spelled.is_empty() { String::new() } else { format!("; did you mean `{spelled}`?") };
        return Err(usage_error(format!("`{name}` is not a Rust identifier{hint}")));
    }
    if KEYWORDS.contains(&name) {
        return Err(usage_error(format!("`{name}` is a Rust keyword")));
    }
    if !name.starts_with(|first: char| first.is_ascii_uppercase()) || name.contains('_') {
        return Err(usage_error(format!("a struct's name is written in capitals, as `{}`", camel(name))));
    }
    if TAKEN.contains(&name) {
        let other = name.strip_suffix("Channel").unwrap_or(name);
        return Err(usage_error(format!(
            "`{name}` is what the library has by that name; choose another, as `My{other}Channel`"
        )));
    }
    let module = name.to_snake_case();
    if KEYWORDS.contains(&module.as_str()) {
        return Err(usage_error(format!(
            "the module of `{name}` would be `{module}`, a Rust keyword; choose another, as `{name}Channel`"
        )));
    }
    Ok(())
}

/// Checks the name of a package.
pub(super) fn check_package(name: &str) -> Result {
    let sound = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'));
    if PACKAGES.contains(&name) {
        return Err(usage_error(format!("`{name}` is a package that the application uses; choose another name")));
    }
    if sound && !KEYWORDS.contains(&name) {
        Ok(())
    } else {
        Err(usage_error(format!(
            "`{name}` cannot name a package: it is made of letters, digits, `-` and `_`, begins with a letter, and is no word of Rust"
        )))
    }
}

/// `my-custom_channel` as `MyCustomChannel`; empty where that cannot be an identifier.
fn camel(name: &str) -> String {
    let spelled = name.replace(|character: char| !character.is_ascii_alphanumeric(), " ").to_upper_camel_case();
    if spelled.starts_with(|first: char| first.is_ascii_alphabetic()) { spelled } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_the_right_spelling_is_told() {
        assert!(check_struct("MyCustomChannel").is_ok());
        for (name, expected) in [
            ("my-channel", "did you mean `MyChannel`?"),
            ("my_channel", "as `MyChannel`"),
            ("chat", "as `Chat`"),
            ("7up", "not a Rust identifier"),
            ("", "not a Rust identifier"),
            ("../x", "not a Rust identifier"),
            ("Self", "Rust keyword"),
            ("Mod", "the module of `Mod` would be `mod`"),
            ("Data", "choose another, as `MyDataChannel`"),
            ("MainChannel", "as `MyMainChannel`"),
            ("Größe", "not a Rust identifier"),
        ] {
            let error = check_struct(name).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        assert!(check_package("my-app").is_ok());
        for name in ["", "7", "a b", "fn", "test", "a/b", "tokio"] {
            assert!(check_package(name).is_err(), "{name}");
        }
    }

    #[test]
    fn no_channel_takes_a_name_of_the_prelude() {
        let (_, prelude) = include_str!("../prelude.rs").split_once("pub use").unwrap();
        let words = prelude.split(|character: char| !character.is_ascii_alphanumeric());
        for name in words.filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase())) {
            // The one name that is only passed through.
            assert!(name == "Ordering" || TAKEN.contains(&name), "{name}");
        }
    }
}
