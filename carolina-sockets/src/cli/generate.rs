use std::path::{Path, PathBuf};

use heck::{ToKebabCase, ToSnakeCase};

use super::{name, usage_error};
use crate::{
    error::{Error, Result},
    path,
};

/// What was written.
pub(super) struct Written {
    pub(super) file: PathBuf,
    /// The file with the list of modules, where one is kept by hand.
    pub(super) list: Option<List>,
}

/// A list of modules that is kept by hand.
pub(super) struct List {
    pub(super) file: PathBuf,
    /// The line that names the module.
    pub(super) line: String,
    /// Whether the line was added.
    pub(super) added: bool,
}

/// Writes a channel with a test into the application at `root`, and adds it to the list of modules if there is one.
pub(super) fn channel(root: &Path, struct_name: &str, path: Option<&str>, private: bool) -> Result<Written> {
    name::check_struct(struct_name)?;
    let path = match path {
        Some(path) => path.to_owned(),
        None => {
            let short = struct_name.strip_suffix("Channel").filter(|short| !short.is_empty()).unwrap_or(struct_name);
            format!("/{}", short.to_kebab_case())
        }
    };
    path::check_channel(&path).map_err(|problem| usage_error(format!("--path {path:?}: {problem}")))?;
    check_package(root)?;
    let folder = root.join("src").join("channels");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::io(format!("cannot make `{}`", folder.display()), error))?;
    let file = folder.join(format!("{}.rs", struct_name.to_snake_case()));
    write_new(&file, &source(struct_name, &path, private))?;
    touch(&root.join("src").join("main.rs"));
    let list = add_to_list(root, &struct_name.to_snake_case())?;
    Ok(Written { file, list })
}

/// Adds a module to `src/channels/mod.rs` or `src/channels.rs`, unless that finds modules by itself.
fn add_to_list(root: &Path, module: &str) -> Result<Option<List>> {
    let source = root.join("src");
    let files = [source.join("channels").join("mod.rs"), source.join("channels.rs")];
    let Some((file, text)) =
        files.into_iter().find_map(|file| Some((file.clone(), std::fs::read_to_string(&file).ok()?)))
    else {
        return Ok(None);
    };
    if text.contains("automod") {
        return Ok(None);
    }
    let (text, line) = listed(&text, module);
    if let Some(text) = &text {
        std::fs::write(&file, text).map_err(|error| Error::io(format!("cannot write `{}`", file.display()), error))?;
    }
    Ok(Some(List { file, line, added: text.is_some() }))
}

/// A file of modules with one more, behind the last one that sorts before it, and its line. Without such a list in the file, only the line.
fn listed(text: &str, module: &str) -> (Option<String>, String) {
    let mut place = None;
    let mut before = "";
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some((prefix, name)) = declared(line) {
            before = prefix;
            // An attribute above a module belongs to it, so that the new one is put behind the module instead of between the two.
            if name <= module || place.is_none() {
                place = Some(at + line.len());
            }
        }
        at += line.len();
    }
    let line = format!("{before}mod {module};");
    let text = place.map(|place| {
        let (head, tail) = text.split_at(place);
        let end = if head.ends_with('\n') { "" } else { "\n" };
        format!("{head}{end}{line}\n{tail}")
    });
    (text, line)
}

/// What is before `mod` in a line that declares a module of another file, and its name.
fn declared(line: &str) -> Option<(&str, &str)> {
    let line = line.split("//").next()?.trim_end();
    let name_at = if line.starts_with("mod ") { 4 } else { line.starts_with("pub").then(|| line.find(" mod "))?? + 5 };
    let name = line[name_at..].strip_suffix(';')?.trim();
    let is_name = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    is_name.then_some((&line[..name_at - 4], name))
}

/// Checks that a folder is a package's, and not that of a workspace without one.
fn check_package(root: &Path) -> Result {
    let Ok(manifest) = std::fs::read_to_string(root.join("Cargo.toml")) else {
        return Err(usage_error(
            "this folder has no Cargo.toml; go to the application's folder, or make one with `carolina new`",
        ));
    };
    // What Cargo.toml has else is Cargo's to judge.
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    if manifest.contains_key("package") {
        return Ok(());
    }
    let Some(workspace) = manifest.get("workspace") else { return Ok(()) };
    let members = workspace.get("members").and_then(toml::Value::as_array).into_iter().flatten();
    let members: Vec<&str> = members.filter_map(toml::Value::as_str).collect();
    let members = if members.is_empty() { String::new() } else { format!(", one of {}", members.join(", ")) };
    Err(usage_error(format!(
        "this folder is a workspace's, not an application's; go to the application's folder{members}"
    )))
}

/// Whether the application compiles what is in `src/channels`.
pub(super) fn is_linked(root: &Path) -> bool {
    ["main.rs", "lib.rs"].iter().any(|file| {
        let source = std::fs::read_to_string(root.join("src").join(file)).unwrap_or_default();
        source.contains("src/channels") || source.contains("mod channels;")
    })
}

/// Makes cargo recompile a file: it does not notice a new file that a macro reads.
fn touch(file: &Path) {
    // Without this file, the application has a layout of its own.
    if let Ok(file) = std::fs::OpenOptions::new().append(true).open(file) {
        let _ = file.set_modified(std::time::SystemTime::now());
    }
}

/// Writes a file that does not exist yet.
pub(super) fn write_new(file: &Path, text: &str) -> Result {
    use std::io::Write;

    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let mut opened = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => usage_error(format!(
            "`{}` already exists and was not changed; choose another name or remove it",
            file.display()
        )),
        _ => Error::io(format!("cannot write `{}`", file.display()), error),
    })?;
    opened.write_all(text.as_bytes()).map_err(|error| Error::io(format!("cannot write `{}`", file.display()), error))
}

fn source(name: &str, path: &str, private: bool) -> String {
    let template = if private {
        include_str!("templates/private_channel.rs.txt")
    } else {
        include_str!("templates/channel.rs.txt")
    };
    template.replace("{{name}}", name).replace("{{path}}", path)
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_module_is_added_to_a_list() {
        for (before, after) in [
            ("mod alpha;\nmod news;\n", "mod alpha;\nmod chat;\nmod news;\n"),
            ("//! Channels.\n\npub mod alpha; // first", "//! Channels.\n\npub mod alpha; // first\npub mod chat;\n"),
            ("pub(crate) mod news;\n\nuse x::y;\n", "pub(crate) mod news;\npub(crate) mod chat;\n\nuse x::y;\n"),
            (
                "#[cfg(a)]\nmod zoo;\n\nmod inner { mod b; }\n",
                "#[cfg(a)]\nmod zoo;\nmod chat;\n\nmod inner { mod b; }\n",
            ),
        ] {
            assert_eq!(listed(before, "chat").0.as_deref(), Some(after), "{before}");
        }
        let without = listed("//! Nothing yet.\n// mod old;\npub fn mod_of() {}\n", "chat");
        assert_eq!(without, (None, "mod chat;".to_owned()));
    }
}
