//! smoke
use carolina_sockets::{Sockets, prelude::*, testing::TestService};

#[channel("/desk")]
#[derive(Default)]
struct Desk {
    n: AtomicU64,
}
#[derive(Debug, Deserialize)]
struct Checkin {
    desk: String,
}

#[channel]
impl Desk {
    #[on("checkin")]
    async fn checkin(&self, socket: Socket, Data(c): Data<Checkin>) -> Result<(u64, String), EventError> {
        socket.emit("welcome", &c.desk).await?;
        Ok((self.n.fetch_add(1, Relaxed), c.desk))
    }
    #[on("fail")]
    fn fail(&self) -> Result<(), EventError> {
        Err(EventError::new("sold_out", "none left"))
    }
    #[on("boom")]
    fn boom(&self) -> u8 {
        panic!("boom")
    }
    #[on("slow", timeout = "50ms")]
    async fn slow(&self) {
        std::future::pending::<()>().await
    }
    #[on("unit")]
    async fn unit(&self) {
        tokio::task::yield_now().await
    }
    #[on("sum")]
    fn sum(Args(n): Args<Vec<i64>>) -> i64 {
        n.iter().sum()
    }
    #[on("bin")]
    fn bin(Data(b): Data<Bytes>) -> Bytes {
        b
    }
    #[on("pair")]
    fn pair(Data((a, b)): Data<(u8, String)>) -> (String, u8) {
        (b, a)
    }
}

#[tokio::test]
async fn smoke() {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let service = TestService::start(Sockets::builder().discover(false).mount::<Desk>("/desk")).await.unwrap();
    let mut client = service.connect("/desk").await.unwrap();
    let a: (u64, String) = client.request("checkin", serde_json::json!({"desk": "A"})).await.unwrap();
    assert_eq!(a, (0, "A".to_owned()));
    assert_eq!(client.expect::<String>("welcome").await.unwrap(), "A");
    let e = client.request::<()>("checkin", serde_json::json!({"desk": 5})).await.unwrap_err();
    println!("{e:?}");
    let e = client.request::<()>("checkin", ()).await.unwrap_err();
    println!("{e:?}");
    for ev in ["fail", "boom", "slow", "nope"] {
        println!("{:?}", client.request::<()>(ev, ()).await.unwrap_err());
    }
    client.request::<()>("unit", ()).await.unwrap();
    assert_eq!(client.request::<i64>("sum", (1, 2, 3)).await.unwrap(), 6);
    assert_eq!(client.request::<Bytes>("bin", Bytes::from_static(b"abc")).await.unwrap(), "abc");
    assert_eq!(client.request::<(String, u8)>("pair", (1, "x")).await.unwrap(), ("x".to_owned(), 1));
    client.emit("fail", ()).await.unwrap();
    println!("{:?}", client.expect::<serde_json::Value>("exception").await.unwrap());
    service.sockets().channel("/desk").unwrap().emit("all", &1).await.unwrap();
    client.expect::<u8>("all").await.unwrap();
}
