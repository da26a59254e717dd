//! The nearest known name, for messages about unknown ones.
//!
//! Compiled into both crates, as `path` is: in the crate of macros this file is a symbolic link.

/// The name in `known` nearest to `name`, if any is near enough. Case makes no difference.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let rated = known.into_iter().map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known));
    // Up to one wrong letter in three counts as a typing error.
    rated.filter(|(distance, known)| distance * 3 <= known.chars().count().max(3)).min().map(|(_, known)| known)
}

/// A suggestion to append to a message: "; did you mean `mailbox`?", or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_found_and_strangers_are_not() {
        let known = ["mailbox", "max_payload", "bind", "url"];
        for (name, near) in [
            ("mailbx", Some("mailbox")),
            ("MAX_PAYLAOD", Some("max_payload")),
            ("bnid", Some("bind")),
            ("uri", Some("url")),
            ("colour", None),
            ("b", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), near, "{name}");
        }
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn of_two_equally_near_the_first_by_name_is_chosen() {
        assert_eq!(nearest("pong", ["song", "long"]), Some("long"));
    }

    #[test]
    fn the_half_sentence_is_empty_where_nothing_is_near() {
        assert_eq!(did_you_mean("mailbx", ["mailbox"]), "; did you mean `mailbox`?");
        assert_eq!(did_you_mean("colour", ["mailbox"]), "");
    }
}
