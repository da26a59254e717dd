//! Where settings come from: one file, and variables that override it.

use std::path::Path;

use crate::error::{Error, Result};

/// The file that is read when `CAROLINA_CONFIG` names none.
const DEFAULT_FILE: &str = "config/web_sockets.toml";
/// What the variables begin with.
pub(super) const PREFIX: &str = "CAROLINA_";

/// The texts that a configuration is read from.
pub(crate) struct Source {
    /// The file's name and text.
    pub(crate) file: Option<(String, String)>,
    /// Variables that begin with the prefix.
    pub(crate) variables: Vec<(String, String)>,
}

impl Source {
    /// The system's: a named file has to exist, the default one need not.
    pub(super) fn system() -> Result<Self> {
        let mut variables = Vec::new();
        let mut named = None;
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            let Some(value) = value.to_str() else {
                return Err(Error::Config(vec![format!("{name}: its value is no UTF-8 text")]));
            };
            match name {
                "CAROLINA_CONFIG" => named = Some(value.to_owned()),
                _ => variables.push((name.to_owned(), value.to_owned())),
            }
        }
        variables.sort();
        let file = match named {
            Some(name) => {
                let text = std::fs::read_to_string(&name);
                let text = text
                    .map_err(|error| Error::io(format!("cannot read `{name}`, which CAROLINA_CONFIG names"), error))?;
                Some((name, text))
            }
            None if Path::new(DEFAULT_FILE).exists() => {
                let text = std::fs::read_to_string(DEFAULT_FILE);
                Some((
                    DEFAULT_FILE.to_owned(),
                    text.map_err(|error| Error::io(format!("cannot read `{DEFAULT_FILE}`"), error))?,
                ))
            }
            None => None,
        };
        Ok(Self { file, variables })
    }
}

/// The line, from 1, of a place in a text.
pub(super) fn line(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}
