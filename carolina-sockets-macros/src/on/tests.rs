use super::*;

fn read(text: &str) -> Result<On, Vec<String>> {
    let arguments: TokenStream = text.parse().unwrap();
    let attribute: Attribute = syn::parse_quote!(#[on(#arguments)]);
    let mut errors = Errors::default();
    let on = parse(&attribute, &attribute.meta, &mut errors);
    let messages = errors.into_messages();
    on.filter(|_| messages.is_empty()).ok_or(messages)
}

#[test]
fn every_form_is_read() {
    assert!(matches!(read("\"a\", \"b\"").unwrap().target, Target::Events(events) if events.len() == 2));
    for (word, text) in WORDS.into_iter().zip(["Any", "Authorize", "Connect", "Disconnect", "Presence", "Init"]) {
        assert_eq!(format!("{:?}", read(word).unwrap().target), text);
    }
    let on = read("\"a\", concurrent, timeout = \"5s\", rate = \"20/s\",").unwrap();
    assert!(on.concurrent);
    assert_eq!(on.timeout, Some(Duration::from_secs(5)));
    assert_eq!(on.rate, Some((20, Duration::from_secs(1))));
    assert_eq!(read("\"a\", guard = b::c, guard = Self::d::<u8>").unwrap().guards.len(), 2);
    assert_eq!(read("any, guard = b").unwrap().guards.len(), 1);
    assert_eq!(read("\"a\", rate = \"5/500ms\"").unwrap().rate, Some((5, Duration::from_millis(500))));
    assert_eq!(read("\"a\", rate = \"5/m\"").unwrap().rate, Some((5, Duration::from_secs(60))));
}

#[test]
fn mistakes_are_told_with_the_right_spelling() {
    for (text, expected) in [
        ("", "needs an event's name in quotes"),
        ("checkin", "`#[on(\"checkin\")]`"),
        ("conect", "did you mean `connect`?"),
        ("\"a\", concurent", "did you mean `concurrent`?"),
        ("\"a\", \"a\"", "named twice"),
        ("\"connect\"", "`#[on(connect)]`, without quotes"),
        ("\"connection\"", "`#[on(connect)]`, without quotes"),
        ("\"session_id\"", "the library's own event"),
        ("\"exception\"", "reports a failure"),
        ("\"newListener\"", "reserves the name"),
        ("\"a\\\\b\"", "has to escape it"),
        ("\"\"", "needs a name"),
        ("7", "is a string"),
        ("connect, \"a\"", "cannot share a handler"),
        ("connect, disconnect", "for `connect` already"),
        ("connect, rate = \"1/s\"", "`rate` is for events"),
        ("init, concurrent", "`concurrent` is for events"),
        ("init, timeout = \"1s\"", "`init` runs at start-up"),
        ("\"a\", concurrent, concurrent", "given twice"),
        ("\"a\", timeout = \"1s\", timeout = \"2s\"", "given twice"),
        ("\"a\", timeout", "needs a value"),
        ("\"a\", timeout = ", "needs a value"),
        ("\"a\", rate = , concurrent", "needs a value"),
        ("\"a\", timeout = 5s6", "is a string"),
        ("connect = true", "takes no value"),
        ("connect, connect", "given twice"),
        ("\"a\", timeout = 5", "is a string"),
        ("\"a\", timeout = \"soon\"", "`soon` is not a duration"),
        ("\"a\", timeout = \"0s\"", "longer than zero"),
        ("\"a\", rate = \"20\"", "it has no `/`"),
        ("\"a\", rate = \"0/s\"", "let no event in"),
        ("\"a\", rate = \"x/s\"", "not a number of events"),
        ("\"a\", rate = \"2/fortnight\"", "not a unit of time"),
        ("\"a\", guard", "needs a function"),
        ("\"a\", guard = ", "needs a function"),
        ("\"a\", guard = \"b\"", "named by its path"),
        ("\"a\", guard = |a| true", "named by its path"),
        ("\"a\", guard = b, guard = c, guard = b", "named twice"),
        ("\"a\", gard = b", "did you mean `guard`?"),
        ("connect, guard = b", "guards are for events"),
        ("authorize, guard = b", "guards are for events"),
        ("\"a\", timeot = \"1s\"", "did you mean `timeout`?"),
        ("\"a\", concurrent = \"yes\"", "takes no value"),
    ] {
        let messages = read(text).unwrap_err();
        assert!(messages.iter().any(|message| message.contains(expected)), "{text}: {messages:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    assert_eq!(read("\"\", rate = \"x\", timeout = \"y\", concurent = 1").unwrap_err().len(), 4);
}

#[test]
fn an_equals_sign_is_no_parenthesis() {
    let attribute: Attribute = syn::parse_quote!(#[on = "event"]);
    let mut errors = Errors::default();
    assert!(parse(&attribute, &attribute.meta, &mut errors).is_none());
    assert_eq!(errors.into_messages(), ["the event has to be in parentheses: `#[on(\"event\")]`"]);
}

#[test]
fn what_is_sound_of_a_mistaken_attribute_is_kept() {
    let attribute: Attribute = syn::parse_quote!(#[on("event", rate = "20")]);
    let mut errors = Errors::default();
    let on = parse(&attribute, &attribute.meta, &mut errors);
    assert!(matches!(on.unwrap().target, Target::Events(names) if names[0].value() == "event"));
    assert_eq!(errors.into_messages().len(), 1);
}
