use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use socketioxide::{ParserConfig, ProtocolVersion, SocketIo, SocketIoBuilder, TransportType, service::SocketIoService};
use tower_service::Service;

use crate::{
    backplane::{Backplane, BackplaneState, RawSocket},
    config::{Config, Transport},
};

/// socketioxide, set up by our configuration.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) io: SocketIo<Backplane>,
    pub(crate) service: EngineService,
    path: String,
}

/// Made once and cloned: each layering would make an engine of its own.
pub(crate) type EngineService = SocketIoService<NotFound, Backplane>;

impl Engine {
    pub(crate) fn new(config: &Config, state: BackplaneState) -> Self {
        let limits = &config.limits;
        let payload = usize::try_from(limits.max_payload).unwrap_or(usize::MAX);
        let parser = ParserConfig::common()
            .max_incoming_binaries(limits.max_attachments)
            .max_incoming_binary_buf_size(payload)
            .packet_completion_timeout(limits.connect_timeout);
        let builder = SocketIoBuilder::new()
            .with_parser(parser)
            .req_path(config.transport.path.clone())
            .ping_interval(config.transport.ping_interval)
            .ping_timeout(config.transport.ping_timeout)
            .connect_timeout(limits.connect_timeout)
            .ack_timeout(crate::socket::ACK_TIMEOUT)
            .max_buffer_size(limits.send_buffer)
            .max_payload(limits.max_payload)
            .ws_max_message_size(payload)
            .ws_max_frame_size(payload)
            // The buffer is kept per connection; larger ones make no difference that was measurable.
            .ws_read_buffer_size(128);
        let has = |transport| config.transport.transports.contains(&transport);
        let builder = match (has(Transport::Polling), has(Transport::Websocket)) {
            (true, false) => builder.transports([TransportType::Polling]),
            (false, true) => builder.transports([TransportType::Websocket]),
            _ => builder,
        };
        let (service, io) = builder.with_adapter::<Backplane>(state).build_with_inner_svc(NotFound);
        Self { io, service, path: config.transport.path.clone() }
    }

    /// Ends a polling client's session, by the packet with which the client would: there is no stream to be cut.
    pub(crate) fn close_polling(&self, raw: &RawSocket) {
        let (version, close) = match raw.protocol() {
            ProtocolVersion::V5 => (4, "1"),
            _ => (3, "1:1"),
        };
        let uri = format!("{}/?EIO={version}&transport=polling&sid={}", self.path, raw.id);
        let mut request = Request::new(Body::from(close));
        *request.method_mut() = Method::POST;
        match uri.parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return tracing::error!(%error, uri, "a session could not be ended"),
        }
        let mut service = self.service.clone();
        tokio::spawn(async move { service.call(request).await });
    }
}

/// Stands behind the engine; our layer passes it no other requests.
#[derive(Clone, Debug)]
pub(crate) struct NotFound;

impl Service<Request<Body>> for NotFound {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(super::layer::status(StatusCode::NOT_FOUND)))
    }
}

impl From<TransportType> for Transport {
    fn from(transport: TransportType) -> Self {
        match transport {
            TransportType::Polling => Self::Polling,
            TransportType::Websocket => Self::Websocket,
        }
    }
}
