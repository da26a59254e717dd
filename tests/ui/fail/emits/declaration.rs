use carolina_sockets::prelude::*;

#[channel("/forms")]
#[emits]
#[emits("untyped")]
#[emits(unquoted, String)]
#[emits(String, "swapped")]
#[emits("one", "two", String)]
#[emits("several", String, u8)]
#[emits("open", impl Serialize)]
#[derive(Default)]
struct Forms;

#[channel("/names")]
#[emits("twice", String)]
#[emits("twice", u8)]
#[emits("connect", ())]
#[emits("exception", String)]
#[emits("carolina:closed", ())]
#[emits("", ())]
#[derive(Default)]
struct Names;

fn main() {}
