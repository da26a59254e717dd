//! What the macros refuse, as the compiler says it, and what they accept.
//!
//! `TRYBUILD=overwrite cargo test -p carolina-sockets-tests --test compile_errors` writes the expected messages anew.

#[test]
fn mistakes_are_told_where_they_stand() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/fail/*/*.rs");
    cases.pass("ui/pass/*.rs");
}
