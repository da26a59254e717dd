//! R16: a backplane that cannot be reached.

use carolina_sockets::Emitter;
use carolina_sockets_tests::{DEADLINE, port::Port, servers::Redis};

#[tokio::test]
async fn r16_what_cannot_be_reached_is_one_clear_line() {
    // Nobody listens there.
    let closed = Port::reserve();
    let at = format!("127.0.0.1:{}", closed.number());
    for (scheme, path) in [("redis://:", "/0"), ("postgres://me:", "/db")] {
        let (url, expected) = (format!("{scheme}secret@{at}{path}"), format!("`{scheme}***@{at}{path}`"));
        let error = tokio::time::timeout(DEADLINE, Emitter::connect(&url)).await.unwrap().unwrap_err().to_string();
        assert!(error.contains(&expected) && !error.contains("secret"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let error = Emitter::connect(&format!("redis://{at}")).await.unwrap_err();
    let causes = std::iter::successors(std::error::Error::source(&error), |&error| error.source());
    let last = causes.last().expect("a source").to_string();
    assert!(last.starts_with("Connection refused"), "{last}");
    let redis = Redis::start_with_password("right");
    let wrong = redis.url().replace("redis://", "redis://:wrong@");
    let error = tokio::time::timeout(DEADLINE, Emitter::connect(&wrong)).await.unwrap().unwrap_err().to_string();
    assert!(error.contains(":***@") && !error.contains("wrong@"), "{error}");
    for prefix in ["x".repeat(49), "a\"b".to_owned()] {
        let refused = Emitter::connect_with_prefix("postgres://127.0.0.1:1/db", &prefix).await.unwrap_err().to_string();
        assert!(refused.contains(&prefix) && refused.contains("at most 48"), "{refused}");
    }
    let cluster = Emitter::connect("redis-cluster://127.0.0.1:1").await.unwrap_err().to_string();
    assert!(cluster.contains("use a single Redis"), "{cluster}");
}
