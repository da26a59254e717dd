//! A new file in `src/channels` is a new channel, so cargo has to watch that folder.

fn main() {
    println!("cargo::rerun-if-changed=src/channels");
}
