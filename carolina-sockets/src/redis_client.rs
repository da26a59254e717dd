//! The Redis client that the backplane and the session store connect with.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisResult, aio::MultiplexedConnection};
use rustls::crypto::{CryptoProvider, ring};

/// A client for `redis://…` or `rediss://…`. It has no connection yet.
pub(crate) fn client(url: &str) -> RedisResult<Client> {
    let client = Client::open(url)?;
    // The client uses rustls with the provider of the process, and rustls panics if none is set and it cannot choose one.
    // One that the application has set stays.
    if matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
        && CryptoProvider::get_default().is_none()
    {
        let _ = ring::default_provider().install_default();
    }
    Ok(client)
}

/// Connects, and makes sure that commands are accepted: a server that asks for a password refuses the first command only.
/// No more than `buffered` commands should wait for an answer at once.
pub(crate) async fn connect(
    client: &Client,
    connect_timeout: Duration,
    command_timeout: Duration,
    buffered: usize,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_timeout))
        .set_response_timeout(Some(command_timeout))
        .set_pipeline_buffer_size(buffered);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("PING").exec_async(&mut connection).await?;
    Ok(connection)
}
