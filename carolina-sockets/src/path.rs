//! The rule for paths: of channels and of the endpoint that clients connect to.
//!
//! The macros, the configuration, the start-up checks and the command line all call [`check_channel`], or [`check`] where
//! there are no parameters. A crate of macros can
//! export nothing but macros, so this file is compiled into both crates: in the other one it is a symbolic link. It
//! therefore uses the standard library only.

/// The longest path, in bytes.
pub(crate) const MAX_BYTES: usize = 255;

/// Checks a path. The error says what is wrong, at which character, and what to write instead.
///
/// A path begins with `/`, has at most 255 bytes, and consists of segments that are not empty, so that it ends with `/`
/// only if it is `/`. [`is_refused`] lists the characters that a segment cannot have.
pub(crate) fn check(path: &str) -> Result<(), String> {
    let Some(fault) = fault(path) else { return Ok(()) };
    Err(match repaired(path) {
        Some(repaired) => format!("{fault}: write \"{repaired}\""),
        None => fault,
    })
}

/// Checks the path of a channel: as [`check`], but a segment may be a parameter, a name in braces.
pub(crate) fn check_channel(path: &str) -> Result<(), String> {
    if !path.contains(['{', '}']) || !path.starts_with('/') || path.len() > MAX_BYTES {
        return check(path);
    }
    let (mut names, mut start): (Vec<&str>, usize) = (Vec::new(), 2);
    for segment in path.split('/').skip(1) {
        match parameter(segment) {
            Some(name) if names.contains(&name) => {
                return Err(format!("two parameters are called `{name}`: give each a name of its own"));
            }
            Some(name) => names.push(name),
            None if segment.contains(['{', '}']) => return Err(parameter_fault(segment)),
            None => {
                if let Some(fault) = segment_fault(segment, start) {
                    return Err(fault);
                }
            }
        }
        start += segment.chars().count() + 1;
    }
    Ok(())
}

/// The name of the parameter that a segment is, if it is one.
pub(crate) fn parameter(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let is_name = !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    is_name.then_some(name)
}

/// What is wrong with a segment that has braces and is no parameter.
fn parameter_fault(segment: &str) -> String {
    let mut words = segment.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let name = words.rfind(|word| !word.is_empty() && !word.starts_with(|first: char| first.is_ascii_digit()));
    let name = name.unwrap_or("id");
    format!(
        "`{segment}` is no parameter: a parameter is a whole segment, a name of ASCII letters, digits and `_` in braces: write \"{{{name}}}\""
    )
}

/// The first thing that is wrong with a path.
fn fault(path: &str) -> Option<String> {
    let Some(segments) = path.strip_prefix('/') else {
        return Some("a path begins with `/`".to_owned());
    };
    if path.len() > MAX_BYTES {
        return Some(format!("a path has at most {MAX_BYTES} bytes, this one has {}: write a shorter one", path.len()));
    }
    if segments.is_empty() {
        return None;
    }
    let mut start = 2;
    for segment in segments.split('/') {
        if let Some(fault) = segment_fault(segment, start) {
            return Some(fault);
        }
        start += segment.chars().count() + 1;
    }
    None
}

/// What is wrong with one segment, which begins at this character of its path, counted from 1.
fn segment_fault(segment: &str, start: usize) -> Option<String> {
    if segment.is_empty() {
        return Some(format!(
            "a path has no empty segment, and there is one behind the `/` at character {}",
            start - 1
        ));
    }
    let (at, refused) = (start..).zip(segment.chars()).find(|(_, character)| is_refused(*character))?;
    let shown = match refused {
        '"' | '\'' | '\\' => refused.to_string(),
        other => other.escape_debug().to_string(),
    };
    Some(format!("a path has no `{shown}` in it, and there is one at character {at}"))
}

/// Whether a character cannot be in a segment.
pub(crate) fn is_refused(character: char) -> bool {
    match character {
        // Packets and URLs end a path here.
        ',' | '?' | '#' => true,
        // The official client takes them for those around an IPv6 address.
        '[' | ']' => true,
        // Reserved for parameters.
        '{' | '}' => true,
        // They would have to be escaped in source code and configuration.
        '"' | '\'' | '`' | '\\' => true,
        // Invisible, or change the direction of the text around them.
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        other => other.is_whitespace() || other.is_control(),
    }
}

