//! What the benchmark's programs share: the events that every server under measurement answers, how a measurement is
//! written down, and what Linux tells about a process.

pub mod contract;
pub mod process;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one measurement found, by name. Units are part of the name: `cpu_us_per_message`.
pub type Metrics = BTreeMap<String, f64>;

/// One measurement: a line of the output.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// What was done, as `echo_64`.
    pub workload: String,
    /// Who answered, as `raw`.
    pub server: String,
    /// Which repetition, from 1.
    pub run: u32,
    /// What was found.
    pub metrics: Metrics,
}
