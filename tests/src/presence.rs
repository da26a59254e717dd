//! What a client knows of who is on a channel.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a client knows, kept as strictly as the server promises it: nothing joins that is there, nothing leaves that is not.
#[derive(Debug, Default)]
pub struct Mirror(BTreeMap<String, BTreeMap<String, Value>>);

impl Mirror {
    fn metas(listed: &Value) -> impl Iterator<Item = (String, String, Value)> {
        let listed = listed.as_object().expect("an object").clone();
        listed.into_iter().flat_map(|(key, entry)| {
            let metas = entry["metas"].as_array().expect("a list").clone();
            metas.into_iter().map(move |meta| (key.clone(), meta["ref"].as_str().expect("a text").to_owned(), meta))
        })
    }

    /// `presence_state` has come.
    pub fn state(&mut self, state: &Value) {
        self.0.clear();
        self.join(state);
    }

    fn join(&mut self, joins: &Value) {
        for (key, reference, meta) in Self::metas(joins) {
            let before = self.0.entry(key).or_default().insert(reference, meta);
            assert!(before.is_none(), "joined twice: {before:?}");
        }
    }

    /// `presence_diff` has come.
    pub fn diff(&mut self, diff: &Value) {
        self.join(&diff["joins"]);
        for (key, reference, meta) in Self::metas(&diff["leaves"]) {
            let metas = self.0.get_mut(&key).unwrap_or_else(|| panic!("{key} is not there and leaves"));
            assert_eq!(metas.remove(&reference), Some(meta), "what leaves has joined");
            if metas.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// The keys with their values, without references.
    pub fn list(&self) -> Vec<(String, Vec<Value>)> {
        let values = |metas: &BTreeMap<String, Value>| {
            let mut values: Vec<Value> = metas.values().cloned().collect();
            values.iter_mut().for_each(|value| drop(value.as_object_mut().expect("an object").remove("ref")));
            sorted(values)
        };
        self.0.iter().map(|(key, metas)| (key.clone(), values(metas))).collect()
    }
}

/// Values in an order that does not depend on references.
pub fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(Value::to_string);
    values
}
