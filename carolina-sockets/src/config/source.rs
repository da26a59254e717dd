//! Where settings come from: one file, and variables that override it.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    path::Path,
};

/// The file that is read when `CAROLINA_CONFIG` names none.
pub(super) const DEFAULT_FILE: &str = "config/web_sockets.toml";
/// The prefix of the variables.
pub(super) const PREFIX: &str = "CAROLINA_";
/// The variable that names the file.
const FILE_VARIABLE: &str = "CAROLINA_CONFIG";

/// The texts that a configuration is read from.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The file's name and text.
    pub(super) file: Option<(String, String)>,
    /// Variables that begin with the prefix.
    pub(super) variables: Vec<(String, String)>,
    /// What could not be read.
    pub(super) problems: Vec<String>,
}

impl Source {
    /// Reads the process environment and its file: a file that `CAROLINA_CONFIG` names has to exist, the default one
    /// need not.
    pub(super) fn system() -> Self {
        Self::collect(std::env::vars_os(), |path| std::fs::read_to_string(path))
    }

    fn collect(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Self {
        let mut source = Self::default();
        let mut named = None;
        for (name, value) in variables {
            if name == FILE_VARIABLE {
                named = Some(value);
                continue;
            }
            let name = name.to_string_lossy();
            // Variables for an application's tests are not settings.
            if !name.starts_with(PREFIX) || name.starts_with("CAROLINA_TESTING_") {
                continue;
            }
            match value.into_string() {
                Ok(value) => source.variables.push((name.into_owned(), value)),
                Err(_) => source.problems.push(format!("{name}: its value is not UTF-8 text")),
            }
        }
        source.variables.sort();
        source.read_file(named.as_deref(), read);
        source
    }

    fn read_file(&mut self, named: Option<&OsStr>, read: impl Fn(&Path) -> io::Result<String>) {
        let path = Path::new(named.unwrap_or(OsStr::new(DEFAULT_FILE)));
        match read(path) {
            Ok(text) => self.file = Some((path.display().to_string(), text)),
            Err(error) => match named {
                // Only a missing file is ignored: one that exists but cannot be read is an error.
                None if error.kind() == io::ErrorKind::NotFound => {}
                None => self.problems.push(format!("cannot read `{}`: {error}", path.display())),
                Some(_) => self.problems.push(format!(
                    "{FILE_VARIABLE}: cannot read `{}`: {error}; name a file that exists, or unset the variable",
                    path.display()
                )),
            },
        }
    }
}

/// Where a key was set. Ordered as problems are reported: the lines of the file, then the variables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In the file.
    File {
        /// From 1.
        line: usize,
        /// The file's.
        name: String,
    },
    /// By a variable.
    Variable(String),
    /// In code.
    Code,
}

impl Place {
    /// The place of an offset into a file's text.
    pub(super) fn in_file(name: &str, text: &str, offset: usize) -> Self {
        let end = offset.min(text.len());
        let line = text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1;
        Self::File { line, name: name.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, name } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Code => f.write_str("the configuration"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables<'a>(all: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (OsString, OsString)> + 'a {
        all.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)))
    }

    fn absent(_: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    #[test]
    fn the_default_file_may_be_missing_and_a_named_one_may_not() {
        let source = Source::collect(variables(&[("CAROLINA_BIND", "a"), ("HOME", "b")]), absent);
        assert!(source.file.is_none() && source.problems.is_empty(), "{source:?}");
        assert_eq!(source.variables, [("CAROLINA_BIND".to_owned(), "a".to_owned())]);

        let source = Source::collect(variables(&[("CAROLINA_CONFIG", "my.toml")]), absent);
        assert_eq!(source.problems.len(), 1, "{source:?}");
        assert!(source.problems[0].starts_with("CAROLINA_CONFIG: cannot read `my.toml`"), "{source:?}");
        assert!(source.variables.is_empty(), "the file's name is no key");
    }

    #[test]
    fn a_file_that_is_there_and_cannot_be_read_is_told() {
        let source = Source::collect(variables(&[]), |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(source.problems[0].starts_with("cannot read `config/web_sockets.toml`"), "{source:?}");
    }

    #[test]
    fn the_named_file_is_read_in_place_of_the_default_one() {
        let read = |path: &Path| Ok(format!("# {}", path.display()));
        let named = Source::collect(variables(&[("CAROLINA_CONFIG", "my.toml")]), read);
        assert_eq!(named.file, Some(("my.toml".to_owned(), "# my.toml".to_owned())));
        let default = Source::collect(variables(&[]), read);
        assert_eq!(default.file.unwrap().0, DEFAULT_FILE);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_told() {
        use std::os::unix::ffi::OsStringExt;
        let bad = (OsString::from("CAROLINA_BIND"), OsString::from_vec(vec![0xff]));
        let source = Source::collect([bad], absent);
        assert_eq!(source.problems, ["CAROLINA_BIND: its value is not UTF-8 text"]);
    }
}
