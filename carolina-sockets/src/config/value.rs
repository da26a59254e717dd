//! Reads one value, from the file or a variable, as the type of its key. Errors are sentence fragments, to which the
//! caller adds the location. Whether the value is valid is checked in `check`, as for settings made in code.

use std::time::Duration;

use ipnet::IpNet;
use toml::{Spanned, de::DeValue};

use super::{AdminMode, Requirement, ResumeChannels, SameSite, Transport};
use crate::suggest::did_you_mean;

/// A value to be read.
pub(super) enum Value<'a> {
    /// From the file.
    Toml(&'a DeValue<'a>),
    /// From a variable.
    Text(&'a str),
}

type Read<T> = Result<T, String>;

impl Value<'_> {
    fn mismatch<T>(&self, expected: &str) -> Read<T> {
        let found = match self {
            Self::Toml(value) => match value {
                DeValue::String(text) => format!("`{text}`"),
                DeValue::Integer(number) => format!("`{number}`"),
                DeValue::Float(number) => format!("`{number}`"),
                DeValue::Boolean(value) => format!("`{value}`"),
                _ => format!("a value of type {}", value.type_str()),
            },
            Self::Text(text) => format!("`{text}`"),
        };
        Err(format!("{found} is not {expected}"))
    }

    pub(super) fn boolean(&self) -> Read<bool> {
        match self {
            Self::Toml(DeValue::Boolean(value)) => Ok(*value),
            Self::Text("true" | "1") => Ok(true),
            Self::Text("false" | "0") => Ok(false),
            _ => self.mismatch("`true` or `false`"),
        }
    }

    pub(super) fn text(&self) -> Read<String> {
        match self {
            Self::Toml(DeValue::String(text)) => Ok(text.to_string()),
            Self::Text(text) => Ok((*text).to_owned()),
            Self::Toml(_) => self.mismatch("a string in quotes"),
        }
    }

    pub(super) fn number<T: TryFrom<u64>>(&self) -> Read<T> {
        let number = match self {
            Self::Toml(DeValue::Integer(number)) => u64::from_str_radix(number.as_str(), number.radix()),
            Self::Text(text) => text.replace('_', "").parse(),
            Self::Toml(_) => return self.mismatch("a whole number such as 256"),
        };
        match number.map_err(|error| *error.kind()) {
            Ok(number) => T::try_from(number).or_else(|_| self.mismatch("a number that small: it is too large")),
            Err(std::num::IntErrorKind::PosOverflow) => self.mismatch("a number that small: it is too large"),
            Err(_) => self.mismatch("a whole number such as 256"),
        }
    }

    pub(super) fn duration(&self) -> Read<Duration> {
        let expected = "a duration such as \"10s\", \"500ms\" or \"7d\"";
        let Ok(text) = self.text() else { return self.mismatch(expected) };
        humantime::parse_duration(&text).or_else(|_| self.mismatch(expected))
    }

    /// A number of bytes, with or without a unit.
    pub(super) fn size(&self) -> Read<u64> {
        let expected = "a size such as \"100kB\", \"1MiB\" or 65536";
        match (self.number(), self.text()) {
            (Ok(number), _) => Ok(number),
            (Err(_), Ok(text)) => {
                text.parse().map(|size: bytesize::ByteSize| size.as_u64()).or_else(|_| self.mismatch(expected))
            }
            (Err(_), Err(_)) => self.mismatch(expected),
        }
    }

    /// A list; in a variable, separated by commas or written as in the file.
    pub(super) fn list(&self) -> Read<Vec<String>> {
        match self {
            Self::Toml(DeValue::Array(items)) => items.iter().map(|item| Value::Toml(item.get_ref()).text()).collect(),
            Self::Toml(_) => Err("is not a list such as [\"…\", \"…\"]".to_owned()),
            Self::Text(text) if text.trim_start().starts_with('[') => match DeValue::parse(text.trim()) {
                Ok(list) => Value::Toml(&list.into_inner()).list(),
                Err(error) => Err(format!("is not a list such as [\"…\", \"…\"]: {}", error.message())),
            },
            Self::Text(text) => {
                Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
        }
    }

    /// A list of secrets, or a single one. An empty variable is an empty secret, which is rejected later.
    pub(super) fn secrets(&self) -> Read<Vec<String>> {
        match self {
            Self::Toml(DeValue::String(text)) => Ok(vec![text.to_string()]),
            Self::Text(text) if text.trim().is_empty() => Ok(vec![String::new()]),
            // The message of `list` could quote a secret.
            _ => self.list().map_err(|_| "is not a string in quotes or a list of them".to_owned()),
        }
    }

    pub(super) fn transports(&self) -> Read<Vec<Transport>> {
        let read = |name: &String| match name.as_str() {
            "polling" => Ok(Transport::Polling),
            "websocket" => Ok(Transport::Websocket),
            other => Err(format!(
                "`{other}` is not a transport; there are \"polling\" and \"websocket\"{}",
                did_you_mean(other, ["polling", "websocket"])
            )),
        };
        self.list()?.iter().map(read).collect()
    }

    pub(super) fn requirements(&self) -> Read<Vec<Requirement>> {
        let read = |name: &String| match name.as_str() {
            "backplane" => Ok(Requirement::Backplane),
            "session" => Ok(Requirement::Session),
            other => Err(format!(
                "`{other}` is not \"backplane\" or \"session\"{}",
                did_you_mean(other, ["backplane", "session"])
            )),
        };
        self.list()?.iter().map(read).collect()
    }

    pub(super) fn resume_channels(&self) -> Read<ResumeChannels> {
        match self.text()?.as_str() {
            "all" => Ok(ResumeChannels::All),
            "declared" => Ok(ResumeChannels::Declared),
            "none" => Ok(ResumeChannels::None),
            other => Err(format!(
                "`{other}` is not \"all\", \"declared\" or \"none\"{}",
                did_you_mean(other, ["all", "declared", "none"])
            )),
        }
    }

    pub(super) fn same_site(&self) -> Read<SameSite> {
        match self.text()?.as_str() {
            "strict" => Ok(SameSite::Strict),
            "lax" => Ok(SameSite::Lax),
            "none" => Ok(SameSite::None),
            other => Err(format!(
                "`{other}` is not \"lax\", \"strict\" or \"none\"{}",
                did_you_mean(other, ["lax", "strict", "none"])
            )),
        }
    }

    pub(super) fn admin_mode(&self) -> Read<AdminMode> {
        match self.text()?.as_str() {
            "production" => Ok(AdminMode::Production),
            "development" => Ok(AdminMode::Development),
            other => Err(format!(
                "`{other}` is not \"production\" or \"development\"{}",
                did_you_mean(other, ["production", "development"])
            )),
        }
    }

    pub(super) fn networks(&self) -> Read<Vec<IpNet>> {
        let read = |text: &String| {
            let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
            net.map_err(|_| format!("`{text}` is not an address or network such as \"10.0.0.0/8\""))
        };
        self.list()?.iter().map(read).collect()
    }
}

