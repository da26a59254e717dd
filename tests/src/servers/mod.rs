//! Real servers for tests: each at a port of its own, with its data in a folder of its own, ended by its id when the test
//! ends.

mod postgres;
mod redis;

pub use postgres::Postgres;
pub use redis::Redis;

/// A server between nodes.
#[derive(Debug)]
pub enum Server {
    /// A Redis.
    Redis(Redis),
    /// A PostgreSQL.
    Postgres(Postgres),
}

impl Server {
    /// Its URL.
    pub fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(),
            Self::Postgres(postgres) => postgres.url(),
        }
    }

    /// Stops it; its data stay.
    pub fn stop(&mut self) {
        match self {
            Self::Redis(redis) => redis.stop(),
            Self::Postgres(postgres) => postgres.stop(),
        }
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        match self {
            Self::Redis(redis) => redis.run(),
            Self::Postgres(postgres) => postgres.run(),
        }
    }
}
