//! What JavaScript sees of the values that are emitted and returned: the table in the documentation of `extract`.

use bytes::Bytes;
use carolina_sockets::{Args, Data, EventError, Socket, channel, on};
use carolina_sockets_tests::{by_hand, program::node, start};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize)]
struct Seat {
    row: u8,
}

#[derive(Serialize)]
struct Id(u8);

#[derive(Deserialize)]
struct Upload {
    name: String,
    file: Option<Bytes>,
}

/// Emits the value as an event, and returns it.
async fn both<T: Serialize>(socket: Socket, event: &str, value: T) -> Result<T, EventError> {
    socket.emit(event, &value).await?;
    Ok(value)
}

/// A handler for each shape.
macro_rules! shapes {
    ($($event:literal $emitted:literal $method:ident: $shape:ty = $value:expr;)*) => {
        #[channel]
        #[derive(Default)]
        struct Shapes;

        #[channel]
        impl Shapes {
            #[on("names")]
            fn names(&self) -> Vec<&'static str> {
                vec![$($event),*]
            }

            $(
                #[on($event)]
                async fn $method(&self, socket: Socket) -> Result<$shape, EventError> {
                    both::<$shape>(socket, $emitted, $value).await
                }
            )*
        }
    };
}

shapes! {
    "text" "is-text" text: &'static str = "A";
    "struct" "is-struct" a_struct: Seat = Seat { row: 1 };
    "newtype" "is-newtype" newtype: Id = Id(1);
    "bytes" "is-bytes" bytes: Bytes = Bytes::from_static(&[1, 2]);
    "vec" "is-vec" a_vec: Vec<u8> = vec![1, 2];
    "slice" "is-slice" slice: &'static [u8] = &[1, 2];
    "array" "is-array" array: [u8; 2] = [1, 2];
    "tuple" "is-tuple" tuple: (u8, &'static str) = (1, "A");
    "args" "is-args" args: Args<Vec<u8>> = Args(vec![1, 2]);
    "array-in-tuple" "is-array-in-tuple" array_in_tuple: ([u8; 2],) = ([1, 2],);
    "some-tuple" "is-some-tuple" some_tuple: Option<(u8, u8)> = Some((1, 2));
    "some" "is-some" some: Option<u8> = Some(1);
    "none" "is-none" none: Option<u8> = None;
    "unit" "is-unit" unit: () = ();
    "null" "is-null" null: Value = Value::Null;
}

#[channel]
impl Shapes {
    #[on("read-bytes")]
    fn read_bytes(&self, Data(bytes): Data<Bytes>) -> usize {
        bytes.len()
    }

    #[on("read-upload")]
    fn read_upload(&self, Data((upload, more)): Data<(Upload, Option<Bytes>)>) -> (String, usize) {
        (upload.name, upload.file.map_or(0, |file| file.len()) + more.map_or(0, |more| more.len()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_gets_the_arguments_of_the_table() {
    let service = start(by_hand().mount::<Shapes>("/shapes")).await.listen().await.unwrap();
    let printed = node("shapes.mjs", &[&service.url()]).await;
    let expected = [
        ("text", json!(["A"])),
        ("struct", json!([{ "row": 1 }])),
        ("newtype", json!([1])),
        ("bytes", json!([{ "bytes": [1, 2] }])),
        ("vec", json!([[1, 2]])),
        ("slice", json!([[1, 2]])),
        ("array", json!([1, 2])),
        ("tuple", json!([1, "A"])),
        ("args", json!([1, 2])),
        ("array-in-tuple", json!([[1, 2]])),
        ("some-tuple", json!([[1, 2]])),
        ("some", json!([1])),
        ("none", json!([null])),
        ("unit", json!([])),
        ("null", json!([null])),
    ];
    let expected: Vec<String> = expected.iter().map(|(name, all)| format!("{name} {all} {all}")).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn r8_text_is_not_binary() {
    let service = start(by_hand().mount::<Shapes>("/shapes")).await;
    let mut client = service.connect("/shapes").await.unwrap();
    let bytes = Bytes::from_static(b"abc");
    assert_eq!(client.request::<usize>("read-bytes", bytes.clone()).await.unwrap(), 3);
    // A list of numbers is one way to write bytes in JSON.
    assert_eq!(client.request::<usize>("read-bytes", vec![1, 2]).await.unwrap(), 2);
    let without = json!({ "name": "a", "file": null });
    assert_eq!(client.request::<(String, usize)>("read-upload", (&without, &bytes)).await.unwrap().1, 3);
    assert_eq!(client.request::<(String, usize)>("read-upload", &without).await.unwrap().1, 0);
    let text = json!({ "name": "a", "file": "text" });
    let refused = [
        (client.request::<Value>("read-bytes", "text").await, "the first argument"),
        (client.request::<Value>("read-upload", &text).await, "`[0].file`"),
        (client.request::<Value>("read-upload", (&without, "text")).await, "`[1]`"),
        // With an attachment elsewhere.
        (client.request::<Value>("read-upload", (&text, &bytes)).await, "`[0].file`"),
    ];
    for (answer, path) in refused {
        let error = answer.unwrap_err();
        assert_eq!(error.code(), "invalid_payload");
        let text = error.to_string();
        assert!(text.contains(path) && text.contains("expected binary data"), "{text}");
    }
}
