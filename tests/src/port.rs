//! Ports that stay with their test.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port of the loopback address that is kept for a server, also while the server is away.
///
/// A socket is bound to it that never listens. Linux lets a server bind the same port meanwhile, as both set `SO_REUSEADDR`,
/// but gives the port to nobody who asks for a free one and to no outgoing connection.
#[derive(Debug)]
pub struct Port(TcpSocket);

impl Port {
    /// Takes a free one.
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("SO_REUSEADDR");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        Self(socket)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.0.local_addr().expect("its address").port()
    }
}
