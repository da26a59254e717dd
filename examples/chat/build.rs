//! A new file in `src/channels` is a new channel: cargo has to look there.

fn main() {
    println!("cargo::rerun-if-changed=src/channels");
}
