//! Readers of input that anybody can send, run on whatever comes: for `FUZZ_SECONDS` each, or for a moment.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::engine::fuzz;

/// Runs a test on generated values for a while.
fn for_a_while<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0.2);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
    while Instant::now() < until {
        if let Err(error) = runner.run(strategy, &test) {
            panic!("{error}");
        }
    }
}

/// Text that is much like a packet, and now and then not.
fn packet_text() -> impl Strategy<Value = String> {
    let json = prop_oneof![
        Just("null".to_owned()),
        Just("{\"_placeholder\":true,\"num\":0}".to_owned()),
        Just("{\"_placeholder\":true,\"num\":-1}".to_owned()),
        Just("[[[[[[".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        ".{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap_or_default()),
        ".{0,20}",
    ];
    let array = proptest::collection::vec(json, 0..6).prop_map(|values| format!("[{}]", values.join(",")));
    prop_oneof![3 => array, 1 => ".{0,60}"]
}

#[test]
fn r15_frames_are_followed_alike_in_whatever_pieces_they_come() {
    let bytes =
        proptest::collection::vec(prop_oneof![Just(0x81_u8), Just(0x82), Just(0xfe), Just(0xff), any::<u8>()], 0..400);
    for_a_while(&(bytes, 1..50_usize), |(bytes, size)| {
        prop_assert_eq!(fuzz::follow(&bytes, bytes.len().max(1)), fuzz::follow(&bytes, size));
        Ok(())
    });
}

#[test]
fn r15_polling_bodies_are_read_or_refused() {
    let part = prop_oneof![
        Just(b"\x1e".to_vec()),
        Just(b"b".to_vec()),
        Just(b"4".to_vec()),
        Just(b"1".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    let body = proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
    for_a_while(&body, |body| {
        if let Some(frames) = fuzz::polling_frames(&body) {
            prop_assert!(!frames.is_empty(), "a body that is accepted has packets");
        }
        Ok(())
    });
}

#[test]
fn r15_packets_are_read_or_refused() {
    let attachments = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..3);
    for_a_while(&(packet_text(), attachments), |(text, attachments)| {
        let attachments: VecDeque<Bytes> = attachments.into_iter().map(Bytes::from).collect();
        for error in fuzz::read(&text, &attachments) {
            prop_assert_eq!(error.code(), "invalid_payload");
        }
        Ok(())
    });
}

#[test]
fn r15_configurations_are_read_or_refused() {
    let key = prop_oneof![
        Just("bind".to_owned()),
        Just("[channels]\n\"/a\"".to_owned()),
        Just("[limits]\nmax_payload".to_owned()),
        Just("[session]\nsecret".to_owned()),
        Just("[transport]\nping_interval".to_owned()),
        "[a-z_.\\[\\]\"]{1,12}",
    ];
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("{ driver = 1 }".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        ".{0,20}".prop_map(|text| format!("{text:?}")),
        ".{0,20}",
    ];
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    let text = proptest::collection::vec(line, 0..6).prop_map(|lines| lines.concat());
    for_a_while(&text, |text| {
        if let Err(error) = crate::Config::from_toml(&text, "fuzzed.toml") {
            prop_assert!(error.to_string().contains("fuzzed.toml"), "{error} does not name the file");
        }
        Ok(())
    });
}
