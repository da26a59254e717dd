//! Official clients, and the examples as their users run them.

mod check;
mod commands;
mod dashboard;
mod deploy;
mod drain;
mod front_end;
mod login;
mod metrics;
mod official_client;
mod quickstart;
#[cfg(unix)]
mod systemd;
mod tls;
mod traces;
