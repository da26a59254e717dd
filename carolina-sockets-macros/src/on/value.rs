//! The values of `timeout` and `rate`.

use std::time::Duration;

/// `5s`, `500ms`, `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(format!("`{text}` is too short: it has to be longer than zero")),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("`{text}` is not a duration ({error})")),
    }
}

/// `20/s`, `100/m`, `5/500ms`.
pub(super) fn rate(text: &str) -> Result<(u32, Duration), String> {
    let (count, per) = text.split_once('/').ok_or_else(|| format!("`{text}` is not a rate: it has no `/`"))?;
    let count = count.trim();
    let number = count.parse::<u32>().map_err(|_| format!("`{count}` is not a number of events"))?;
    if number == 0 {
        return Err("a rate of 0 would let no event in".to_owned());
    }
    let per = per.trim();
    let per = if per.starts_with(|first: char| first.is_ascii_digit()) {
        duration(per)?
    } else {
        duration(&format!("1{per}")).map_err(|_| format!("`{per}` is not a unit of time"))?
    };
    Ok((number, per))
}
