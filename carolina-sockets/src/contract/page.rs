//! The page that shows the contract to people: one file, with the official client in it, so that it needs nothing from elsewhere.

use super::{Contract, json_schema};

const PAGE: &str = include_str!("page.html");

/// The page, with the text of the official client's bundle.
pub(crate) fn page(contract: &Contract, client: &str) -> String {
    let document = json_schema::document(contract);
    let settings = serde_json::json!({ "contract": document, "path": contract.server.path });
    // Neither ends the script that it is in.
    let settings = settings.to_string().replace('<', "\\u003c");
    let (before, rest) = PAGE.split_once("{{client}}").unwrap_or((PAGE, ""));
    let (between, after) = rest.split_once("{{settings}}").unwrap_or((rest, ""));
    [before, &client.replace("</script", "<\\/script"), between, &settings, after].concat()
}
