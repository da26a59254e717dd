/// Waits for an event of a test client and checks that its data matches a pattern. Returns the data.
///
/// The pattern is one of the type that the data reads as, with a condition behind `if` where needed. A literal alone is compared with what the
/// event has, so that a text can be written as one.
///
/// ```
/// # use carolina_sockets::{Sockets, prelude::*, testing::{TestService, assert_emitted}};
/// # #[channel("/map")]
/// # #[derive(Default)]
/// # struct Map;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TestService::start(Sockets::builder().discover(false).mount::<Map>("/map")).await?;
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Position { x: f64, y: f64, name: String }
///
/// let mut client = service.connect("/map").await?;
/// let map = service.sockets().channel("/map")?;
/// map.emit("moved", Position { x: 1.0, y: 2.5, name: "Ada".into() }).await?;
/// map.emit("moved", Position { x: 1.0, y: 3.5, name: "Ada".into() }).await?;
/// map.emit("title", "a map").await?;
///
/// assert_emitted!(client, "moved", Position { x: 1.0, .. });
/// let moved = assert_emitted!(client, "moved", Position { y, name, .. } if *y > 3.0 && name == "Ada");
/// assert_eq!(moved.x, 1.0);
/// assert_emitted!(client, "title", "a map");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// When the event does not come, or its data does not match.
#[macro_export]
macro_rules! assert_emitted {
    ($client:expr, $event:expr, $literal:literal $(,)?) => {
        $crate::testing::__equal($client.expect($event).await, $event, &$literal)
    };
    ($client:expr, $event:expr, $pattern:pat $(if $condition:expr)? $(,)?) => {
        match $client.expect($event).await {
            Ok(data) => {
                if !::core::matches!(&data, $pattern $(if $condition)?) {
                    ::core::panic!(
                        "`{}` came with {:?}, which does not match `{}`",
                        $event, data, ::core::stringify!($pattern $(if $condition)?),
                    );
                }
                data
            }
            Err(error) => ::core::panic!("`{}`: {error}", $event),
        }
    };
}

/// Waits for an emit to several clients, whether or not any is connected, and checks that its data matches a pattern. Returns the
/// [`Emitted`](crate::testing::Emitted).
///
/// Patterns are those of [`assert_emitted!`](crate::testing::assert_emitted);
/// [`TestService::expect_broadcast`](crate::testing::TestService::expect_broadcast) says what is an emit.
///
/// ```
/// # use carolina_sockets::{Sockets, prelude::*, testing::{TestService, assert_broadcast}};
/// # #[channel("/map")]
/// # #[derive(Default)]
/// # struct Map;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TestService::start(Sockets::builder().discover(false).mount::<Map>("/map")).await?;
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Position { x: f64, y: f64 }
///
/// service.sockets().channel("/map")?.to("walkers").emit("moved", Position { x: 1.0, y: 2.5 }).await?;
///
/// let moved = assert_broadcast!(service, "/map", "moved", Position { x: 1.0, .. });
/// assert_eq!(moved.to, ["walkers"]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// When there is no such emit, or its data does not match.
#[macro_export]
macro_rules! assert_broadcast {
    ($service:expr, $channel:expr, $event:expr, $literal:literal $(,)?) => {
        $crate::testing::__equal_emitted($service.expect_broadcast($channel, $event).await, $event, &$literal)
    };
    ($service:expr, $channel:expr, $event:expr, $pattern:pat $(if $condition:expr)? $(,)?) => {
        match $service.expect_broadcast($channel, $event).await {
            Ok(emitted) => {
                if !::core::matches!(&emitted.data, $pattern $(if $condition)?) {
                    ::core::panic!(
                        "`{}` was emitted on `{}` with {:?}, which does not match `{}`",
                        $event, $channel, emitted.data, ::core::stringify!($pattern $(if $condition)?),
                    );
                }
                emitted
            }
            Err(error) => ::core::panic!("`{}` on `{}`: {error}", $event, $channel),
        }
    };
}

pub use {assert_broadcast, assert_emitted};
