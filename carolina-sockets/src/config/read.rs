//! Reads a configuration from its file and variables. Unknown keys, wrong types and bad values are collected, so that
//! all of them are reported at once (rule R2).

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ChannelConfig, Config, check,
    keys::{CHANNEL_KEYS, CHANNELS, KEYS, SECTIONS, SWITCHES, suggest, suggest_for_variable, variable_of},
    source::{DEFAULT_FILE, PREFIX, Place, Source},
    value::{Value, table},
};
use crate::{
    error::{Error, Result},
    suggest::did_you_mean,
};

/// What could be read of a configuration, and every mistake in it: further mistakes, in the channels, are found in spite of
/// them.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) config: Config,
    pub(crate) problems: Vec<String>,
}

impl Reading {
    /// Reads the configuration's file and the environment.
    pub(crate) fn system() -> Self {
        let (reading, told) = Self::system_untold();
        if let Some(told) = told {
            tracing::info!("{told}");
        }
        reading
    }

    /// The same, and what the log is to say of it.
    pub(crate) fn system_untold() -> (Self, Option<String>) {
        let source = Source::system();
        let told = match &source.file {
            Some((name, _)) => format!("configured by `{name}`"),
            None => format!("no `{DEFAULT_FILE}` in this folder: the defaults hold"),
        };
        (read(&source), Some(told))
    }

    /// A configuration made in code. It has not been checked.
    pub(crate) fn of(config: Config) -> Self {
        Self { config, problems: Vec::new() }
    }

    /// The configuration, if nothing is wrong with it.
    pub(crate) fn into_result(self) -> Result<Config> {
        if self.problems.is_empty() { Ok(self.config) } else { Err(Error::Config(self.problems)) }
    }
}

/// Reads a configuration.
pub(super) fn read(source: &Source) -> Reading {
    let mut reading =
        Reader { config: Config::default(), places: Vec::new(), problems: Vec::new(), unread: Vec::new() };
    if let Some((name, text)) = &source.file {
        File { name, text }.read(&mut reading);
    }
    for (name, value) in &source.variables {
        reading.variable(name, value);
    }
    reading.finish(&source.problems)
}

/// The configuration read so far.
struct Reader {
    config: Config,
    /// Where each key was set, for messages about its value.
    places: Vec<(&'static str, Place)>,
    problems: Vec<(Place, String)>,
    /// Entries of `[channels]` with a mistake in them.
    unread: Vec<String>,
}

impl Reader {
    fn finish(mut self, unread: &[String]) -> Reading {
        for fault in check::faults(&self.config) {
            let place = fault.place.or_else(|| {
                let set = self.places.iter().rev().find(|(key, _)| *key == fault.key);
                // A key that is missing: beside those of its section that are there.
                let section = fault.key.split_once('.').map(|(section, _)| section);
                let beside = || self.places.iter().find(|(key, _)| key.split_once('.').map(|(of, _)| of) == section);
                let place = set.or_else(|| section.and_then(|_| beside()));
                place.map(|(_, place)| place.clone())
            });
            self.problem(place.unwrap_or(Place::Code), &fault.key, &fault.problem);
        }
        // In the order of lines, in which a file is corrected.
        self.problems.sort_by(|(one, _), (other, _)| one.cmp(other));
        let told = self.problems.into_iter().map(|(place, problem)| format!("{place}: {problem}"));
        let problems: Vec<String> = unread.iter().cloned().chain(told).collect();
        // What such an entry means is not known.
        for path in &self.unread {
            self.config.channels.remove(path);
        }
        Reading { config: self.config, problems }
    }

    fn problem(&mut self, place: Place, key: &str, problem: &str) {
        self.problems.push((place, format!("{key}: {problem}")));
    }

    fn variable(&mut self, name: &str, value: &str) {
        let place = Place::Variable(name.to_owned());
        if name == variable_of(CHANNELS) {
            return match table(value) {
                Ok(DeValue::Table(channels)) => {
                    channels.iter().for_each(|(path, entry)| self.channel(path.get_ref(), entry.get_ref(), &place));
                }
                Ok(_) => {}
                Err(problem) => self.problem(place, CHANNELS, &problem),
            };
        }
        match KEYS.iter().chain(&SWITCHES).find(|(key, _)| variable_of(key) == name) {
            Some((key, _)) => self.set(key, &Value::Text(value), place),
            None => self.unknown_variable(name, place),
        }
    }

