//! Channels in a crate of their own. Whoever wants them writes `use plugin_one as _;`.

use carolina_sockets::prelude::*;

/// Has a namesake in the other plugin.
#[channel("/twin/one")]
#[derive(Debug, Default)]
pub struct Twin;

#[channel]
impl Twin {
    /// Says which one answers.
    #[on("who")]
    pub fn who(&self) -> &'static str {
        "one"
    }
}

/// Is alone of its name.
#[channel("/plugin")]
#[derive(Debug, Default)]
pub struct Plugin;

#[channel]
impl Plugin {
    /// Answers.
    #[on("ping")]
    pub fn ping(&self) -> &'static str {
        "pong"
    }
}
