use std::any::TypeId;

use super::{Plan, PlanOptions, Table};
use crate::{
    config::Config,
    error::Error,
    extract::Needs,
    registry::{
        MainChannel, Registry,
        row::{ChannelRow, HandlerRow, On},
        test_rows::{A, B, channel, handler, needing, private},
    },
};

struct Database;

/// These rows beside the built-in driver's.
fn registry(channels: &[&'static ChannelRow], handlers: &[&'static HandlerRow]) -> Registry {
    let main = channel::<MainChannel>("MainChannel", None, 99);
    Registry::from_rows(channels.iter().copied().chain([main]), handlers.iter().copied())
}

fn declared() -> Registry {
    registry(&[channel::<A>("A", Some("/a"), 1), private::<B>("B", None, 2)], &[])
}

const DISCOVER: PlanOptions<'static> = PlanOptions { discover: true, mounts: &[], has_state: &|_| false };

fn plan(registry: &Registry, config: &str, options: &PlanOptions<'_>) -> Result<Plan, Vec<String>> {
    Plan::make(registry, &config.parse().unwrap(), options).map_err(|error| match error {
        Error::Startup(problems) => problems,
        other => panic!("not a start-up error: {other}"),
    })
}

/// `path driver`, with a `!` where it is private.
fn mounted(plan: &Plan) -> Vec<String> {
    let show = |private| if private { "!" } else { "" };
    plan.mounts.iter().map(|mount| format!("{} {}{}", mount.path, mount.driver, show(mount.private))).collect()
}

#[track_caller]
fn mounts(registry: &Registry, config: &str, expected: &[&str]) {
    assert_eq!(mounted(&plan(registry, config, &DISCOVER).unwrap()), expected, "{config}");
}

#[track_caller]
fn refuses(registry: &Registry, config: &str, options: &PlanOptions<'_>, expected: &[&str]) {
    let problems = plan(registry, config, options).unwrap_err();
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{expected}: {problems:#?}");
    }
}

#[test]
fn configuration_maps_paths_to_drivers() {
    let registry = declared();
    mounts(&registry, "", &["/ MainChannel", "/a A"]);
    mounts(&registry, "channels.'/b' = { driver = 'B' }", &["/ MainChannel", "/a A", "/b B!"]);
    mounts(&registry, "channels.'/b' = { driver = 'B', private = false }", &["/ MainChannel", "/a A", "/b B"]);
    mounts(&registry, "channels.'/a' = { private = true }", &["/ MainChannel", "/a A!"]);
    mounts(&registry, "channels.'/a' = { driver = 'B' }", &["/ MainChannel", "/a B!"]);
    mounts(&registry, "channels.'/c' = { driver = 'A' }", &["/ MainChannel", "/a A", "/c A"]);
    mounts(&registry, "channels.'/a' = { enabled = false }\nuse_sockets = true", &["/ MainChannel"]);
    mounts(&registry, "channels.'/b' = { driver = 'B', enabled = false }", &["/ MainChannel", "/a A"]);
}

#[test]
fn the_main_channel_is_at_the_root_unless_another_driver_is() {
    let registry = declared();
    mounts(&registry, "channels.'/' = { driver = 'A' }", &["/ A", "/a A"]);
    mounts(&registry, "channels.'/' = { private = true }", &["/ MainChannel!", "/a A"]);
    mounts(&registry, "channels.'/' = { enabled = false }", &["/a A"]);
    mounts(&registry, "channels.'/b' = { driver = 'MainChannel' }", &["/ MainChannel", "/a A", "/b MainChannel"]);
    let claimed = self::registry(&[channel::<A>("A", Some("/"), 1)], &[]);
    mounts(&claimed, "", &["/ A"]);
    mounts(&claimed, "channels.'/' = { private = true }", &["/ A!"]);
    mounts(&claimed, "channels.'/' = { driver = 'MainChannel' }", &["/ MainChannel"]);
}

