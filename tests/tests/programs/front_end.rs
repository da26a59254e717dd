//! The front-end package in a real browser: a log-in that it notices (rule R11), and an origin that is refused (rule R14).

use carolina_sockets_tests::{nodes::Node, program};

#[tokio::test(flavor = "multi_thread")]
async fn r11_a_page_notices_a_log_in_by_fetch_and_r14_learns_why_it_is_refused() {
    let application = Node::alone();
    program::node("front-end.mjs", &[&application.url()]).await;
}