    fn unknown_variable(&mut self, name: &str, place: Place) {
        let bare = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase();
        let key = bare.replace("__", ".");
        if let Some(section) = SECTIONS.iter().find(|section| **section == bare) {
            let known = KEYS.iter().find(|(key, _)| key.starts_with(section));
            let example = known.map(|(key, _)| variable_of(key)).unwrap_or_default();
            return self.problem(place, &key, &format!("is a section: set its keys one by one, as `{example}`"));
        }
        if key.starts_with("channels.") {
            let channels = variable_of(CHANNELS);
            let problem =
                format!("is given as a whole: {channels}='{{ \"/other\" = {{ driver = \"MyCustomChannel\" }} }}'");
            return self.problem(place, CHANNELS, &problem);
        }
        let near = suggest_for_variable(name, &key);
        let problem = if near.is_empty() {
            let own = format!("variables that begin with `{PREFIX}` are settings; give one of your own another name");
            format!("unknown key; {own}")
        } else {
            format!("unknown key{near}")
        };
        self.problem(place, &key, &problem);
    }

    fn set(&mut self, key: &str, value: &Value<'_>, place: Place) {
        let Some((key, set)) = KEYS.iter().chain(&SWITCHES).find(|(known, _)| *known == key) else {
            let problem = format!("unknown key{}", suggest(key));
            return self.problem(place, key, &problem);
        };
        match set(&mut self.config, value) {
            Ok(()) => self.places.push((key, place)),
            Err(problem) => self.problem(place, key, &problem),
        }
    }

    /// An entry of `[channels]`. One from a variable replaces the file's entry for that path.
    fn channel(&mut self, path: &str, entry: &DeValue<'_>, place: &Place) {
        let key = format!("{CHANNELS}.{path:?}");
        let DeValue::Table(entries) = entry else {
            let driver = entry.as_str().unwrap_or("MyCustomChannel");
            let problem = format!("is not a table such as {{ driver = \"{driver}\" }}");
            return self.problem(place.clone(), &key, &problem);
        };
        let mut channel = ChannelConfig { place: place.clone(), ..ChannelConfig::default() };
        for (name, value) in entries {
            let value = Value::Toml(value.get_ref());
            let set = match name.get_ref().as_ref() {
                "driver" => value.text().map(|value| channel.driver = Some(value)),
                "private" => value.boolean().map(|value| channel.private = Some(value)),
                "enabled" => value.boolean().map(|value| channel.enabled = value),
                unknown => Err(format!("unknown key{}", did_you_mean(unknown, CHANNEL_KEYS))),
            };
            if let Err(problem) = set {
                self.problem(place.clone(), &format!("{key}.{}", name.get_ref()), &problem);
                self.unread.push(path.to_owned());
            }
        }
        self.config.channels.insert(path.to_owned(), channel);
    }
}

/// A file's name and text.
#[derive(Clone, Copy)]
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn place(self, offset: usize) -> Place {
        Place::in_file(self.name, self.text, offset)
    }

    fn read(self, reading: &mut Reader) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let mut broken = None;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            match error.message() {
                // The rest of the file is still valid.
                "duplicate key" => {
                    let key = self.text.get(span.clone()).unwrap_or_default();
                    reading.problem(self.place(span.start), key, "is there twice; keep one of the two");
                }
                message => {
                    broken = broken.into_iter().chain([span.start]).min();
                    reading.problems.push((self.place(span.start), message.to_owned()));
                }
            }
        }
        // Keys after a syntax error are not checked: a broken [section] would assign its keys to the previous one.
        let broken = broken.map(|offset| self.place(offset));
        let sound = |place: &Place| broken.as_ref().is_none_or(|broken| place < broken);
        for (key, value) in table.get_ref() {
            let (section, place) = (key.get_ref().as_ref(), self.place(key.span().start));
            if sound(&place) {
                self.entry(section, value, place, &sound, reading);
            }
        }
    }

    fn entry(
        self,
        section: &str,
        value: &Spanned<DeValue<'_>>,
        place: Place,
        sound: &dyn Fn(&Place) -> bool,
        reading: &mut Reader,
    ) {
        match value.get_ref() {
            DeValue::Table(entries) if section == CHANNELS || SECTIONS.contains(&section) => {
                for (key, value) in entries {
                    let place = self.place(key.span().start);
                    match section {
                        _ if !sound(&place) => {}
                        CHANNELS => reading.channel(key.get_ref(), value.get_ref(), &place),
                        section => {
                            let full = format!("{section}.{}", key.get_ref());
                            reading.set(&full, &Value::Toml(value.get_ref()), place);
                        }
                    }
                }
            }
            _ if section == CHANNELS => reading.problem(
                place,
                section,
                "is a section: write [channels] and below it \"/other\" = { driver = \"MyCustomChannel\" }",
            ),
            _ if SECTIONS.contains(&section) && SWITCHES.iter().all(|(switch, _)| *switch != section) => {
                reading.problem(place, section, &format!("is a section: write [{section}] and its keys below"));
            }
            value => reading.set(section, &Value::Toml(value), place),
        }
    }
}