#[test]
fn sockets_are_on_where_something_needs_them() {
    let bare = registry(&[], &[]);
    let unmounted = registry(&[channel::<A>("A", None, 1)], &[]);
    for (registry, config, on, expected) in [
        (&bare, "", false, &[][..]),
        (&bare, "use_sockets = true", true, &["/ MainChannel"]),
        (&bare, "use_sockets = false", false, &[]),
        (&bare, "channels.'/' = {}", true, &["/ MainChannel"]),
        (&bare, "channels.'/' = { enabled = false }", false, &[]),
        (&unmounted, "", false, &[]),
        (&unmounted, "channels.'/a' = { driver = 'A' }", true, &["/ MainChannel", "/a A"]),
        (&unmounted, "channels.'/a' = { driver = 'A' }\nuse_sockets = false", false, &[]),
    ] {
        let plan = plan(registry, config, &DISCOVER).unwrap();
        assert_eq!((plan.sockets_on, mounted(&plan)), (on, expected.iter().map(|text| text.to_string()).collect()));
    }
}

#[test]
fn unknown_drivers_and_paths_are_told_with_place_and_nearest_name() {
    let config = "[channels]\n'/x' = { driver = 'Mainchanel' }\n'/ab' = { enabled = false }\n'/strange' = {}";
    refuses(
        &declared(),
        config,
        &DISCOVER,
        &[
            "configuration:3: channels.\"/ab\": no channel declares this path; did you mean `/a`?",
            "configuration:4: channels.\"/strange\": no channel declares this path. To mount one there",
            "configuration:2: channels.\"/x\".driver: there is no driver `Mainchanel`; linked are A, B, MainChannel; did you mean `MainChannel`? A channel",
        ],
    );
}

#[test]
fn mistakes_of_every_kind_are_told_together() {
    let needs: fn(&mut Needs) = |needs| {
        needs.state::<Database>();
        needs.state::<u8>();
    };
    let registry = registry(
        &[channel::<A>("A", Some("/a"), 1), channel::<B>("B", Some("/a"), 2)],
        &[needing::<B>("B", On::Any, 20, needs), handler::<B>("B", On::Any, 21)],
    );
    let options = PlanOptions { has_state: &|of| of == TypeId::of::<u8>(), ..DISCOVER };
    refuses(
        &registry,
        "channels.'/b' = { driver = 'B' }\nchannels.'/c' = { driver = 'C' }",
        &options,
        &[
            "two channels are at `/a`: `A` (src/test_rows.rs:1) and `B` (src/test_rows.rs:2)",
            "two handlers for #[on(any)]: `method` (src/test_rows.rs:20) and `method` (src/test_rows.rs:21)",
            "there is no driver `C`",
            // Once, for two mounts.
            "src/test_rows.rs:20: `B::method` takes `State<carolina_sockets::plan::tests::Database>`",
        ],
    );
}

#[test]
fn a_declared_path_is_checked_again() {
    let registry = registry(&[channel::<A>("A", Some("/a,b"), 1), private::<B>("B", Some("b"), 2)], &[]);
    refuses(
        &registry,
        "",
        &DISCOVER,
        &[
            "src/test_rows.rs:1: `A` is declared at \"/a,b\": a path has no `,` in it",
            "src/test_rows.rs:2: `B` is declared at \"b\": a path begins with `/`: write \"/b\"",
        ],
    );
    // What is declared is not mounted without discovery, so it is nobody's mistake.
    let by_hand = PlanOptions { discover: false, mounts: &[], has_state: &|_| true };
    assert!(plan(&registry, "", &by_hand).is_ok());
}

