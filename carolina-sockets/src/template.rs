//! Paths with parameters: `/orders/{id}` and its instances, `/orders/42` (rule R18).
//!
//! An instance has one canonical path, in which only what a path cannot have is percent-encoded. Clients may write it in
//! other ways.

use std::borrow::Cow;

use crate::path::{is_refused, parameter};

/// A path with at least one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    path: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

/// A parameter's name and its value, decoded.
pub(crate) type Value<'a> = (&'a str, Cow<'a, str>);

impl Template {
    /// `None` for a path without parameters.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<Segment> = segments(path)
            .map(|segment| match parameter(segment) {
                Some(name) => Segment::Parameter(name.to_owned()),
                None => Segment::Literal(segment.to_owned()),
            })
            .collect();
        let has_parameter = segments.iter().any(|segment| matches!(segment, Segment::Parameter(_)));
        has_parameter.then(|| Self { path: path.to_owned(), segments })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The names of the parameters, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let names = self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        });
        names.collect()
    }

    /// Whether a path is one of its instances, apart from what the parameters have to be.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut given = segments(path);
        let fits = path.starts_with('/')
            && self.segments.iter().all(|segment| match (segment, given.next()) {
                (Segment::Literal(literal), Some(given)) => literal == given,
                (Segment::Parameter(_), Some(_)) => true,
                (_, None) => false,
            });
        fits && given.next().is_none()
    }

    /// The parameters of an instance.
    ///
    /// # Errors
    ///
    /// The name and the text of the first one that is empty, or that is not UTF-8 when decoded.
    pub(crate) fn values<'a>(&'a self, path: &'a str) -> Result<Vec<Value<'a>>, (&'a str, &'a str)> {
        let mut values = Vec::with_capacity(1);
        for (segment, given) in self.segments.iter().zip(segments(path)) {
            let Segment::Parameter(name) = segment else { continue };
            match decoded(given) {
                Some(value) if !value.is_empty() => values.push((name.as_str(), value)),
                _ => return Err((name, given)),
            }
        }
        Ok(values)
    }

    /// An instance's canonical path. What cannot be decoded stays as it is.
    pub(crate) fn canonical<'a>(&'a self, path: &'a str) -> Cow<'a, str> {
        match self.values(path) {
            Ok(values) => {
                let canonical = self.fill(values.iter().map(|(_, value)| &**value));
                if canonical == path { Cow::Borrowed(path) } else { Cow::Owned(canonical) }
            }
            Err(_) => Cow::Borrowed(path),
        }
    }

    /// The path of the instance with these values, one for each parameter.
    pub(crate) fn fill<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> String {
        let (mut path, mut values) = (String::with_capacity(self.path.len() + 16), values.into_iter());
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Literal(literal) => path.push_str(literal),
                Segment::Parameter(_) => encode(values.next().unwrap_or_default(), &mut path),
            }
        }
        path
    }

    /// Whether there is a path that both match.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(other)) => one == other,
                _ => true,
            })
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// A segment without its percent-encoding; `None` if that is not UTF-8. A `%` that encodes nothing stands for itself.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = segment.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                // Two digits make a byte.
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Percent-encodes what a segment of a path cannot have.
fn encode(value: &str, to: &mut String) {
    for character in value.chars() {
        if matches!(character, '%' | '/') || is_refused(character) {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                to.push('%');
                to.extend(
                    [byte >> 4, byte & 15]
                        .map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or_default().to_ascii_uppercase()),
                );
            }
        } else {
            to.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(path: &str) -> Template {
        Template::parse(path).unwrap()
    }

    #[test]
    fn r18_a_template_matches_its_instances() {
        assert!(Template::parse("/orders").is_none());
        let orders = template("/orders/{id}");
        for (path, matches) in [
            ("/orders/42", true),
            ("/orders/", true),
            ("/orders/{id}", true),
            ("/orders", false),
            ("/orders/42/lines", false),
            ("/other/42", false),
            ("orders/42", false),
            ("/", false),
        ] {
            assert_eq!(orders.matches(path), matches, "{path}");
        }
        let both = template("/{tenant}/orders/{id}");
        assert!(both.matches("/a/orders/1") && !both.matches("/a/other/1"));
        assert_eq!(both.names(), ["tenant", "id"]);
    }

    #[test]
    fn r18_parameters_are_decoded_and_written_in_one_way() {
        let orders = template("/orders/{id}");
        for (path, value, canonical) in [
            ("/orders/42", "42", "/orders/42"),
            ("/orders/%34%32", "42", "/orders/42"),
            ("/orders/größe", "größe", "/orders/größe"),
            ("/orders/gr%C3%B6%c3%9fe", "größe", "/orders/größe"),
            ("/orders/a b", "a b", "/orders/a%20b"),
            ("/orders/a%2Fb", "a/b", "/orders/a%2Fb"),
            ("/orders/a%2Cb%3F%23", "a,b?#", "/orders/a%2Cb%3F%23"),
            ("/orders/100%", "100%", "/orders/100%25"),
            ("/orders/{id}", "{id}", "/orders/%7Bid%7D"),
            ("/orders/%00", "\0", "/orders/%00"),
        ] {
            assert_eq!(orders.values(path), Ok(vec![("id", value.into())]), "{path}");
            assert_eq!(orders.canonical(path), canonical, "{path}");
            assert_eq!(orders.canonical(canonical), canonical, "{path}");
            assert_eq!(orders.values(canonical), Ok(vec![("id", value.into())]), "{path}");
        }
        assert_eq!(orders.values("/orders/"), Err(("id", "")));
        assert_eq!(orders.values("/orders/%ff"), Err(("id", "%ff")));
        assert_eq!(template("/{a}/x/{b}").fill(["1", "2/3"]), "/1/x/2%2F3");
    }

    #[test]
    fn r18_templates_overlap_where_one_path_could_be_either() {
        for (one, other, overlap) in [
            ("/a/{x}", "/a/{y}", true),
            ("/a/{x}", "/{y}/b", true),
            ("/a/{x}", "/b/{y}", false),
            ("/a/{x}", "/a/{x}/c", false),
        ] {
            assert_eq!(template(one).overlaps(&template(other)), overlap, "{one} {other}");
        }
    }
}
