//! How values are written into packets and read from them: what socketioxide's own reader and writer do not do, or do
//! differently from what JSON has.

mod attachments;
mod read;
mod write;

pub(crate) use read::{from_text, read};
pub(crate) use write::{Answer, Payload};
