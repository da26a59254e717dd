//! The rules of one service, R5 to R14, and R16: that they hold with each backplane. Rules that need a process of their own have
//! their own programs.

mod answers;
mod coming_back;
mod desk;
mod early;
mod emitting;
mod extractors;
mod failures;
mod feed;
mod identifying;
mod large_messages;
mod limits;
mod lobby;
mod order;
mod origins;
mod over_backplanes;
mod private;
mod session_changes;
mod session_store;
mod shutdown;
mod slow_readers;
mod timeouts;
