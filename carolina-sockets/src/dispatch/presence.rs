//! Runs `#[on(presence)]`: once for the keys of a batch, beside all sockets.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{
    HandlerTable,
    supervised::{panicked, timed_out},
};
use crate::{core::States, error::EventError, extract::InitContext, presence::Enrich, registry::row::Extras};

/// What adds to the keys of a channel, if it has an `#[on(presence)]`.
pub(crate) fn enrich(table: &Arc<HandlerTable>, states: &States, path: &str) -> Option<Enrich> {
    table.presence.as_ref()?;
    let (table, states, path) = (table.clone(), states.clone(), Arc::<str>::from(path));
    Some(Arc::new(move |keys| {
        let (table, states, path) = (table.clone(), states.clone(), path.clone());
        Box::pin(async move {
            let count = keys.len();
            run(&table, InitContext { states, keys: Some(keys) }).await.unwrap_or_else(|error| {
                let method = table.presence.as_ref().map_or("", |handler| handler.method);
                tracing::error!(
                    channel = %path,
                    handler = method,
                    "`#[on(presence)]` has failed, so that {count} keys are shown without what it adds: {error}"
                );
                Extras::default()
            })
        })
    }))
}

async fn run(table: &HandlerTable, context: InitContext) -> Result<Extras, EventError> {
    let (Some(handler), Some(channel)) = (&table.presence, table.channel()) else { return Ok(Extras::default()) };
    let running = AssertUnwindSafe(async { (handler.call)(channel, context).await }).catch_unwind();
    match tokio::time::timeout(handler.timeout, running).await {
        Ok(Ok(found)) => found,
        Ok(Err(panic)) => Err(panicked(&*panic)),
        Err(_) => Err(timed_out(handler.timeout)),
    }
}
