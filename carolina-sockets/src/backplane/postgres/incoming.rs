//! Checks the notifications of other nodes before the adapter gets them, which would log each one that it cannot read.

use std::future::ready;

use futures_core::Stream;
use futures_util::StreamExt;
use serde::Deserialize;
use socketioxide_core::{Sid, Uid, adapter::remote_packet::RequestIn};
use socketioxide_postgres::ResponsePayload;

use super::{Namespace, PgNotification, Postgres, PostgresError};
use crate::{
    backplane::{packet::check_request, record_lost},
    telemetry::{Cause, refused},
};

/// Rows that are read at once.
const READS: usize = 64;

/// A request, as the adapter writes it.
#[derive(Deserialize)]
enum Request {
    Request { node_id: Uid, payload: Box<RequestIn> },
    RequestWithAttachment { node_id: Uid, is_binary: bool, id: i64 },
}

/// A response, as the adapter writes it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "whether it can be read is all that is asked")]
struct Response {
    req_id: Sid,
    node_id: Uid,
    payload: ResponsePayload,
}

/// The notifications that the adapter can read and may act on, in their order.
pub(super) fn checked(
    postgres: Postgres,
    namespace: Namespace,
    responses: String,
    notes: impl Stream<Item = PgNotification> + Send + 'static,
) -> impl Stream<Item = PgNotification> + Send + 'static {
    let check = move |note: PgNotification| {
        let (postgres, namespace) = (postgres.clone(), namespace.clone());
        let response = note.channel == responses;
        async move {
            let checked = match response {
                true => check_response(&note.payload),
                false => namespace.check(&postgres, &note.payload).await,
            };
            match checked {
                Ok(wanted) => wanted.then_some(note),
                Err(reason) => {
                    let channel = &note.channel;
                    refused(Cause::BackplanePacket, &format!("a message on `{channel}` of the backplane: {reason}"));
                    None
                }
            }
        }
    };
    notes.map(check).buffered(READS).filter_map(ready)
}

fn check_response(text: &str) -> Result<bool, String> {
    match serde_json::from_str::<Response>(text) {
        Ok(_) => Ok(true),
        Err(error) => Err(format!("a response that cannot be read: {error}")),
    }
}

impl Namespace {
    /// Whether a request is another node's.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    async fn check(&self, postgres: &Postgres, text: &str) -> Result<bool, String> {
        let unreadable = |error: &dyn std::fmt::Display| format!("a request that cannot be read: {error}");
        match serde_json::from_str(text).map_err(|error| unreadable(&error))? {
            Request::Request { node_id, .. } | Request::RequestWithAttachment { node_id, .. }
                if node_id == self.node =>
            {
                Ok(false)
            }
            Request::Request { payload, .. } => check_request(&payload, &self.path).map(|()| true),
            Request::RequestWithAttachment { is_binary, id, .. } => {
                let row = match postgres.read_row(&postgres.table, id).await {
                    Ok(row) => row,
                    Err(error @ (PostgresError::Signature | PostgresError::Client(sqlx::Error::RowNotFound))) => {
                        return Err(unreadable(&error));
                    }
                    Err(error) => {
                        record_lost(&error);
                        return Ok(false);
                    }
                };
                let request: RequestIn = match is_binary {
                    true => rmp_serde::from_slice(&row).map_err(|error| unreadable(&error))?,
                    false => serde_json::from_slice(&row).map_err(|error| unreadable(&error))?,
                };
                check_request(&request, &self.path)?;
                self.rows.lock().entry(id).or_default().push(row);
                Ok(true)
            }
        }
    }

    /// A row that was checked.
    pub(super) fn take(&self, id: i64) -> Option<Vec<u8>> {
        let mut rows = self.rows.lock();
        let of_id = rows.get_mut(&id)?;
        let row = of_id.pop();
        if of_id.is_empty() {
            rows.remove(&id);
        }
        row
    }
}
