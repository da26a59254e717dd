use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    backplane::Question,
    core::{ChannelCore, SocketState},
    engine::{Recipients, SocketId},
    error::{Error, Result},
    identity::is_reserved,
};

/// A socket on a channel, as it was when it was asked for; see [`ChannelHandle::sockets`](crate::ChannelHandle::sockets).
///
/// `serde` writes it as an object with these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SocketInfo {
    /// Its id, the client's `socket.id`.
    pub id: SocketId,
    /// The key of its user, if there is one.
    pub user_id: Option<String>,
    /// The rooms that the application has put it into, in alphabetical order.
    pub rooms: Vec<String>,
    /// The address it is connected from.
    pub remote_address: IpAddr,
    /// Since when it is on the channel. Written by `serde` in milliseconds since 1970, as JavaScript's `new Date(…)` takes it.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub connected_since: SystemTime,
}

fn write_time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    u64::deserialize(deserializer).map(|millis| UNIX_EPOCH + Duration::from_millis(millis))
}

/// How many sockets one message between nodes tells of.
const PER_MESSAGE: usize = 100;

/// This node's sockets among the recipients, the oldest first.
pub(crate) fn sockets_here(core: &Arc<ChannelCore>, recipients: &Recipients) -> Vec<SocketInfo> {
    let mut found = Vec::new();
    for instance in core.each() {
        let Ok(namespace) = instance.namespace() else { continue };
        found.extend(namespace.local_sockets(recipients).into_iter().filter_map(|id| info(&*instance.socket(id)?)));
    }
    sorted(found)
}

/// As [`sockets_here`], written for another node: in parts, of which there is at least one.
pub(crate) fn sockets_for_others(core: &Arc<ChannelCore>, to: Vec<String>, except: Vec<String>) -> Vec<String> {
    in_parts(&sockets_here(core, &Recipients::in_rooms(to, except)))
}

/// The paths of the instances that anybody is on here, written for another node.
pub(crate) fn instances_for_others(core: &Arc<ChannelCore>) -> Vec<String> {
    let paths: Vec<String> = core.each().iter().map(|instance| instance.path.clone()).collect();
    in_parts(&paths)
}

fn in_parts<T: Serialize>(found: &[T]) -> Vec<String> {
    let parts = found.chunks(PER_MESSAGE).chain(found.is_empty().then_some(found));
    parts.map(|part| serde_json::to_string(part).unwrap_or_default()).collect()
}

/// The sockets among the recipients on all nodes.
pub(super) async fn sockets_everywhere(core: &Arc<ChannelCore>, recipients: &Recipients) -> Result<Vec<SocketInfo>> {
    let (namespace, bus) = (core.namespace()?, &core.services.bus);
    let mut found = sockets_here(core, recipients);
    if recipients.is_local() || !bus.has_backplane() {
        return Ok(found);
    }
    let owned = |rooms: &mut dyn Iterator<Item = &str>| rooms.map(str::to_owned).collect();
    let (mut to, mut except) = recipients.rooms();
    let question = Question::Sockets { path: core.path.clone(), to: owned(&mut to), except: owned(&mut except) };
    let others = usize::from(namespace.nodes().await?.saturating_sub(1));
    for part in bus.ask(question, others).await.map_err(Error::backplane)? {
        found.extend(serde_json::from_str::<Vec<SocketInfo>>(&part).map_err(Error::backplane)?);
    }
    Ok(sorted(found))
}

fn sorted(mut found: Vec<SocketInfo>) -> Vec<SocketInfo> {
    found.sort_by_key(|socket| (socket.connected_since, socket.id));
    found
}

/// `None` once it has left.
fn info(socket: &SocketState) -> Option<SocketInfo> {
    let mut rooms = socket.raw()?.rooms();
    rooms.retain(|room| !is_reserved(room));
    rooms.sort();
    Some(SocketInfo {
        id: socket.id,
        user_id: socket.identity().user_id().map(str::to_owned),
        rooms,
        remote_address: socket.client.address(),
        connected_since: socket.since,
    })
}
