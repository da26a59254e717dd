//! The Admin UI of a service, if it is built with it.

use axum::body::Body;
use futures_core::future::BoxFuture;
use http::{Request, Response};

use super::{Inner, Sockets};
use crate::error::{Error, Result};

#[cfg(feature = "admin")]
mod with {
    use tower_service::Service;

    use super::{super::static_files::static_files, Body, BoxFuture, Error, Inner, Request, Response, Result, Sockets};
    use crate::admin::{Admin, PATH, Shown};

    /// Opens it, if there is a password.
    ///
    /// # Errors
    ///
    /// [`Error::Startup`] when a channel is in its place, [`Error::Backplane`] when the backplane cannot be subscribed to.
    pub(in super::super) async fn open(sockets: &Sockets) -> Result {
        let inner = sockets.inner();
        let Some(engine) = inner.engine.as_ref().filter(|_| inner.config.admin.password.is_some()) else {
            return Ok(());
        };
        if let Some(taken) = inner.namespaces.get(PATH) {
            let (driver, location) = (taken.plan.driver, taken.plan.row.location);
            return Err(Error::Startup(vec![format!(
                "{location}: `{driver}` is mounted at `{PATH}`, which is the Admin UI's: mount it elsewhere, or leave out \
                 `admin.password`"
            )]));
        }
        let admin = Admin::open(Shown {
            config: &inner.config,
            channels: inner.namespaces.values().map(|namespace| namespace.core.clone()).collect(),
            services: &inner.services,
            bus: &inner.bus,
            background: &inner.background,
            closed: &inner.closed_to_clients,
            guard: &inner.guard,
            engine,
        });
        if let Some(admin) = admin.await? {
            let _ = inner.admin.set(admin);
        }
        Ok(())
    }

    /// Does what another node's tells.
    pub(in super::super) async fn handle(inner: &Inner, text: &str) {
        if let Some(admin) = inner.admin.get() {
            admin.handle(text).await;
        }
    }

    /// The sockets that another node's is to show.
    pub(in super::super) fn sockets_for_others(inner: &Inner) -> Vec<String> {
        inner.admin.get().map_or_else(|| vec!["[]".to_owned()], |admin| admin.sockets_for_others())
    }

    /// Answers a request for the page; `None` for any other request.
    pub(in super::super) fn page<B>(inner: &Inner, request: &Request<B>) -> Option<BoxFuture<'static, Response<Body>>> {
        let admin = &inner.config.admin;
        let files = admin.files.as_ref().filter(|_| inner.admin.get().is_some())?;
        let below = request.uri().path().strip_prefix(admin.page.trim_end_matches('/'))?;
        if below.is_empty() {
            // The page names its scripts relative to itself.
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::PERMANENT_REDIRECT;
            let to = format!("{}/", admin.page.trim_end_matches('/'));
            response.headers_mut().insert(http::header::LOCATION, to.parse().ok()?);
            return Some(Box::pin(async { response }));
        }
        if !below.starts_with('/') {
            return None;
        }
        let mut file = Request::builder().method(request.method()).uri(below).body(Body::empty()).ok()?;
        *file.headers_mut() = request.headers().clone();
        let mut files = static_files(files);
        Some(Box::pin(async move {
            match files.call(file).await {
                Ok(response) => response.map(Body::new),
                Err(never) => match never {},
            }
        }))
    }
}

#[cfg(feature = "admin")]
pub(super) use with::{handle, open, page, sockets_for_others};

#[cfg(not(feature = "admin"))]
mod without {
    use super::{Body, BoxFuture, Error, Inner, Request, Response, Result, Sockets};

    pub(in super::super) async fn open(sockets: &Sockets) -> Result {
        if sockets.inner().config.admin.password.is_none() {
            return Ok(());
        }
        let unbuilt = "admin: this program was built without it; enable the feature `admin` of carolina-sockets";
        Err(Error::Config(vec![unbuilt.to_owned()]))
    }

    pub(in super::super) async fn handle(_: &Inner, _: &str) {}

    pub(in super::super) fn sockets_for_others(_: &Inner) -> Vec<String> {
        vec!["[]".to_owned()]
    }

    pub(in super::super) fn page<B>(_: &Inner, _: &Request<B>) -> Option<BoxFuture<'static, Response<Body>>> {
        None
    }
}

#[cfg(not(feature = "admin"))]
pub(super) use without::{handle, open, page, sockets_for_others};
