use carolina_sockets::prelude::*;

#[channel("/unknown", resume(window = "2m"), presence(limit = 5))]
#[derive(Default)]
struct Unknown;

#[channel("/misspelt", resume(disconect = "now"), presence(lingers = "15s"))]
#[derive(Default)]
struct Misspelt;

#[channel("/other", resume(disconnect = "later"), presence(linger = "soon"))]
#[derive(Default)]
struct Other;

#[channel("/no-unit", presence(linger = "15"))]
#[derive(Default)]
struct NoUnit;

#[channel("/zero", presence(linger = "0s"))]
#[derive(Default)]
struct Zero;

#[channel("/not-text", resume(disconnect = true), presence(linger = 15))]
#[derive(Default)]
struct NotText;

#[channel("/no-value", resume(disconnect), presence(linger))]
#[derive(Default)]
struct NoValue;

#[channel("/no-option", resume = "now", presence = "15s")]
#[derive(Default)]
struct NoOption;

#[channel("/option-twice", resume(disconnect = "now", disconnect = "late"), presence(linger = "5s", linger = "15s"))]
#[derive(Default)]
struct OptionTwice;

#[channel("/twice", resume, presence, resume(disconnect = "now"), presence(linger = "15s"))]
#[derive(Default)]
struct Twice;

fn main() {}
