use carolina_sockets::channel;

#[channel("/a", resume(disconect = "now"))]
#[derive(Default)]
struct Unknown;

#[channel("/b", resume(disconnect = "soon"))]
#[derive(Default)]
struct Value;

#[channel("/c", resume = "2m")]
#[derive(Default)]
struct Equals;

#[channel("/d", resume(disconnect))]
#[derive(Default)]
struct Missing;

#[channel("/e", resume(disconnect = "now", disconnect = "late"), resume)]
#[derive(Default)]
struct Twice;

fn main() {}
