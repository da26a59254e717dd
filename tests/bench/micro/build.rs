//! Writes the channels under measurement: 1,000 of one event each, one of a single event and one of 1,000.

use std::{env, fmt::Write, fs, path::Path};

const COUNT: usize = 1000;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let mut code = String::new();
    channel(&mut code, "Narrow", 1);
    channel(&mut code, "Wide", COUNT);
    for number in 0..COUNT {
        channel(&mut code, &format!("Channel{number}"), 1);
    }
    code.push_str("fn mount(builder: Builder, count: usize) -> Builder {\n    let mut builder = builder;\n");
    for number in 0..COUNT {
        write(
            &mut code,
            format_args!("    if count > {number} {{ builder = builder.mount::<Channel{number}>(\"/{number}\"); }}\n"),
        );
    }
    code.push_str("    builder\n}\n");
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&folder).join("channels.rs"), code).expect("OUT_DIR can be written to");
}

fn write(code: &mut String, text: std::fmt::Arguments<'_>) {
    code.write_fmt(text).expect("a String takes all");
}

/// A channel that is mounted by hand, with events `event0` and on that answer with the text they were sent.
fn channel(code: &mut String, name: &str, events: usize) {
    write(code, format_args!("#[channel]\n#[derive(Default)]\nstruct {name};\n#[channel]\nimpl {name} {{\n"));
    for number in 0..events {
        write(
            code,
            format_args!(
                "    #[on(\"event{number}\")]\n    async fn event{number}(&self, Data(text): Data<String>) -> String {{ text }}\n"
            ),
        );
    }
    code.push_str("}\n");
}
