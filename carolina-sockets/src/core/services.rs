use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock, Weak},
};

use super::Roster;
use crate::{backplane::Bus, engine::Engine, identity::Identities, presence::Presences, resume::Resumes};

/// What handlers and extractors use of the service.
pub(crate) struct Services {
    pub(crate) states: States,
    pub(crate) identities: Identities,
    /// To ask other nodes.
    pub(crate) bus: Bus,
    /// For a shutdown over some time.
    pub(crate) roster: Roster,
    /// Who is on which channel.
    pub(crate) presences: Presences,
    /// What is kept for clients that come back.
    pub(crate) resumes: Arc<Resumes>,
    /// Weak, since the engine owns the namespaces, and they own the services.
    engine: OnceLock<Weak<Engine>>,
    /// Who is told what happens to sockets.
    pub(crate) observed: super::Observed,
    #[cfg(feature = "testing")]
    pub(crate) tap: super::Tap,
}

impl Services {
    pub(crate) fn new(
        states: States,
        identities: Identities,
        bus: Bus,
        presences: Presences,
        resumes: Arc<Resumes>,
    ) -> Self {
        Self {
            states,
            identities,
            bus,
            roster: Roster::default(),
            presences,
            resumes,
            engine: OnceLock::new(),
            observed: super::Observed::default(),
            #[cfg(feature = "testing")]
            tap: super::Tap::default(),
        }
    }

    /// Set once: the engine is created after the services that it needs.
    pub(crate) fn set_engine(&self, engine: &Arc<Engine>) {
        let _ = self.engine.set(Arc::downgrade(engine));
    }

    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get()?.upgrade()
    }
}

/// Values by their types: the application's, and the service itself.
#[derive(Clone, Default)]
pub(crate) struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    /// Adds a value, and returns the one of the same type that it replaces.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.insert(TypeId::of::<T>(), Arc::new(value))
    }

    pub(crate) fn contains(&self, of: TypeId) -> bool {
        self.0.contains_key(&of)
    }

    pub(crate) fn remove<T: Send + Sync + 'static>(&mut self) -> Option<Arc<T>> {
        self.0.remove(&TypeId::of::<T>())?.downcast().ok()
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}