/// The nearest path that is right, if there is one.
fn repaired(path: &str) -> Option<String> {
    // A query or a fragment is not part of the path.
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let segments = path.split('/').map(|segment| {
        let words: Vec<&str> = segment.split(is_refused).filter(|word| !word.is_empty()).collect();
        words.join("-")
    });
    let segments: Vec<String> = segments.filter(|segment| !segment.is_empty()).collect();
    let repaired = format!("/{}", segments.join("/"));
    fault(&repaired).is_none().then_some(repaired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_can_carry_is_accepted() {
        let longest = format!("/{}", "a".repeat(MAX_BYTES - 1));
        for path in [
            "/",
            "/a",
            "/socket.io",
            "/news/sport",
            "/a-b_c.d~e",
            "/Größe",
            "/a:b@c",
            "/a%20b",
            "/a=b&c;d+e!",
            &longest,
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn r18_parameters_are_whole_segments() {
        for path in ["/orders/{id}", "/{a}", "/{a}/b/{c_1}", "/plain"] {
            assert_eq!(check_channel(path), Ok(()), "{path}");
        }
        for (path, expected) in [
            ("/orders/{}", "write \"{id}\""),
            ("/orders/{id", "write \"{id}\""),
            ("/orders/x{id}", "write \"{id}\""),
            ("/orders/{1}", "write \"{id}\""),
            ("/orders/{order-id}", "write \"{id}\""),
            ("/orders/{*rest}", "write \"{rest}\""),
            ("/orders/:id}", "write \"{id}\""),
            ("/{a}/{a}", "two parameters are called `a`"),
            ("/{a}/b c", "no ` ` in it, and there is one at character 7"),
            ("/{a}/", "empty segment"),
            ("{a}", "begins with `/`"),
        ] {
            let fault = check_channel(path).unwrap_err();
            assert!(fault.contains(expected), "{path}: {fault}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_to_write() {
        let no = |character: &str, at: usize| {
            format!("a path has no `{character}` in it, and there is one at character {at}")
        };
        let empty =
            |at: usize| format!("a path has no empty segment, and there is one behind the `/` at character {at}");
        for (path, fault, repaired) in [
            ("", "a path begins with `/`".to_owned(), "/"),
            ("news", "a path begins with `/`".to_owned(), "/news"),
            ("news, sport/", "a path begins with `/`".to_owned(), "/news-sport"),
            ("/one,two", no(",", 5), "/one-two"),
            ("/search?for=this", no("?", 8), "/search"),
            ("/page#top", no("#", 6), "/page"),
            ("/two words", no(" ", 5), "/two-words"),
            ("/größe /x", no(" ", 7), "/größe/x"),
            ("/a\tb", no("\\t", 3), "/a-b"),
            ("/a\0b", no("\\0", 3), "/a-b"),
            ("/a\u{7f}b", no("\\u{7f}", 3), "/a-b"),
            ("/a\u{a0}b", no("\\u{a0}", 3), "/a-b"),
            ("/a\u{200b}b", no("\\u{200b}", 3), "/a-b"),
            ("/say\"hello\"", no("\"", 5), "/say-hello"),
            ("/it's", no("'", 4), "/it-s"),
            ("/`a`", no("`", 2), "/a"),
            ("/a\\b", no("\\", 3), "/a-b"),
            ("/[::1]", no("[", 2), "/::1"),
            ("/orders/{id}", no("{", 9), "/orders/id"),
            ("/a/", empty(3), "/a"),
            ("//a", empty(1), "/a"),
            ("/a//b", empty(3), "/a/b"),
            ("//", empty(1), "/"),
        ] {
            assert_eq!(check(path), Err(format!("{fault}: write \"{repaired}\"")), "{path:?}");
            assert_eq!(check(repaired), Ok(()), "{path:?}");
        }
        let long = format!("/{}", "ä".repeat(MAX_BYTES / 2 + 1));
        assert_eq!(check(&long), Err("a path has at most 255 bytes, this one has 257: write a shorter one".to_owned()));
    }
}
