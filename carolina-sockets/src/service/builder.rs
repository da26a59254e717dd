use std::{any::TypeId, collections::BTreeMap, fmt, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Engine, Inner, Sockets, control, nodes};
use crate::{
    backplane::BackplaneState,
    config::Config,
    error::{Error, Result},
    extract::{InitContext, States},
    guard::Guard,
    identity::{Identify, Identities, live},
    namespace::{Arm, Mount},
    plan::{Plan, PlanOptions},
    private::{Channel, ErasedChannel},
    registry::{
        Registry,
        row::{Call, On},
    },
};

/// Builds a service; see [`Sockets::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    config: Option<Config>,
    discover: bool,
    mounts: Vec<(TypeId, &'static str, String)>,
    states: States,
    /// In place of the configuration's, for tests: URL and prefix.
    backplane: Option<(String, String)>,
    identify: Option<Arc<dyn Identify>>,
    store: Option<crate::identity::SharedStore>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            config: None,
            discover: true,
            mounts: Vec::new(),
            states: States::default(),
            backplane: None,
            identify: None,
            store: None,
        }
    }
}

impl Builder {
    /// Runs with this configuration. Without, it is loaded by [`Config::load`] from file and environment; a service
    /// whose channels are picked by hand ([`discover(false)`](Self::discover)) takes the defaults.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Provides a value to handlers that take `State<T>`. A second value of one type replaces the first.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(value);
        self
    }

    /// Whether the channels that are linked in are mounted; by default they are. With `false`, only those are that
    /// [`mount`](Self::mount) names, which suits tests.
    pub fn discover(mut self, discover: bool) -> Self {
        self.discover = discover;
        self
    }

    /// Mounts a driver at a path, in place of the channel that declares it. An entry of `[channels]` for that path has
    /// the last word (rule R2).
    pub fn mount<C: Channel>(mut self, path: impl Into<String>) -> Self {
        self.mounts.push((TypeId::of::<C>(), C::DRIVER, path.into()));
        self
    }

    /// Finds out who a client is by the application's own way instead of by the session (rule R13).
    pub fn identify(mut self, identify: impl Identify) -> Self {
        self.identify = Some(Arc::new(identify));
        self
    }

    /// Keeps sessions in this store instead of the one that `session.store` names.
    pub fn session_store(mut self, store: impl tower_sessions::SessionStore) -> Self {
        self.store = Some(crate::identity::SharedStore::new(store));
        self
    }

    /// Connects the service to a backplane unless its configuration names one.
    #[cfg(feature = "testing")]
    pub(crate) fn backplane_for_tests(mut self, url: String, prefix: String) -> Self {
        self.backplane = Some((url, prefix));
        self
    }

    /// Checks everything, builds the channels and makes the service ready for clients.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for the configuration, [`Error::Startup`] with every clash and mistake among channels and
    /// configuration at once (rules R1 and R2), [`Error::Init`] when a channel's `#[on(init)]` fails,
    /// [`Error::Store`] when the session store, [`Error::Backplane`] when the backplane cannot be reached.
    pub async fn build(self) -> Result<Sockets> {
        let mut config = match (self.config, self.discover) {
            (Some(config), _) => config,
            (None, true) => Config::load()?,
            (None, false) => Config::default(),
        };
        if let Some((url, prefix)) = self.backplane.filter(|_| config.backplane.url.is_none()) {
            config.backplane.url = Some(url);
            config.backplane.prefix = prefix;
        }
        config.check()?;
        let plan = Plan::make(
            &Registry::linked(),
            &config,
            &PlanOptions { discover: self.discover, mounts: &self.mounts, has_state: &|of| self.states.contains(of) },
        )?;
        let stop = CancellationToken::new();
        let identities = Identities::open(&config, self.identify, self.store, &stop).await?;
        let backplane = BackplaneState::open(&config).await?;
        let (directory, bus) = (backplane.directory(), backplane.bus());
        let tasks = TaskTracker::new();
        let draining = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let engine = plan.sockets_on.then(|| Engine::new(&config, backplane));
        if !plan.sockets_on {
            tracing::info!(
                "web sockets are off: {}",
                match config.use_sockets {
                    Some(false) => "`use_sockets` is false",
                    _ => "no channel is declared or configured, but for disabled ones, and `use_sockets` is not true",
                }
            );
        }
        let inner = Arc::new_cyclic(|service| {
            let mount = |plan: crate::plan::MountPlan| {
                let path = plan.path.clone();
                (path, Arc::new(Mount::new(plan, &config.limits, tasks.clone(), draining.clone(), service.clone())))
            };
            Inner {
                mounts: plan.mounts.into_iter().map(mount).collect::<BTreeMap<_, _>>(),
                guard: Guard::new(&config),
                config,
                states: self.states,
                engine,
                identities,
                tasks,
                leaving: Default::default(),
                bus,
                stop,
                draining: draining.clone(),
            }
        });
        let sockets = Sockets::from(inner);
        sockets.open_mounts(&directory).await?;
        if sockets.is_on() {
            control::listen(&sockets).await?;
            nodes::watch(&sockets);
        }
        live::start(&sockets);
        Ok(sockets)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("discover", &self.discover)
            .field("mounts", &self.mounts)
            .finish_non_exhaustive()
    }
}

impl Sockets {
    /// Builds every channel, all of whose failures are told together, and then lets clients in.
    async fn open_mounts(&self, directory: &crate::backplane::Directory) -> Result {
        let Some(engine) = &self.inner().engine else { return Ok(()) };
        let mut failures = Vec::new();
        for mount in self.inner().mounts.values() {
            match self.build_channel(mount).await {
                Ok(channel) => mount.set_channel(channel),
                Err(error) => failures.push(error.to_string()),
            }
        }
        if !failures.is_empty() {
            return Err(Error::Startup(failures));
        }
        for mount in self.inner().mounts.values() {
            let ready = engine.io.ns(mount.path.clone(), Arm(mount.clone()));
            ready.await.map_err(|error| Error::Backplane(error.to_string()))?;
            if let Some(backplane) = directory.get(&mount.path) {
                mount.set_backplane(&backplane);
            }
        }
        Ok(())
    }

    /// One channel per mount: by `#[on(init)]`, else by `Default`.
    async fn build_channel(&self, mount: &Mount) -> Result<ErasedChannel> {
        let plan = &mount.plan;
        let init = plan.handlers.iter().find(|row| row.on == On::Init);
        match init.map(|row| (row, row.call)) {
            Some((row, Call::Init(build))) => build(InitContext { sockets: self.clone() })
                .await
                .map_err(|error| Error::Init(format!("{}: `{}` at `{}`: {error}", row.location, plan.driver, plan.path))),
            _ => (plan.row.default)().ok_or_else(|| {
                Error::Init(format!(
                    "{}: nothing builds `{}`, mounted at `{}`: derive `Default` for it, or give it an `#[on(init)]` function that returns `Self`",
                    plan.row.location, plan.driver, plan.path,
                ))
            }),
        }
    }
}
