//! One value, from the file or a variable, read as the type that its key wants. What is wrong is told as half a
//! sentence; the caller adds where.

use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use super::Transport;

/// A value on its way into the configuration.
pub(super) enum Value<'a> {
    /// From the file.
    Toml(&'a DeValue<'a>),
    /// From a variable.
    Text(&'a str),
}

type Read<T> = Result<T, String>;

impl Value<'_> {
    fn unfit<T>(&self, expected: &str) -> Read<T> {
        let found = match self {
            Self::Toml(value) => match value.as_str() {
                Some(text) => format!("`{text}`"),
                None => format!("a value of type {}", value.type_str()),
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
            _ => self.unfit("`true` or `false`"),
        }
    }

    pub(super) fn text(&self) -> Read<String> {
        match self {
            Self::Toml(DeValue::String(text)) => Ok(text.to_string()),
            Self::Text(text) => Ok((*text).to_owned()),
            Self::Toml(_) => self.unfit("a string in quotes"),
        }
    }

    pub(super) fn number<T: TryFrom<u64>>(&self) -> Read<T> {
        let expected = "a whole number that is not negative";
        let text = match self {
            Self::Toml(DeValue::Integer(number)) if number.radix() == 10 => number.as_str(),
            Self::Text(text) => text,
            Self::Toml(_) => return self.unfit(expected),
        };
        let number = text.replace('_', "").parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
        number.map_or_else(|| Err(format!("`{text}` is not {expected}")), Ok)
    }

    pub(super) fn positive<T: TryFrom<u64> + Default + PartialEq>(&self) -> Read<T> {
        let number = self.number::<T>()?;
        match number == T::default() {
            true => Err("0 would let nothing through; write at least 1".to_owned()),
            false => Ok(number),
        }
    }

    pub(super) fn duration(&self) -> Read<Duration> {
        let expected = "a duration such as \"10s\", \"500ms\" or \"7d\"";
        let Ok(text) = self.text() else { return self.unfit(expected) };
        match humantime::parse_duration(&text) {
            Ok(Duration::ZERO) | Err(_) => self.unfit(expected),
            Ok(duration) => Ok(duration),
        }
    }

    /// A number of bytes, with or without a unit.
    pub(super) fn size(&self) -> Read<u64> {
        if let Ok(number) = self.positive() {
            return Ok(number);
        }
        let expected = "a size such as \"100kB\" or \"1MiB\"";
        let Ok(text) = self.text() else { return self.unfit(expected) };
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
            _ => self.unfit(expected),
        }
    }

    /// A list; in a variable, separated by commas.
    pub(super) fn list(&self) -> Read<Vec<String>> {
        match self {
            Self::Toml(DeValue::Array(items)) => items.iter().map(|item| Value::Toml(item.get_ref()).text()).collect(),
            Self::Text(text) => {
                Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
            Self::Toml(DeValue::String(_)) | Self::Toml(_) => self.unfit("a list such as [\"…\", \"…\"]"),
        }
    }

    /// A list, or one string alone.
    pub(super) fn one_or_list(&self) -> Read<Vec<String>> {
        match self {
            Self::Toml(DeValue::String(text)) => Ok(vec![text.to_string()]),
            _ => self.list(),
        }
    }

    pub(super) fn transports(&self) -> Read<Vec<Transport>> {
        let read = |name: &String| match name.as_str() {
            "polling" => Ok(Transport::Polling),
            "websocket" => Ok(Transport::Websocket),
            other => Err(format!(
                "`{other}` is no transport{}; there are \"polling\" and \"websocket\"",
                crate::nearest::did_you_mean(other, ["polling", "websocket"])
            )),
        };
        let transports: Vec<Transport> = self.list()?.iter().map(read).collect::<Read<_>>()?;
        match transports.is_empty() {
            true => Err("without a transport nobody can connect; write [\"polling\", \"websocket\"]".to_owned()),
            false => Ok(transports),
        }
    }

    pub(super) fn networks(&self) -> Read<Vec<IpNet>> {
        let read = |text: &String| {
            let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
            net.map_err(|_| format!("`{text}` is no address or network such as \"10.0.0.0/8\""))
        };
        self.list()?.iter().map(read).collect()
    }
}
