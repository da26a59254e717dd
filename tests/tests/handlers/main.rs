//! Handlers: what runs before them, what they take and return, and what they may emit.

mod guards;
mod reserved;
mod shapes;
mod socket_data;
mod valid;
