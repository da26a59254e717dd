//! The expansions name nothing of the caller's: not `std`, not `Result`, not `Some`.

#![allow(dead_code, non_camel_case_types)]

mod shadowed {
    pub(crate) mod std {}
    pub(crate) mod core {}
    pub(crate) mod carolina {}
    pub(crate) struct Result;
    pub(crate) struct Option;
    pub(crate) struct String;
    pub(crate) struct Vec;
    pub(crate) struct Box;
    pub(crate) struct Ok;
    pub(crate) struct Err;
    pub(crate) struct Some;
    pub(crate) struct None;
    pub(crate) struct str;
    pub(crate) struct bool;
    pub(crate) struct u32;
    pub(crate) trait Default {}
    pub(crate) trait Fn {}
    pub(crate) trait Send {}

    use ::carolina_sockets::{Data, Event, EventError, Handshake, Socket, Sockets, State, channel, on};

    #[channel("/shadowed")]
    #[emits("hello", i32)]
    #[emits("both", (&'static i32, [u8; 2]))]
    #[derive(::std::default::Default)]
    pub(crate) struct Shadowed;

    #[channel]
    impl Shadowed {
        #[on("a", "b", concurrent, timeout = "5s", rate = "20/s")]
        async fn event(&self, _: Socket, event: Event) -> ::std::result::Result<::std::string::String, EventError> {
            ::std::result::Result::Ok(event.0)
        }

        #[on(any)]
        fn any(Data(value): Data<u8>) -> u8 {
            value
        }

        #[on(authorize)]
        fn authorize(&self, _: Handshake) -> ::core::primitive::bool {
            true
        }

        #[on(connect)]
        async fn connect(&self, socket: Socket) -> ::std::result::Result<(), ::carolina_sockets::Error> {
            socket.emit("hello", &1).await
        }

        #[on(disconnect)]
        fn disconnect(&self, _: ::carolina_sockets::DisconnectReason) {}
    }

    #[channel]
    pub(crate) struct Built(State<u64>);

    #[channel]
    impl Built {
        #[on(init)]
        fn new(state: State<u64>, _: Sockets) -> Self {
            Self(state)
        }

        #[on("get")]
        fn get(&self) -> u64 {
            *self.0
        }
    }
}

use carolina_sockets_tests::{by_hand, start};

#[tokio::test]
async fn a_crate_that_shadows_everything_compiles_and_runs() {
    let builder = by_hand().mount::<shadowed::Shadowed>("/s").mount::<shadowed::Built>("/b").state(7_u64);
    let service = start(builder).await;
    let mut client = service.connect("/s").await.unwrap();
    assert_eq!(client.expect::<u8>("hello").await.unwrap(), 1);
    assert_eq!(client.request::<String>("b", ()).await.unwrap(), "b");
    assert_eq!(client.request::<u8>("other", &5).await.unwrap(), 5);
    assert_eq!(service.connect("/b").await.unwrap().request::<u64>("get", ()).await.unwrap(), 7);
}
