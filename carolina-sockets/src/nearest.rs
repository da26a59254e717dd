//! The nearest known name, for messages about unknown ones.

/// The name among `known` that is most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let rated = known.into_iter().map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known));
    rated.filter(|(distance, known)| *distance <= 2 + known.len() / 6).min().map(|(_, known)| known)
}

/// The same as a half-sentence: "; did you mean `mailbox`?", or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_found_and_strangers_are_not() {
        let known = ["mailbox", "max_payload", "bind"];
        assert_eq!(nearest("mailbx", known), Some("mailbox"));
        assert_eq!(nearest("MAX_PAYLAOD", known), Some("max_payload"));
        assert_eq!(nearest("colour", known), None);
    }
}
