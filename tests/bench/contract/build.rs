//! Writes 50 channels with 20 events and 5 emits each; the program mounts each at 20 paths.

use std::{env, fmt::Write, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let mut code = String::new();
    let mut mounts = String::new();
    for number in 0..50 {
        code.push_str(&channel(number));
        writeln!(
            mounts,
            "    for at in 0..20 {{ cli = cli.mount::<Channel{number}>(format!(\"/{number}/{{at}}\")); }}"
        )
        .expect("a String takes all");
    }
    write!(code, "fn mounted(mut cli: carolina_sockets::Cli) -> carolina_sockets::Cli {{\n{mounts}    cli\n}}\n")
        .expect("a String takes all");
    fs::write(Path::new(&folder).join("channels.rs"), code).expect("OUT_DIR can be written to");
}

fn channel(number: usize) -> String {
    let mut code = format!(
        "/// An order of the kind {number}.\n#[derive(Deserialize, Serialize, JsonSchema)]\nstruct Order{number} {{\n    /// Its number.\n    id: u32,\n    name: String,\n    note: Option<String>,\n    lines: Vec<Line>,\n}}\n#[channel]\n"
    );
    for event in 0..5 {
        writeln!(code, "#[emits(\"changed{event}\", Order{number})]").expect("a String takes all");
    }
    write!(code, "#[derive(Default)]\nstruct Channel{number};\n#[channel]\nimpl Channel{number} {{\n")
        .expect("a String takes all");
    for event in 0..20 {
        write!(
            code,
            "    /// Takes an order.\n    #[on(\"event{event}\")]\n    fn event{event}(Data(order): Data<Order{number}>) -> Result<Order{number}, EventError> {{ Ok(order) }}\n"
        )
        .expect("a String takes all");
    }
    code.push_str("}\n");
    code
}
