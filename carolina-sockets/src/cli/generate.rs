use std::path::{Path, PathBuf};

use heck::{ToKebabCase, ToSnakeCase};

use super::{name, usage_error};
use crate::{
    error::{Error, Result},
    path,
};

/// Writes a channel with a test into the application at `root`, and returns where.
pub(super) fn channel(root: &Path, struct_name: &str, path: Option<&str>, private: bool) -> Result<PathBuf> {
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
    Ok(file)
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
