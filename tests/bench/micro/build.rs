//! Writes the channels under measurement.
//!
//! What is linked into a program cannot be chosen while it runs, so there is a file, and a program, for each number of
//! channels.

use std::{env, fmt::Write, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let save = |name: &str, code: String| {
        fs::write(Path::new(&folder).join(name), code).expect("OUT_DIR can be written to");
    };
    save("dispatch.rs", channel("Narrow", None, 1) + &channel("Wide", None, 1000));
    for count in [1, 10, 100, 1000] {
        let channels = (0..count).map(|number| channel(&format!("Channel{number}"), Some(number), 1));
        save(&format!("start_{count}.rs"), channels.collect());
    }
}

/// A channel with events `event0` and on that answer with the text they were sent.
fn channel(name: &str, path: Option<usize>, events: usize) -> String {
    let path = path.map(|number| format!("(\"/{number}\")")).unwrap_or_default();
    let mut code = format!("#[channel{path}]\n#[derive(Default)]\nstruct {name};\n#[channel]\nimpl {name} {{\n");
    for number in 0..events {
        write!(
            code,
            "    #[on(\"event{number}\")]\n    async fn event{number}(&self, Data(text): Data<String>) -> String {{ text }}\n"
        )
        .expect("a String takes all");
    }
    code.push_str("}\n");
    code
}
