use std::path::Path;

use super::{generate, name, usage_error};
use crate::error::{Error, Result};

/// Makes an application in a new folder.
pub(super) fn application(folder: &Path, library: Option<&Path>) -> Result {
    let package = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name::check_package(package)?;
    let dependency = match library {
        Some(path) => format!("path = {:?}", library_folder(path)?),
        None => own_library(Path::new(env!("CARGO_MANIFEST_DIR")))?,
    };
    if folder.exists() {
        return Err(usage_error(format!(
            "`{}` already exists and was not changed; choose another name",
            folder.display()
        )));
    }
    for (file, text) in [
        ("Cargo.toml", include_str!("templates/app/Cargo.toml.txt")),
        (".gitignore", "/target\n"),
        ("README.md", include_str!("templates/app/README.md.txt")),
        ("config/web_sockets.toml", include_str!("templates/app/web_sockets.toml.txt")),
        ("public/index.html", include_str!("templates/app/index.html.txt")),
        ("build.rs", include_str!("templates/app/build.rs.txt")),
        ("src/main.rs", include_str!("templates/app/main.rs.txt")),
    ] {
        let file = folder.join(file);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| Error::io(format!("cannot make `{}`", parent.display()), error))?;
        }
        generate::write_new(&file, &text.replace("{{package}}", package).replace("{{dependency}}", &dependency))?;
    }
    generate::channel(folder, "HelloChannel", Some("/hello"), false)?;
    Ok(())
}

/// The library that this program was built from: a folder, or the published version if it was built from that.
fn own_library(built_from: &Path) -> Result<String> {
    if built_from.components().any(|folder| folder.as_os_str() == "registry") {
        return Ok(format!("version = \"{}\"", env!("CARGO_PKG_VERSION")));
    }
    match library_folder(built_from) {
        Ok(folder) => Ok(format!("path = {folder:?}")),
        Err(_) => Err(usage_error(format!(
            "this program was built from the library in `{}`, which is not there any more; name a copy of it with `--library PATH`",
            built_from.display()
        ))),
    }
}

/// The absolute path of the library's folder inside the given one.
fn library_folder(path: &Path) -> Result<String> {
    let full = path
        .canonicalize()
        .map_err(|error| Error::io(format!("cannot find the library at `{}`", path.display()), error))?;
    for folder in [full.clone(), full.join("carolina-sockets")] {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("name = \"carolina-sockets\"") {
            return Ok(folder.display().to_string());
        }
    }
    Err(usage_error(format!(
        "`{}` is not the folder of carolina-sockets: it has no Cargo.toml of that name",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_depends_on_the_library_that_the_program_was_built_from() {
        let own = own_library(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(own.starts_with("path = ") && own.contains("carolina-sockets"), "{own}");
        let published = Path::new("/home/ada/.cargo/registry/src/index.crates.io-0/carolina-sockets-0.1.0");
        assert_eq!(own_library(published).unwrap(), format!("version = \"{}\"", env!("CARGO_PKG_VERSION")));
        let gone = own_library(Path::new("/nowhere/carolina-sockets")).unwrap_err().to_string();
        assert!(gone.contains("/nowhere/carolina-sockets") && gone.contains("--library PATH"), "{gone}");
    }
}
