//! R1: two crates whose channels collide.

use carolina_sockets::{Config, Error, Sockets};
use plugin_one as _;
use plugin_two as _;

#[tokio::test]
async fn r1_every_clash_is_told_with_both_places() {
    let Err(Error::Startup(problems)) = Sockets::builder().config(Config::default()).build().await else {
        panic!("start-up must fail")
    };
    for (what, first, second) in [
        ("two drivers are called `Twin`", "plugins/one/src/lib.rs:", "plugins/two/src/lib.rs:"),
        ("two channels are at `/plugin`", "plugins/one/src/lib.rs:", "plugins/two/src/lib.rs:"),
        ("two handlers for #[on(\"a\")]", "plugins/two/src/lib.rs:18", "plugins/two/src/lib.rs:25"),
        ("State<plugin_two::Missing>", "plugins/two/src/lib.rs:25", "Squatter::second"),
    ] {
        let told = |problem: &&String| problem.contains(what) && problem.contains(first) && problem.contains(second);
        assert!(problems.iter().any(|problem| told(&problem)), "{what}: {problems:#?}");
    }
    assert_eq!(problems.len(), 4, "{problems:#?}");
}
