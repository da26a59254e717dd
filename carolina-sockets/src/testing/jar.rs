use std::{collections::BTreeMap, sync::Arc};

use cookie::{Cookie, time::Duration};
use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;

/// Cookies by their names, shared with its clones.
#[derive(Clone, Debug, Default)]
pub(super) struct Jar(Arc<Mutex<BTreeMap<String, String>>>);

impl Jar {
    /// One with the same cookies that goes its own way.
    pub(super) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().clone())))
    }

    pub(super) fn set(&self, name: &str, value: &str) {
        self.0.lock().insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.lock().get(name).cloned()
    }

    /// Adds the cookies to a request, unless it has some of its own.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        let cookies: Vec<String> = self.0.lock().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Ok(cookies) = HeaderValue::try_from(cookies.join("; "))
            && !cookies.is_empty()
        {
            headers.entry(header::COOKIE).or_insert(cookies);
        }
    }

    /// Keeps the cookies that a response sets, and drops those that it removes.
    pub(super) fn keep(&self, headers: &HeaderMap) {
        let mut cookies = self.0.lock();
        for set in headers.get_all(header::SET_COOKIE) {
            let Some(cookie) = set.to_str().ok().and_then(|text| Cookie::parse(text).ok()) else { continue };
            if cookie.max_age().is_some_and(|age| age <= Duration::ZERO) {
                cookies.remove(cookie.name());
            } else {
                cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }
}