#[test]
fn channels_picked_by_hand() {
    let registry = declared();
    let (a, b) = (TypeId::of::<A>(), TypeId::of::<B>());
    let by_hand = |mounts: &[(TypeId, &'static str, String)], config: &str| {
        plan(&registry, config, &PlanOptions { discover: false, mounts, has_state: &|_| true })
    };
    let x = [(a, "A", "/x".to_owned())];
    assert_eq!(mounted(&by_hand(&x, "").unwrap()), ["/x A"]);
    assert_eq!(
        mounted(&by_hand(&[(a, "A", "/x".to_owned()), (b, "B", "/".to_owned())], "").unwrap()),
        ["/ B!", "/x A"]
    );
    assert!(!by_hand(&[], "").unwrap().sockets_on);
    // The configuration overrides explicit mounts.
    assert_eq!(mounted(&by_hand(&x, "channels.'/x' = { private = true }").unwrap()), ["/x A!"]);
    assert_eq!(mounted(&by_hand(&x, "channels.'/x' = { driver = 'B' }").unwrap()), ["/x B!"]);
    assert!(by_hand(&x, "channels.'/x' = { enabled = false }").unwrap().mounts.is_empty());
    // Without discovery, declared channels are not mounted; with discovery, explicit mounts replace them.
    let both = PlanOptions { mounts: &[(b, "B", "/a".to_owned())], ..DISCOVER };
    assert_eq!(mounted(&plan(&registry, "", &both).unwrap()), ["/ MainChannel", "/a B!"]);

    let problems = by_hand(
        &[
            (a, "A", "x".to_owned()),
            (a, "A", "/x".to_owned()),
            (b, "B", "/x".to_owned()),
            (a, "A", "/y".to_owned()),
            (a, "A", "/y".to_owned()),
            (TypeId::of::<()>(), "Unit", "/z".to_owned()),
        ],
        "",
    )
    .unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems[0].contains("`mount::<A>(\"x\")`: a path begins with `/`"), "{problems:#?}");
    assert!(problems[1].contains("`mount::<B>(\"/x\")`: `A` is mounted there already"), "{problems:#?}");
    assert!(problems[2].contains("is not linked"), "{problems:#?}");
}

#[test]
fn a_programs_other_channels_do_not_hinder_those_picked_by_hand() {
    struct C;
    let registry = registry(
        &[channel::<A>("A", Some("/x"), 1), channel::<B>("Twin", Some("/x"), 2), channel::<C>("Twin", None, 3)],
        &[handler::<B>("Twin", On::Any, 20), handler::<B>("Twin", On::Any, 21)],
    );
    let a = [(TypeId::of::<A>(), "A", "/a".to_owned())];
    let options = PlanOptions { discover: false, mounts: &a, has_state: &|_| true };
    assert_eq!(mounted(&plan(&registry, "", &options).unwrap()), ["/a A"]);
    // An ambiguous driver name is an error, and conflicting handlers conflict wherever they are mounted.
    refuses(
        &registry,
        "channels.'/t' = { driver = 'Twin' }\nchannels.'/u' = { driver = 'Twin' }",
        &options,
        &["two drivers are called `Twin`: src/test_rows.rs:2 and src/test_rows.rs:3", "two handlers for #[on(any)]"],
    );
}

#[test]
fn the_table_shows_paths_drivers_and_events() {
    let handlers = [handler::<A>("A", On::Events(&["b", "a"]), 3), handler::<A>("A", On::Any, 4)];
    let registry = registry(&[channel::<A>("A", Some("/a"), 1), private::<B>("B", Some("/b"), 2)], &handlers);
    let plan = Plan::make(&registry, &Config::default(), &DISCOVER).unwrap();
    let table = Table(plan.mounts.iter().collect()).to_string();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["channel", "driver", "events"]);
    assert_eq!(lines[1], ["/", "MainChannel", "-"]);
    assert_eq!(lines[2], ["/a", "A", "b,", "a,", "(any", "other)"]);
    assert_eq!(lines[3], ["/b", "(private)", "B", "-"]);
    assert_eq!(Table(Vec::new()).to_string(), "web sockets are off");
}
