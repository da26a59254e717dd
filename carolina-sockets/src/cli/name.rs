use crate::error::Result;

use super::usage_error;

/// Words that Rust keeps for itself, so that no struct or package can have them.
const KEYWORDS: [&str; 52] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// What a channel's file has by these names already: the prelude's, the standard library's and the test's.
const TAKEN: [&str; 41] = [
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
    "MainChannel",
    "None",
    "Ok",
    "Option",
    "Relaxed",
    "Result",
    "Send",
    "Serialize",
    "Session",
    "Socket",
    "Sockets",
    "Some",
    "State",
    "String",
    "TestService",
    "TryData",
    "User",
    "UserKey",
    "Vec",
];

/// What an application depends on, so that it cannot have the same name itself.
const PACKAGES: [&str; 10] =
    ["alloc", "automod", "axum", "carolina-sockets", "carolina_sockets", "core", "serde", "std", "test", "tokio"];

/// A struct's name.
pub(super) fn check_struct(name: &str) -> Result {
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    if !begins || !characters.all(|character| character.is_ascii_alphanumeric() || character == '_') {
        let spelled = camel(name);
        let hint = if spelled.is_empty() { String::new() } else { format!("; did you mean `{spelled}`?") };
        return Err(usage_error(format!("`{name}` is no Rust identifier{hint}")));
    }
    if KEYWORDS.contains(&name) {
        return Err(usage_error(format!("`{name}` is a word that Rust keeps for itself")));
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
    let module = split(name, '_');
    if KEYWORDS.contains(&module.as_str()) {
        return Err(usage_error(format!(
            "the module of `{name}` would be `{module}`, a word that Rust keeps for itself; choose another, as `{name}Channel`"
        )));
    }
    Ok(())
}

/// A package's name.
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

/// `MyCustomChannel` as `my_custom_channel`, with the separator asked for.
pub(super) fn split(name: &str, separator: char) -> String {
    let mut spelled = String::new();
    let mut before: Option<char> = None;
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let next_is_lower = characters.peek().is_some_and(|next| next.is_ascii_lowercase());
        let begins = character.is_ascii_uppercase()
            && before.is_some_and(|before| !before.is_ascii_uppercase() || next_is_lower);
        if begins {
            spelled.push(separator);
        }
        spelled.push(character.to_ascii_lowercase());
        before = Some(character);
    }
    spelled
}

/// `my-custom_channel` as `MyCustomChannel`.
fn camel(name: &str) -> String {
    let words = name.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let spelled: String = words.map(|word| word[..1].to_uppercase() + &word[1..]).collect();
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
            ("7up", "no Rust identifier"),
            ("", "no Rust identifier"),
            ("../x", "no Rust identifier"),
            ("Self", "keeps for itself"),
            ("Mod", "the module of `Mod` would be `mod`"),
            ("Data", "choose another, as `MyDataChannel`"),
            ("MainChannel", "as `MyMainChannel`"),
            ("Größe", "no Rust identifier"),
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

    #[test]
    fn names_are_split_at_their_words() {
        assert_eq!(split("MyCustomChannel", '_'), "my_custom_channel");
        assert_eq!(split("HTTPFeed2", '-'), "http-feed2");
        assert_eq!(split("A", '_'), "a");
    }
}
