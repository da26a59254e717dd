//! R18: a client that asks for paths which it is not let in to leaves nothing behind. Alone in its program, as it measures memory.

use carolina_sockets::{prelude::*, testing::TestService};
use carolina_sockets_tests::{by_hand, until, wire::RawSocket};

/// Nobody but on number 0.
#[channel("/guarded/{n}", presence)]
#[derive(Default)]
struct Guarded;

#[channel]
impl Guarded {
    #[on(authorize)]
    async fn may(&self, Path(n): Path<u64>) -> bool {
        tokio::task::yield_now().await;
        n == 0
    }

    #[on("where")]
    fn place(&self, Path(n): Path<u64>) -> u64 {
        n
    }
}

const CONNECTIONS: usize = 4;
/// Less than `limits.channels_per_connection`.
const AT_A_TIME: usize = 50;

/// One connection asks for so many paths, half of which do not read as the parameter, and reads the refusals.
async fn ask(socket: &mut RawSocket, first: usize, count: usize) {
    for begin in (first..first + count).step_by(AT_A_TIME) {
        for number in begin..begin + AT_A_TIME {
            let letters = if number % 2 == 0 { "" } else { "x" };
            assert!(socket.send(&format!("40/guarded/{}{letters},", number + 1)).await, "the connection lives");
        }
        for _ in 0..AT_A_TIME {
            let answer = socket.expect("44").await;
            assert!(answer.starts_with("44/guarded/"), "{answer}");
            assert!(answer.contains("forbidden") || answer.contains("invalid_path"), "{answer}");
        }
    }
}

async fn ask_all(sockets: Vec<RawSocket>, first: usize, count: usize) -> Vec<RawSocket> {
    let each = count / CONNECTIONS;
    let asking = sockets.into_iter().enumerate().map(|(at, mut socket)| {
        tokio::spawn(async move {
            ask(&mut socket, first + at * each, each).await;
            socket
        })
    });
    let asked = futures_util::future::join_all(asking.collect::<Vec<_>>()).await;
    asked.into_iter().map(|socket| socket.expect("each is answered")).collect()
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_hundred_thousand_refused_paths_leave_nothing() {
    let builder = by_hand().mount::<Guarded>("/guarded/{n}");
    let service = TestService::of(builder.build().await.unwrap()).listen().await.unwrap();
    let all = service.sockets().of::<Guarded>().unwrap();
    let mut sockets = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut socket = RawSocket::open_fast(&service.url()).await;
        socket.also_join("/guarded/0").await;
        sockets.push(socket);
    }
    let sockets = ask_all(sockets, 0, 20_000).await;
    let before = resident();
    let mut sockets = ask_all(sockets, 20_000, 80_000).await;
    // 50 bytes kept for each would be more.
    assert!(resident().saturating_sub(before) < 4_000_000, "{} bytes more", resident().saturating_sub(before));
    assert_eq!((all.instances(), all.sockets().await.unwrap().len()), (1, CONNECTIONS));
    assert_eq!(service.sockets().connections(), CONNECTIONS);
    for number in [1, 2, 99_999] {
        let handle = all.at(number);
        assert_eq!(handle.sockets().await.unwrap().len(), 0);
        assert_eq!(handle.presence().list::<serde_json::Value>().await.unwrap(), []);
    }
    // The connections have as many channels left as before, and work.
    for socket in &mut sockets {
        socket.send("42/guarded/0,7[\"where\"]").await;
        assert_eq!(socket.expect("43").await, "43/guarded/0,7[0]");
    }
    drop(sockets);
    until("all are gone", || all.instances() == 0 && service.sockets().connections() == 0).await;
}
