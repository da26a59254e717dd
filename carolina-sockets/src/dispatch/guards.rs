//! Runs the guards of a handler before it (rule R29).

use super::table::Handler;
use crate::{
    core::{AnyChannel, EventFuture, Outcome},
    extract::EventContext,
    registry::row::GuardCall,
};

/// Runs a handler behind its guards. The first guard that fails answers the event, and what follows does not run.
pub(super) fn call<'a>(
    handler: &'a Handler,
    channel: &'a AnyChannel,
    context: &'a mut EventContext,
) -> EventFuture<'a> {
    if handler.guards.is_empty() {
        return (handler.call)(channel, context);
    }
    Box::pin(async move {
        for guard in &handler.guards {
            match (guard.run)(GuardCall::Run(context)).await {
                Outcome::Done => {}
                refused => return refused,
            }
        }
        (handler.call)(channel, context).await
    })
}
