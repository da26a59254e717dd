//! Redacts secrets and passwords from what messages and `Debug` show of the settings.

use std::fmt;

use super::{AdminConfig, BackplaneConfig, PublishConfig, SessionConfig};

impl fmt::Debug for SessionConfig {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("store", &without_password(&self.store))
            .field("cookie", &self.cookie)
            .field("secret", &format_args!("{} secrets", self.secret.len()))
            .field("user_key", &self.user_key)
            .field("ttl", &self.ttl)
            .field("recheck", &self.recheck)
            .field("secure", &self.secure)
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("same_site", &self.same_site)
            .field("marker", &self.marker)
            .finish()
    }
}

impl fmt::Debug for BackplaneConfig {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackplaneConfig")
            .field("url", &self.url.as_deref().map(without_password))
            .field("prefix", &self.prefix)
            .finish()
    }
}

impl fmt::Debug for AdminConfig {
    /// Without the password's hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminConfig")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("mode", &self.mode)
            .field("files", &self.files)
            .field("page", &self.page)
            .finish()
    }
}

impl fmt::Debug for PublishConfig {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishConfig")
            .field("secret", &format_args!("{} secrets", self.secret.len()))
            .field("path", &self.path)
            .field("max_body", &self.max_body)
            .finish()
    }
}

/// A URL without its password, for messages. If the text is not a URL, or its password was not percent-encoded, more
/// than the password is hidden rather than less.
pub(crate) fn without_password(url: &str) -> String {
    let (scheme, rest) = match url.find("://") {
        Some(end) => url.split_at(end + 3),
        None => ("", url),
    };
    let rest = match credentials(rest) {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => format!("{credentials}@{host}"),
        },
        None => rest.to_owned(),
    };
    format!("{scheme}{}", without_parameters(&rest))
}

/// Splits at the last `@`: a password that was not percent-encoded may contain `@`, `/` and `?`.
fn credentials(rest: &str) -> Option<(&str, &str)> {
    let (before, host) = rest.rsplit_once('@')?;
    // An `@` in the query only: `host/database?user=me@example`.
    let authority = before.find(['/', '?', '#']).map_or(before, |end| &before[..end]);
    let of_the_query =
        before.contains('?') && before.split_once(':').is_none_or(|(host, _)| host.len() > authority.len());
    (!of_the_query).then_some((before, host))
}

/// Hides the values of `password=…` parameters, which PostgreSQL URLs may have.
fn without_parameters(text: &str) -> String {
    const NAME: &str = "password=";
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.to_ascii_lowercase().find(NAME) {
        let (before, value) = rest.split_at(start + NAME.len());
        shown.push_str(before);
        shown.push_str("***");
        rest = value.find(['&', ' ', '#']).map_or("", |end| &value[end..]);
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn passwords_are_hidden() {
        for (url, shown) in [
            ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
            ("postgres://me:s3cret@host/db?sslmode=require", "postgres://me:***@host/db?sslmode=require"),
            ("postgres://host/db?user=me&password=secret&x=1", "postgres://host/db?user=me&password=***&x=1"),
            ("postgres://host/db?Password=secret&sslpassword=other", "postgres://host/db?Password=***&sslpassword=***"),
            ("postgres://host:5432/db?user=me", "postgres://host:5432/db?user=me"),
            ("postgres://host/db?user=me@example", "postgres://host/db?user=me@example"),
            // Not percent-encoded, but hidden nevertheless.
            ("redis://:se/cr?et@host:6379", "redis://:***@host:6379"),
            ("redis://me:se@cret@host", "redis://me:***@host"),
            ("me:secret@host:6379", "me:***@host:6379"),
            ("redis:me:secret@host", "redis:***@host"),
            ("redis://me@host", "redis://me@host"),
            ("redis://host", "redis://host"),
            ("memory", "memory"),
            ("", ""),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }

    #[test]
    fn debug_shows_neither_secrets_nor_passwords() {
        let mut config = Config::default();
        config.publish.secret.push("nor should anybody see this secret".to_owned());
        let config = config
            .secret("do not show this secret to anybody!")
            .store("postgres://me:hidden@host/db")
            .backplane_url("redis://:hidden@host");
        let printed = format!("{config:?}");
        assert!(!printed.contains("anybody") && !printed.contains("hidden"), "{printed}");
        assert!(printed.contains("me:***@host/db") && printed.contains("1 secrets"), "{printed}");
    }
}
