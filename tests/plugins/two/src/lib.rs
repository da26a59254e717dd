//! Clashes with the other plugin wherever it can.

use carolina_sockets::prelude::*;

/// Has a namesake in the other plugin.
#[channel("/twin/two")]
#[derive(Debug, Default)]
pub struct Twin;

/// Claims the path of another channel.
#[channel("/plugin")]
#[derive(Debug, Default)]
pub struct Squatter;

#[channel]
impl Squatter {
    /// The first handler for `a`.
    #[on("a")]
    pub fn first(&self) {}
}

#[channel]
impl Squatter {
    /// The second, in another block.
    #[on("a")]
    pub fn second(&self, _: State<Missing>) {}
}

/// Nobody provides it.
#[derive(Debug)]
pub struct Missing;
