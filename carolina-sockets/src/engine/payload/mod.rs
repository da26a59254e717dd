//! Writes values into packets and reads them, where socketioxide's own reader and writer are missing something or
//! differ from JSON.

mod attachments;
mod binary;
mod read;
mod write;

pub(crate) use read::{from_text, read};
pub(crate) use write::{Answer, Payload, size};
