use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Inner, Sockets, admin,
    contract_page::ContractPage,
    control,
    extract::ServiceRef,
    health::Readiness,
    nodes,
    publish::Publisher,
    settings::{Settings, setters},
    shutdown::Ending,
};
use crate::{
    background::Background,
    backplane::BackplaneState,
    config::{Config, Reading},
    core::{ChannelCore, DeclaredEmits, Services, States},
    dispatch::{HandlerTable, enrich},
    engine::Engine,
    error::{Caused, Error, Result},
    extract::InitContext,
    guard::Guard,
    http::SessionLayer,
    identity::Identities,
    namespace::{ConnectHook, Namespace},
    plan::MountPlan,
    presence::Presences,
    registry::row::{Call, ErasedChannel, On},
    resume::Resumes,
    session_sync::SessionSync,
    telemetry::histogram,
};

/// Builds a service; see [`Sockets::builder`].
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Debug, Default)]
pub struct Builder {
    settings: Settings,
    /// For tests, replaces the configured one: URL and prefix.
    backplane: Option<(String, String)>,
    /// For tests, which need no secret.
    is_test: bool,
}

setters!(Builder, settings);

impl From<Settings> for Builder {
    fn from(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }
}

impl Builder {
    /// Leaves out warnings that concern servers only.
    #[cfg(feature = "testing")]
    pub(crate) fn for_tests(mut self) -> Self {
        self.is_test = true;
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
    /// [`Error::Config`] or [`Error::Startup`] with every conflict and mistake in configuration and channels at once (rules R1 and
    /// R2), [`Error::Init`] when a channel's `#[on(init)]` fails, [`Error::Store`]
    /// when the session store, [`Error::Backplane`] when the backplane cannot be reached.
    pub async fn build(mut self) -> Result<Sockets> {
        let reading = self.settings.reading();
        self.build_with(reading).await
    }

    /// The same with a configuration that was read before. What is wrong with it is reported with the rest.
    pub(super) async fn build_with(self, mut reading: Reading) -> Result<Sockets> {
        let settings = self.settings;
        if let Some((url, prefix)) = self.backplane.filter(|_| reading.config.backplane.url.is_none()) {
            reading.config.backplane.url = Some(url);
            reading.config.backplane.prefix = prefix;
        }
        let (config, plan) = settings.plan(reading, &|of| settings.states.contains(of))?;
        let contract_page = ContractPage::of(&plan, &config)?;
        if config.session.secret.is_empty() && !self.is_test {
            tracing::warn!(
                "session.secret is not set: a random one is used, so sessions end with this process and hold on this node alone; make one with `openssl rand -base64 48`"
            );
        }
        histogram::measure_if_recorded();
        let stop = CancellationToken::new();
        let background = Background::new(stop.clone());
        let identities = Identities::connect(&config, settings.identify, settings.store, &stop).await?;
        let backplane = BackplaneState::connect(&config).await?;
        let bus = backplane.bus();
        let (tasks, draining, closed_to_clients) =
            (TaskTracker::new(), Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let guard = Arc::new(Guard::new(&config));
        if !plan.sockets_on {
            log_disabled(&config);
        }
        let engine = plan.sockets_on.then(|| {
            Arc::new(Engine::new(&config, backplane, guard.clone(), background.clone(), closed_to_clients.clone()))
        });
        let store = identities.sessions().store().clone();
        let session_layer = SessionLayer::new(store, identities.cookie_keys().clone(), &config);
        let inner = Arc::new_cyclic(|service| {
            let mut states = settings.states;
            states.insert(ServiceRef(service.clone()));
            let presences = Presences::new(bus.clone(), config.presence.clone(), config.limits.connections);
            let resumes = Resumes::new(config.resume.clone(), &bus, config.limits.connections);
            let services = Arc::new(Services::new(states, identities, bus.clone(), presences, Arc::new(resumes)));
            if let Some(engine) = &engine {
                services.set_engine(engine);
            }
            let mut namespaces = BTreeMap::new();
            for plan in plan.mounts {
                let limits = config.limits.clone();
                let (table, rates) = HandlerTable::new(&plan.handlers, plan.row.guards, plan.private, &limits);
                let table = Arc::new(table);
                let core = ChannelCore::new(
                    plan.path.clone(),
                    limits,
                    rates,
                    DeclaredEmits::new(plan.row.emits.iter().map(|row| row.event)),
                    services.clone(),
                    tasks.clone(),
                    table.clone(),
                    draining.clone(),
                );
                let default = services.presences.linger();
                let linger = plan.row.presence.map(|row| row.linger.unwrap_or(default));
                let core = core.with_presence(linger, enrich(&table, &services.states, &plan.path));
                let core = core.with_resume(plan.row.resume.map(|row| row.disconnect_now));
                namespaces.insert(plan.path.clone(), Namespace { core: Arc::new(core), table, plan });
            }
            let channels = namespaces.values().map(|namespace| namespace.core.clone()).collect();
            let session_sync = SessionSync::new(channels, services.clone(), bus.clone());
            let publisher = Publisher::new(&config);
            Inner {
                config,
                namespaces,
                engine,
                guard,
                services,
                session_layer,
                session_sync,
                tasks,
                bus,
                contract_page,
                stop,
                background,
                draining,
                reached: AtomicBool::new(false),
                publisher,
                closed_to_clients,
                readiness: Readiness::default(),
                ending: Ending::default(),
                #[cfg(feature = "admin")]
                admin: std::sync::OnceLock::new(),
            }
        });
        let sockets = Sockets::from(inner);
        sockets.register_namespaces().await?;
        admin::open(&sockets).await?;
        if sockets.is_on() {
            control::listen(&sockets).await?;
            control::follow_logs(&sockets).await?;
            sockets.inner().services.resumes.start(&sockets.inner().background);
            nodes::watch(&sockets);
            let mut cores = sockets.inner().namespaces.values().map(|namespace| &namespace.core);
            if let Some(core) = cores.find(|core| core.linger.is_some()) {
                let (presences, namespace) = (&sockets.inner().services.presences, core.namespace()?.clone());
                presences.start(&sockets.inner().background, namespace).await;
            }
        }
        sockets.inner().session_sync.start(&sockets.inner().background);
        Ok(sockets)
    }
}

/// Logs why web sockets are off (rule R4).
fn log_disabled(config: &Config) {
    let reason = if config.use_sockets == Some(false) {
        "`use_sockets` is false"
    } else {
        "no channel is declared or configured, but for disabled ones, and `use_sockets` is not true"
    };
    tracing::info!("web sockets are off: {reason}");
}

impl Sockets {
    /// Builds every channel, reporting all failures together, and then registers the namespaces.
    async fn register_namespaces(&self) -> Result {
        let inner = self.inner();
        let Some(engine) = &inner.engine else { return Ok(()) };
        let mut failures = Vec::new();
        for namespace in inner.namespaces.values() {
            match build_channel(&namespace.plan, &inner.services.states).await {
                Ok(channel) => namespace.table.set_channel(channel),
                Err(error) => failures.push(error.to_string()),
            }
        }
        if !failures.is_empty() {
            return Err(Error::Startup(failures));
        }
        for (path, namespace) in &inner.namespaces {
            let (core, table) = (namespace.core.clone(), namespace.table.clone());
            let hook = ConnectHook { core, table, sync: inner.session_sync.clone() };
            let registered = match namespace.core.template() {
                Some(template) => engine.register_template(template, hook).await?,
                None => engine.register_namespace(path, hook).await?,
            };
            namespace.core.set_namespace(registered);
        }
        Ok(())
    }
}

/// One channel per mount: by `#[on(init)]`, else by `Default`.
async fn build_channel(plan: &MountPlan, states: &States) -> Result<ErasedChannel> {
    let init = plan.handlers.iter().find(|row| row.on == On::Init);
    match init.map(|row| (row, row.call)) {
        Some((row, Call::Init(build))) => build(InitContext { states: states.clone(), keys: None })
            .await
            .map_err(|error| {
                let text = format!("{}: `{}` at `{}`: {error}", row.location, plan.driver, plan.path);
                Error::Init(Caused::new(text, error).into())
            }),
        _ => (plan.row.default)().ok_or_else(|| {
            Error::Init(
                format!(
                "{}: nothing builds `{}`, mounted at `{}`: derive `Default` for it, or give it an `#[on(init)]` function that returns `Self`",
                plan.row.location, plan.driver, plan.path,
            ).into())
        }),
    }
}
