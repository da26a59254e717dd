//! The page that shows the contract to people: one file, with the official client in it, so that it needs nothing from elsewhere.

use serde::Serialize;

use super::{Contract, json_schema};

const PAGE: &str = include_str!("page.html");

/// What the page's script reads.
#[derive(Serialize)]
struct Settings<'a, T> {
    contract: T,
    path: &'a str,
}

/// The page, with the text of the official client's bundle.
pub(crate) fn page(contract: &Contract, client: &str) -> String {
    let document = json_schema::document(contract);
    let settings = Settings { contract: document, path: &contract.server.path };
    let settings = serde_json::to_string(&settings).expect("values with keys of text are JSON");
    // Neither ends the script that it is in.
    let settings = settings.replace('<', "\\u003c");
    let (before, rest) = PAGE.split_once("{{client}}").unwrap_or((PAGE, ""));
    let (between, after) = rest.split_once("{{settings}}").unwrap_or((rest, ""));
    [before, &client.replace("</script", "<\\/script"), between, &settings, after].concat()
}
