//! R11, R16 and R17 on nodes that are processes of their own, over a real Redis and a real PostgreSQL.

mod admin;
mod balancer;
mod connections;
mod emitting;
mod garbage;
mod listing;
mod membership;
mod nginx;
mod outage;
mod presence;
mod publishing;
mod rolling;
mod sessions;
mod tls;
mod unreachable;
mod worker;

use carolina_sockets_tests::{
    nodes::Node,
    servers::{Postgres, Redis, Server},
};

fn redis() -> Server {
    Server::Redis(Redis::start())
}

fn postgres() -> Server {
    Server::Postgres(Postgres::start())
}

fn three(server: &Server) -> [Node; 3] {
    std::array::from_fn(|_| Node::start(&server.url()))
}
