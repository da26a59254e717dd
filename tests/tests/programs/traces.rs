//! Traces, as a collector gets them (rule R26).

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use carolina_sockets_tests::{
    DEADLINE,
    process::Folder,
    program::{self, certificate},
    until,
    wire::RawSocket,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use tokio::{net::TcpListener, process::Command, sync::mpsc};

/// A span, and what it is of.
type Received = (Resource, Span);

/// What a collector answers, and what it is sent.
fn routes() -> (Router, mpsc::UnboundedReceiver<Received>) {
    let (sender, received) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Received>>, body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).expect("it is OTLP");
        for of in request.resource_spans {
            let resource = of.resource.expect("the spans are of a resource");
            for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                sender.send((resource.clone(), span)).expect("the test is there");
            }
        }
    };
    (Router::new().route("/v1/traces", post(take)).with_state(sender), received)
}

/// A collector: its URL, and what it is sent.
async fn collector() -> (String, mpsc::UnboundedReceiver<Received>) {
    let (router, received) = routes();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, received)
}

/// One that speaks TLS, with a certificate by `ca.pem`.
async fn collector_with_tls() -> (String, mpsc::UnboundedReceiver<Received>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (router, received) = routes();
    let tls = RustlsConfig::from_pem_file(certificate("server.pem"), certificate("server.key")).await.unwrap();
    let handle = Handle::new();
    let server = axum_server::bind_rustls(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls).handle(handle.clone());
    tokio::spawn(server.serve(router.into_make_service()));
    let address = tokio::time::timeout(DEADLINE, handle.listening()).await.unwrap().unwrap();
    (format!("https://{address}"), received)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
    match value {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Asks a server to end, and waits until it has.
async fn end(server: &mut program::Application) {
    let pid = server.process.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let status = tokio::time::timeout(DEADLINE, server.process.wait()).await.expect("it ends").unwrap();
    assert!(status.success(), "{status}");
}

const CONNECT: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
const EVENT: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");

#[tokio::test]
async fn r26_each_event_is_a_span_and_the_clients_span_its_parent() {
    let (url, mut received) = collector().await;
    let mut command = Command::new(program::path("quickstart"));
    // All of them are sent when the service ends, and none before.
    command.env("CAROLINA_OTLP__ENDPOINT", url).env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut server = program::start(&mut command).await;
    let traceparent = |(trace, span): (&str, &str)| format!("00-{trace}-{span}-01");
    let answers = program::node("traces.mjs", &[&server.url, &traceparent(CONNECT), &traceparent(EVENT)]).await;
    assert_eq!(answers.matches('{').count() + answers.matches("null").count(), 3, "{answers}");
    let mut other = RawSocket::join(&server.url, "/custom").await;
    other.send(r#"42/custom,1["no-such-event"]"#).await;
    other.expect("43/custom,1").await;
    end(&mut server).await;

    let mut all = Vec::new();
    while let Ok(span) = received.try_recv() {
        all.push(span);
    }
    let named = |name: &str| all.iter().filter(|(_, span)| span.name == name).collect::<Vec<_>>();
    let connections = named("/custom connection");
    let traced = connections.iter().find(|(_, span)| hex(&span.trace_id) == CONNECT.0);
    let (resource, connection) = traced.unwrap_or_else(|| panic!("{all:#?}"));
    assert_eq!(hex(&connection.parent_span_id), CONNECT.1);
    assert_eq!(
        attribute(&connection.attributes, "carolina.reason"),
        Some("the client left the channel"),
        "{connection:#?}"
    );
    assert_eq!(attribute(&resource.attributes, "service.name"), Some("quickstart"));
    assert_eq!(connections.len(), 2, "{all:#?}");

    let events = named("/custom checkin");
    assert_eq!(events.len(), 3, "one for each: {all:#?}");
    let (with, without): (Vec<_>, Vec<_>) =
        events.iter().copied().partition(|(_, span)| hex(&span.trace_id) == EVENT.0);
    assert_eq!((with.len(), without.len()), (2, 1), "{all:#?}");
    assert!(with.iter().all(|(_, span)| hex(&span.parent_span_id) == EVENT.1), "{all:#?}");
    assert!(without.iter().all(|(_, span)| span.parent_span_id.is_empty()), "{all:#?}");
    for (_, span) in events {
        assert_eq!(span.links.len(), 1, "{span:#?}");
        assert_eq!(span.links[0].span_id, connection.span_id, "{span:#?}");
        for (key, value) in [
            ("messaging.system", "socket.io"),
            ("messaging.operation.type", "process"),
            ("messaging.operation.name", "process"),
            ("messaging.destination.name", "/custom"),
            ("carolina.event", "checkin"),
        ] {
            assert_eq!(attribute(&span.attributes, key), Some(value), "{span:#?}");
        }
    }
}

#[tokio::test]
async fn r26_a_collector_by_https_is_sent_traces_if_its_certificate_is_trusted() {
    for (variable, authority, trusted) in [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem", true),
        // The system's.
        ("SSL_CERT_FILE", "ca.pem", true),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "renewed-ca.pem", false),
    ] {
        let (url, mut received) = collector_with_tls().await;
        let folder = Folder::new();
        let log = folder.path().join("log");
        let mut command = Command::new(program::path("quickstart"));
        command.env("CAROLINA_OTLP__ENDPOINT", &url).env("OTEL_BSP_SCHEDULE_DELAY", "100").env("RUST_LOG", "info");
        command
            .env_remove("SSL_CERT_DIR")
            .env(variable, certificate(authority))
            .stderr(std::fs::File::create(&log).unwrap());
        let mut server = program::start(&mut command).await;
        let mut client = RawSocket::join(&server.url, "/custom").await;
        client.send(r#"42/custom,1["checkin",{"desk":"a"}]"#).await;
        client.expect("43/custom,1").await;
        if trusted {
            let first = tokio::time::timeout(DEADLINE, received.recv()).await;
            assert_eq!(first.expect("it is sent").expect("the collector runs").1.name, "/custom checkin");
        } else {
            let logged = || std::fs::read_to_string(&log).unwrap_or_default();
            until("the log has the reason", || logged().contains("traces do not reach the collector")).await;
            assert!(logged().contains("invalid peer certificate"), "{}", logged());
        }
        end(&mut server).await;
        assert!(trusted || received.try_recv().is_err(), "{variable} {authority}");
    }
}

/// What a service says that does not start, with this collector.
async fn refused(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(program::path("quickstart"));
    command.env("CAROLINA_BIND", "127.0.0.1:0").env_remove("SSL_CERT_DIR").envs(variables.iter().copied());
    let ended = command.stdout(Stdio::null()).kill_on_drop(true).output();
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends").unwrap();
    assert!(!ended.status.success());
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[tokio::test]
async fn r26_without_a_collector_that_can_be_used_the_service_says_what_to_do() {
    let said = refused(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector.example")]).await;
    assert!(
        said.contains("OTEL_EXPORTER_OTLP_ENDPOINT is not a URL that begins with `http://` or `https://`"),
        "{said}"
    );
    let https = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example");
    let said = refused(&[https, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/none.pem")]).await;
    assert!(said.contains("OTEL_EXPORTER_OTLP_CERTIFICATE: `/none.pem` is not a PEM file of certificates"), "{said}");
    let said = refused(&[https, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null")]).await;
    assert!(said.contains("OTEL_EXPORTER_OTLP_CERTIFICATE: `/dev/null` holds no certificate"), "{said}");
    let said = refused(&[https, ("SSL_CERT_FILE", "/dev/null")]).await;
    assert!(said.contains("there are no certificates of authorities on this system"), "{said}");
}
