//! The contract as a user of the library would write it. The runner raises limits through `CAROLINA_…` variables.

use carolina_bench::contract::{News, ROOMS, room};
use carolina_sockets::prelude::*;

/// Everybody.
#[channel("/")]
#[derive(Default)]
struct BenchChannel {
    handled: AtomicU64,
}

#[channel]
impl BenchChannel {
    #[on("echo")]
    async fn echo(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("numbered")]
    async fn numbered(&self, Data(_): Data<u64>) -> u64 {
        self.handled.fetch_add(1, Relaxed)
    }

    #[on("join")]
    async fn join(&self, socket: Socket, Data(number): Data<usize>) -> usize {
        socket.join(room(number));
        number
    }

    #[on("broadcast")]
    async fn broadcast(&self, sockets: Sockets, Data(news): Data<News>) -> Result<usize, EventError> {
        Ok(sockets.of::<Self>()?.emit("news", &news).await?.missed())
    }

    #[on("publish")]
    async fn publish(&self, sockets: Sockets, Data(news): Data<News>) -> Result<usize, EventError> {
        let rooms: Vec<String> = (0..ROOMS).map(room).collect();
        Ok(sockets.of::<Self>()?.to(rooms).emit("news", &news).await?.missed())
    }

    #[on("typing")]
    async fn typing(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("read")]
    async fn read(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("edit")]
    async fn edit(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("delete")]
    async fn delete(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("react")]
    async fn react(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("pin")]
    async fn pin(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("unpin")]
    async fn unpin(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("mute")]
    async fn mute(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("unmute")]
    async fn unmute(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("invite")]
    async fn invite(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("accept")]
    async fn accept(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("decline")]
    async fn decline(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("search")]
    async fn search(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("profile")]
    async fn profile(&self, Data(text): Data<String>) -> String {
        text
    }

    #[on("status")]
    async fn status(&self, Data(text): Data<String>) -> String {
        text
    }
}

/// One of those that are compared with each other: a path without parameters.
#[channel("/plain")]
#[derive(Default)]
struct PlainChannel;

#[channel]
impl PlainChannel {
    #[on("echo")]
    async fn echo(&self, Data(text): Data<String>) -> String {
        text
    }
}

/// The other: a path with one.
#[channel("/echo/{number}")]
#[derive(Default)]
struct NumberedChannel;

#[channel]
impl NumberedChannel {
    #[on("echo")]
    async fn echo(&self, Data(text): Data<String>) -> String {
        text
    }
}

/// Each client is listed under a key of its own.
#[channel("/here", presence)]
#[derive(Default)]
struct HereChannel {
    count: AtomicU64,
}

#[derive(Deserialize, Serialize)]
struct Viewer {
    name: String,
    typing: bool,
}

#[channel]
impl HereChannel {
    #[on(connect)]
    async fn connect(&self, presence: Presence<Viewer>) -> Result<(), EventError> {
        let number = self.count.fetch_add(1, Relaxed);
        presence.track(format!("user-{number:05}"), &Viewer { name: "Ada".to_owned(), typing: false }).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    carolina_sockets::serve().await
}
