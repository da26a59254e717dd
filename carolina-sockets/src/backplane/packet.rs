//! Checks what comes from the backplane before it reaches a client: events, and nothing else.

use std::fmt;

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::event_name::RESERVED;
#[cfg(any(feature = "redis", feature = "postgres"))]
use crate::template::Template;

/// Checks an adapter's request that came from another node.
///
/// # Errors
///
/// What is wrong with it.
#[cfg(any(feature = "redis", feature = "postgres"))]
pub(super) fn check_request(
    request: &socketioxide_core::adapter::remote_packet::RequestIn,
    namespace: &str,
) -> Result<(), String> {
    use socketioxide_core::{Value, adapter::remote_packet::RequestTypeIn as Type, packet::PacketData};

    let packet = match &request.r#type {
        Type::Heartbeat | Type::InitHeartbeat => return Ok(()),
        _ if request.opts.is_none() => return Err("a request without options".to_owned()),
        Type::Broadcast(packet) | Type::BroadcastWithAck(packet) => packet,
        _ => return Ok(()),
    };
    let is_own = *packet.ns == *namespace
        // Where the channel has parameters, it is an instance's packet.
        || namespace.contains('{') && Template::parse(namespace).is_some_and(|template| template.matches(&packet.ns));
    if !is_own {
        return Err(format!("a packet of the namespace {:?}", &*packet.ns));
    }
    match &packet.inner {
        PacketData::Event(Value::Str(text, attachments), None)
        | PacketData::BinaryEvent(Value::Str(text, attachments), None) => {
            let count = attachments.as_ref().map_or(0, |attachments| attachments.len());
            if (count > 0) != packet.inner.is_binary() {
                return Err("a packet whose type does not fit its attachments".to_owned());
            }
            check_event(text, count)
        }
        _ => Err("a packet that is not an event".to_owned()),
    }
}

/// Checks the text of an event's packet: a JSON array that begins with the event's name, which is not reserved. Each attachment has one
/// placeholder.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn check_event(text: &str, attachments: usize) -> Result<(), String> {
    let mut placed = vec![false; attachments];
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_seq(Event(&mut placed)).and_then(|()| reader.end());
    read.map_err(|error| format!("an event that cannot be read: {error}"))?;
    match placed.iter().position(|placed| !placed) {
        Some(number) => Err(format!("an event without a place for its attachment {number}")),
        None => Ok(()),
    }
}

/// Visits the packet's array, and notes which attachments have a place.
struct Event<'a>(&'a mut [bool]);

impl<'de> Visitor<'de> for Event<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's name and arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        if sequence.next_element_seed(Name)?.is_none() {
            return Err(A::Error::custom("no event's name"));
        }
        // In a packet without attachments placeholders mean nothing.
        if self.0.is_empty() {
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while sequence.next_element_seed(Walk(self.0))?.is_some() {}
        Ok(())
    }
}

/// Reads a string that may be an event's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        if RESERVED.contains(&name) {
            return Err(E::custom(format_args!("Socket.IO reserves the name `{name}`")));
        }
        Ok(())
    }
}

/// Looks for placeholders in a value.
struct Walk<'a>(&'a mut [bool]);

/// What a placeholder is made of.
enum Found {
    True,
    Number(u64),
    Other,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found, E> {
        Ok(if value { Found::True } else { Found::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found, E> {
        Ok(Found::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Found, A::Error> {
        while sequence.next_element_seed(Walk(&mut *self.0))?.is_some() {}
        Ok(Found::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let (mut placeholder, mut number) = (false, None);
        while let Some(key) = map.next_key::<Key>()? {
            let value = map.next_value_seed(Walk(&mut *self.0))?;
            match (key, value) {
                (Key::Placeholder, value) => placeholder = matches!(value, Found::True),
                (Key::Num, Found::Number(value)) => number = Some(value),
                _ => {}
            }
        }
        if placeholder {
            let place = number.and_then(|number| self.0.get_mut(usize::try_from(number).ok()?));
            match place {
                None => return Err(A::Error::custom("a placeholder for an attachment that is not there")),
                Some(true) => return Err(A::Error::custom("two placeholders for one attachment")),
                Some(place) => *place = true,
            }
        }
        Ok(Found::Other)
    }
}

#[derive(Deserialize)]
enum Key {
    #[serde(rename = "_placeholder")]
    Placeholder,
    #[serde(rename = "num")]
    Num,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = r#"{"_placeholder":true,"num":0}"#;
    const ONE: &str = r#"{"num":1,"_placeholder":true}"#;

    #[test]
    fn events_pass() {
        for (text, attachments) in [
            (r#"["news"]"#.to_owned(), 0),
            (r#"["né\n",1,-2,3.5,null,true,false,"x",[],{"a":{}}]"#.to_owned(), 0),
            // Data that look like a placeholder.
            (format!(r#"["news",{ZERO},{ZERO}]"#), 0),
            (format!(r#"["news",{ZERO}]"#), 1),
            (
                format!(
                    r#"["news",{{"a":[{ONE},-1,2.5,null]}},{ZERO},{{"_placeholder":false,"num":7}},{{"num":"x"}}]"#
                ),
                2,
            ),
            (format!(r#"["news",{}1{}]"#, "[".repeat(5000), "]".repeat(5000)), 0),
        ] {
            assert_eq!(check_event(&text, attachments), Ok(()), "{text}");
        }
    }

    #[test]
    fn anything_else_does_not() {
        for (text, attachments) in [
            (String::new(), 0),
            ("garbage".to_owned(), 0),
            ("[]".to_owned(), 0),
            ("[1]".to_owned(), 0),
            (r#"{"a":1}"#.to_owned(), 0),
            (r#"["news"]["news"]"#.to_owned(), 0),
            (r#"["news",]"#.to_owned(), 0),
            (r#"["news""#.to_owned(), 0),
            (r#"["disconnect"]"#.to_owned(), 0),
            (r#"["news"]"#.to_owned(), 1),
            (format!(r#"["news",{ZERO}]"#), 2),
            (format!(r#"["news",{ONE}]"#), 1),
            (format!(r#"["news",{ZERO},{ZERO}]"#), 1),
            (format!(r#"["news",{ZERO},{ONE}]"#), 1),
            (r#"["news",{"_placeholder":true}]"#.to_owned(), 1),
            (r#"["news",{"_placeholder":true,"num":-1}]"#.to_owned(), 1),
        ] {
            assert!(check_event(&text, attachments).is_err(), "{text} with {attachments}");
        }
    }
}