/// Reads an inline table of channels from a variable.
pub(super) fn table(text: &str) -> Read<DeValue<'_>> {
    let example = "is not a table such as { \"/other\" = { driver = \"MyCustomChannel\" } }";
    match DeValue::parse(text.trim()).map(Spanned::into_inner) {
        Ok(table @ DeValue::Table(_)) => Ok(table),
        Ok(_) => Err(example.to_owned()),
        Err(error) => Err(format!("{example}: {}", error.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(text)
    }

    #[test]
    fn numbers_are_read_in_every_notation() {
        assert_eq!(text("1_000").number(), Ok(1000_u32));
        let of = |text: &'static str| DeValue::parse(text).unwrap().into_inner();
        assert_eq!(Value::Toml(&of("0x10")).number(), Ok(16_u32));
        assert_eq!(Value::Toml(&of("1_000")).number(), Ok(1000_u32));
        for (bad, told) in [
            ("-1", "`-1` is not a whole number"),
            ("1.5", "`1.5` is not a whole number"),
            ("true", "`true` is not a whole number"),
            ("5_000_000_000", "too large"),
            ("99999999999999999999", "too large"),
        ] {
            let problem = Value::Toml(&of(bad)).number::<u32>().unwrap_err();
            assert!(problem.contains(told), "{bad}: {problem}");
        }
        assert!(text("").number::<u32>().is_err());
    }

    #[test]
    fn sizes_have_units_or_none() {
        for (size, bytes) in [("100kB", 100_000), ("1MiB", 1_048_576), ("1.5 kB", 1500), ("65536", 65536)] {
            assert_eq!(text(size).size(), Ok(bytes), "{size}");
        }
        assert_eq!(Value::Toml(&DeValue::parse("7").unwrap().into_inner()).size(), Ok(7));
        for bad in ["", "big", "-5kB", "5 parrots"] {
            assert!(text(bad).size().unwrap_err().contains("is not a size such as"), "{bad}");
        }
    }

    #[test]
    fn lists_in_variables_are_written_either_way() {
        for list in ["a, b", "a,b,", "[\"a\", 'b']", " [ \"a\", \"b\", ]"] {
            assert_eq!(text(list).list().unwrap(), ["a", "b"], "{list}");
        }
        assert_eq!(text("").list(), Ok(Vec::new()));
        assert!(text("[\"a\"").list().unwrap_err().contains("is not a list such as"));
        // A secret that contains a comma needs the list notation.
        assert_eq!(text("[\"a,b\"]").secrets().unwrap(), ["a,b"]);
        assert_eq!(text(" ").secrets().unwrap(), [""]);
        assert!(!text("[12345]").secrets().unwrap_err().contains("12345"));
    }

    #[test]
    fn addresses_and_networks_are_read() {
        let networks = text("10.0.0.0/8, ::1, 127.0.0.1").networks().unwrap();
        assert_eq!(networks.len(), 3);
        assert!(networks[1].contains(&"::1".parse::<std::net::IpAddr>().unwrap()));
        assert!(text("10.0.0.0/99").networks().is_err());
    }
}
