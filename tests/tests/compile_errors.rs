//! What does not compile, and what the compiler says.

#[test]
fn mistakes_are_underlined_where_they_stand() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*/*.rs");
}
