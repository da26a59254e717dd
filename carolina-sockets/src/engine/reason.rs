use std::fmt;

/// Why a socket has left its channel: an extractor of `#[on(disconnect)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The connection was closed by the client or the network.
    TransportClose,
    /// The connection broke.
    TransportError,
    /// The client sent two polling requests at the same time.
    MultipleHttpPolling,
    /// The client sent something that is not Socket.IO.
    InvalidPacket,
    /// The client did not answer a ping within `transport.ping_timeout` (20 s by default).
    HeartbeatTimeout,
    /// The client left the channel and may still be on others.
    ClientLeft,
    /// The client sent a message beyond `limits.max_payload` or `limits.max_attachments` which could not be answered: not an event, or far
    /// too large.
    PayloadTooLarge,
    /// The server took the socket off the channel: by [`Socket::disconnect`](crate::Socket::disconnect) or
    /// [`Sockets::disconnect_user`](crate::Sockets::disconnect_user), or because it may no longer be there (rule R11).
    ServerDisconnect,
    /// The server is shutting down.
    ServerShutdown,
    /// The client did not read what it was sent within `limits.send_timeout`, 5 s by default (rule R9).
    SlowReader,
    /// The client exceeded its limits so far that the refusals no longer fitted into their queue.
    Flooding,
    /// The session behind the socket goes on under another id, which only the browser that logged in knows. The client
    /// connects again by itself, with the cookie that it has then.
    SessionRenewed,
    /// The user logged out, or the session ended or expired, and without a user the socket may not be on the channel.
    LoggedOut,
    /// The session has another user or holds something else, with which the socket may not be on the channel.
    NotAuthorized,
}

impl DisconnectReason {
    pub(super) fn from_engine(reason: socketioxide::socket::DisconnectReason) -> Self {
        use socketioxide::socket::DisconnectReason as Raw;
        match reason {
            Raw::TransportClose => Self::TransportClose,
            Raw::TransportError => Self::TransportError,
            Raw::MultipleHttpPollingError => Self::MultipleHttpPolling,
            Raw::PacketParsingError => Self::InvalidPacket,
            Raw::HeartbeatTimeout => Self::HeartbeatTimeout,
            Raw::ClientNSDisconnect => Self::ClientLeft,
            Raw::ServerNSDisconnect => Self::ServerDisconnect,
            Raw::ClosingServer => Self::ServerShutdown,
        }
    }

    /// Its name in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::TransportClose => "transport_close",
            Self::TransportError => "transport_error",
            Self::MultipleHttpPolling => "multiple_http_polling",
            Self::InvalidPacket => "invalid_packet",
            Self::HeartbeatTimeout => "heartbeat_timeout",
            Self::PayloadTooLarge => "payload_too_large",
            Self::ClientLeft => "client_left",
            Self::ServerDisconnect => "server_disconnect",
            Self::ServerShutdown => "server_shutdown",
            Self::SlowReader => "slow_reader",
            Self::Flooding => "flooding",
            Self::SessionRenewed => "session_renewed",
            Self::LoggedOut => "logged_out",
            Self::NotAuthorized => "not_authorized",
        }
    }

    /// Whether the connection broke or was cut, in place of being closed in an orderly way.
    pub(crate) fn is_connection_lost(self) -> bool {
        match self {
            Self::TransportError
            | Self::MultipleHttpPolling
            | Self::InvalidPacket
            | Self::HeartbeatTimeout
            | Self::PayloadTooLarge
            | Self::SlowReader
            | Self::Flooding
            | Self::SessionRenewed => true,
            Self::TransportClose
            | Self::ClientLeft
            | Self::ServerDisconnect
            | Self::ServerShutdown
            | Self::LoggedOut
            | Self::NotAuthorized => false,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TransportClose => "the client closed the connection",
            Self::TransportError => "the connection broke",
            Self::MultipleHttpPolling => "the client sent two polling requests at once",
            Self::InvalidPacket => "the client sent an invalid packet",
            Self::HeartbeatTimeout => "the client did not answer a ping in time",
            Self::PayloadTooLarge => "the client sent a message that is too large",
            Self::ClientLeft => "the client left the channel",
            Self::ServerDisconnect => "the server disconnected the socket",
            Self::ServerShutdown => "the server is shutting down",
            Self::SlowReader => "the client did not read what it was sent",
            Self::Flooding => "the client sent more than could be answered",
            Self::SessionRenewed => "the session was renewed",
            Self::LoggedOut => "the user logged out",
            Self::NotAuthorized => "the session may no longer be on the channel",
        })
    }
}
