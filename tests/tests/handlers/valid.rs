//! R29: payloads that are checked before the handler runs.

use carolina_sockets::{prelude::*, testing::ClientError};
use carolina_sockets_tests::{by_hand, start};
use serde_json::{Value, json};

#[derive(Deserialize, Validate)]
#[validate(crate = "carolina_sockets::validator")]
struct Order {
    #[validate(length(min = 2, max = 10))]
    name: String,
    #[validate(email(message = "write an address that you read"))]
    mail: Option<String>,
    #[validate(nested)]
    place: Place,
    #[validate(nested, length(min = 1))]
    lines: Vec<Line>,
}

#[derive(Deserialize, Validate)]
#[validate(crate = "carolina_sockets::validator")]
struct Place {
    #[validate(url)]
    map: String,
    #[validate(contains(pattern = "x"))]
    cross: String,
}

#[derive(Deserialize, Serialize, Validate)]
#[validate(crate = "carolina_sockets::validator")]
struct Line {
    #[validate(range(min = 1, exclusive_max = 100))]
    amount: u32,
    #[validate(range(min = 0.5))]
    weight: f64,
    #[validate(custom(function = "is_even"))]
    article: u32,
}

fn is_even(number: u32) -> Result<(), carolina_sockets::validator::ValidationError> {
    if number.is_multiple_of(2) { Ok(()) } else { Err(carolina_sockets::validator::ValidationError::new("even")) }
}

#[channel]
#[derive(Default)]
struct Shop {
    orders: AtomicU64,
}

#[channel]
impl Shop {
    #[on("order")]
    fn order(&self, Valid(order): Valid<Order>) -> (String, u64) {
        (order.name, self.orders.fetch_add(1, Relaxed))
    }

    #[on("lines", guard = has_lines)]
    fn lines(&self, Valid(lines): Valid<Vec<Line>>) -> usize {
        lines.len()
    }
}

/// In a guard it is an extractor as others are.
async fn has_lines(Valid(lines): Valid<Vec<Line>>) -> bool {
    !lines.is_empty()
}

fn sound() -> Value {
    json!({
        "name": "Ada",
        "mail": "ada@example.com",
        "place": { "map": "https://example.com/", "cross": "x" },
        "lines": [{ "amount": 1, "weight": 0.5, "article": 2 }],
    })
}

fn details(answer: Result<Value, ClientError>) -> Value {
    match answer.unwrap_err() {
        ClientError::Rejected { code, details, .. } => {
            assert_eq!(code, "invalid_payload");
            details.unwrap()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn r29_failed_checks_are_told_field_by_field() {
    let service = start(by_hand().mount::<Shop>("/shop")).await;
    let mut client = service.connect("/shop").await.unwrap();
    assert_eq!(client.request::<(String, u64)>("order", sound()).await.unwrap(), ("Ada".to_owned(), 0));

    let mut order = sound();
    order["name"] = json!("A");
    order["mail"] = json!("nobody");
    order["place"] = json!({ "map": "nowhere", "cross": "o" });
    order["lines"] = json!([sound()["lines"][0], { "amount": 100, "weight": 0, "article": 3 }]);
    let expected = json!([
        { "path": "lines[1].amount", "message": "must be at least 1 and less than 100" },
        { "path": "lines[1].article", "message": "does not pass the check `even`" },
        { "path": "lines[1].weight", "message": "must be at least 0.5" },
        { "path": "mail", "message": "write an address that you read" },
        { "path": "name", "message": "must have a length of at least 2 and at most 10" },
        { "path": "place.cross", "message": "must contain `x`" },
        { "path": "place.map", "message": "must be a URL" },
    ]);
    assert_eq!(details(client.request("order", order).await), expected);

    // What does not read as the type is told as with `Data`.
    let mut order = sound();
    order["lines"][0]["amount"] = json!("one");
    assert_eq!(details(client.request("order", order).await), json!({ "path": "lines[0].amount", "expected": "u32" }));
    assert_eq!(client.request::<(String, u64)>("order", sound()).await.unwrap().1, 1, "no handler ran in between");

    // A list as the whole payload.
    let lines = json!([{ "amount": 0, "weight": 1.5, "article": 2 }]);
    let expected = json!([{ "path": "[0].amount", "message": "must be at least 1 and less than 100" }]);
    assert_eq!(details(client.request("lines", lines).await), expected);
    assert_eq!(client.request::<usize>("lines", &sound()["lines"]).await.unwrap(), 1);
    assert_eq!(client.request::<usize>("lines", Vec::<u8>::new()).await.unwrap_err().code(), "forbidden");
}
