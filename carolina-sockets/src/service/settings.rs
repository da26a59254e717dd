//! What a service is built from, and the setters for it, which [`Builder`](super::Builder), [`Serve`](super::Serve) and
//! [`Cli`](crate::Cli) share.

use std::{any::TypeId, fmt, sync::Arc};

use crate::{
    config::{Config, Reading},
    core::States,
    error::{Error, Result},
    identity::{Identify, SharedStore},
    plan::{Plan, PlanOptions},
    registry::Registry,
};

/// What an application sets before its service is built.
pub(crate) struct Settings {
    pub(crate) config: Option<Config>,
    pub(crate) discover: bool,
    /// Explicit mounts: type, name and path.
    pub(crate) mounts: Vec<(TypeId, &'static str, String)>,
    pub(crate) states: States,
    pub(crate) identify: Option<Arc<dyn Identify>>,
    pub(crate) store: Option<SharedStore>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: None,
            discover: true,
            mounts: Vec::new(),
            states: States::default(),
            identify: None,
            store: None,
        }
    }
}

impl Settings {
    /// The configuration that was given, or else is read.
    pub(crate) fn reading(&mut self) -> Reading {
        match (self.config.take(), self.discover) {
            (Some(config), _) => Reading::of(config),
            (None, true) => Reading::system(),
            (None, false) => Reading::of(Config::default()),
        }
    }

    /// What is to be mounted, where `has_state` tells which states there are.
    ///
    /// # Errors
    ///
    /// Every mistake in the configuration and in the channels together.
    pub(crate) fn plan(&self, reading: Reading, has_state: &dyn Fn(TypeId) -> bool) -> Result<(Config, Plan)> {
        let Reading { config, mut problems } = reading;
        if problems.is_empty() {
            problems = config.problems();
        }
        let options = PlanOptions { discover: self.discover, mounts: &self.mounts, has_state };
        match Plan::make(&Registry::linked(), &config, &options) {
            Ok(plan) if problems.is_empty() => Ok((config, plan)),
            Ok(_) => Err(Error::Config(problems)),
            Err(Error::Startup(more)) if !problems.is_empty() => {
                problems.extend(more);
                Err(Error::Config(problems))
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("discover", &self.discover)
            .field("mounts", &self.mounts)
            .finish_non_exhaustive()
    }
}

/// Gives a type the setters of the [`Settings`] that are in this field of it.
macro_rules! setters {
    ($of:ty, $($field:ident).+) => {
        impl $of {
            /// Runs with this configuration. If not called, [`Config::load`](crate::Config::load) reads file and
            /// environment; only a [`Builder`](crate::Builder) with explicit channels only
            /// ([`discover(false)`](Self::discover)) uses the defaults.
            pub fn config(mut self, config: $crate::config::Config) -> Self {
                self.$($field).+.config = Some(config);
                self
            }

            /// Provides a value to handlers that take `State<T>`. A second value of the same type replaces the first.
            pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
                self.$($field).+.states.insert(value);
                self
            }

            /// Whether all linked channels are mounted, which is the default. With `false`, only those that
            /// [`mount`](Self::mount) names are, which is useful in tests.
            pub fn discover(mut self, discover: bool) -> Self {
                self.$($field).+.discover = discover;
                self
            }

            /// Mounts a driver at a path, in place of the channel that declares it. An entry of `[channels]` for that
            /// path takes precedence (rule R2).
            pub fn mount<C: $crate::registry::Channel>(mut self, path: impl Into<String>) -> Self {
                self.$($field).+.mounts.push((std::any::TypeId::of::<C>(), C::DRIVER, path.into()));
                self
            }

            /// Identifies clients with the application's own [`Identify`](crate::Identify) instead of the session (rule
            /// R13).
            pub fn identify(mut self, identify: impl $crate::identity::Identify) -> Self {
                self.$($field).+.identify = Some(std::sync::Arc::new(identify));
                self
            }

            /// Keeps sessions in this store instead of the one that `session.store` names.
            pub fn session_store(mut self, store: impl tower_sessions::SessionStore) -> Self {
                self.$($field).+.store = Some($crate::identity::SharedStore::new(store));
                self
            }
        }
    };
}

/// Gives a type the setters of the `Serve` that is in this field of it, or that it is.
#[cfg(feature = "serve")]
macro_rules! serve_setters {
    ($of:ty $(, $field:ident)?) => {
        impl $of {
            /// Also serves these routes, under the session layer. `static_dir`, if set, replaces the router's own
            /// fallback.
            pub fn router(mut self, router: axum::Router) -> Self {
                self.$($field.)?router = router;
                self
            }

            /// Uses this listener instead of binding to the address in `bind`.
            pub fn listener(mut self, listener: tokio::net::TcpListener) -> Self {
                self.$($field.)?listener = Some(listener);
                self
            }
        }
    };
}

#[cfg(feature = "serve")]
pub(crate) use serve_setters;
pub(crate) use setters;
