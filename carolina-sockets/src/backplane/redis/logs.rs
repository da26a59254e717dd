//! The logs in Redis: for each channel a hash with its epoch and numbers, and a stream with its entries. What belongs together is one script, which the server runs
//! as one step.

use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use redis::{FromRedisValue, Msg, aio::MultiplexedConnection};
use tokio::sync::mpsc;

use super::{BackplaneError, COMMAND, QUEUE, Redis, RedisError, Server};
use crate::backplane::{
    record_lost,
    shared::{
        AppendNotification, Position, ReadRequest, ReadResponse, Retention, SaveSession, StoredSession, fresh_epoch,
    },
};

/// Makes the log if it is not there, or was made by another run of the server: one that was started again may have an older state of it.
macro_rules! with_open {
    ($script:literal) => {
        concat!(
            r"
local head, log, run, fresh, keep = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function open(since)
  local known = redis.call('HMGET', head, 'run', 'epoch', 'since', 'made')
  if not since and known[1] == run and known[2] then return known[2], false end
  since = since or 0
  local before = tonumber(known[3] or 0)
  if before > 0 and now - known[4] < 60000 then since = math.min(before, since > 0 and since or before) end
  redis.call('DEL', head, log)
  redis.call('HSET', head, 'run', run, 'epoch', fresh, 'last', 0, 'removed', 0, 'over', 0, 'bytes', 0,
    'since', string.format('%.0f', since), 'made', string.format('%.0f', now))
  return fresh, true
end
local function tell(epoch, number, path, entry)
  redis.call('PUBLISH', ARGV[4], string.format('%s %d %.0f %s\n%s', epoch, number, now, path, entry))
end
",
            $script
        )
    };
}

const APPEND: &str = with_open!(
    r"
local path, entry, events, bytes, age = ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local epoch = open(nil)
local number = redis.call('HINCRBY', head, 'last', 1)
if redis.call('XLEN', log) == 0 then redis.call('HSET', head, 'bytes', 0) end
redis.call('XADD', log, string.format('%d-1', number), 't', string.format('%.0f', now), 'e', entry)
local size = redis.call('HINCRBY', head, 'bytes', #entry)
local count = redis.call('XLEN', log)
while true do
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not first then break end
  local over = count > events or size > bytes
  if not over and tonumber(first[2][2]) >= now - age then break end
  redis.call('XDEL', log, first[1])
  count = count - 1
  size = redis.call('HINCRBY', head, 'bytes', -#first[2][4])
  redis.call('HSET', head, 'removed', string.match(first[1], '%d+'), 'over', over and 1 or 0)
end
redis.call('PEXPIRE', head, keep)
redis.call('PEXPIRE', log, keep)
tell(epoch, number, path, entry)
return {epoch, number, string.format('%.0f', now)}
"
);

const COPY: &str = with_open!(
    r"
local path, known, after, since = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local epoch, is_new = open(since)
if is_new then tell(epoch, 0, path, '') end
if known ~= epoch then after = '0' end
redis.call('PEXPIRE', head, keep)
redis.call('PEXPIRE', log, keep)
local is = redis.call('HMGET', head, 'last', 'removed', 'over', 'since')
local found = {}
for _, entry in ipairs(redis.call('XRANGE', log, after .. '-2', '+')) do
  found[#found + 1] = {string.match(entry[1], '%d+'), entry[2][2], entry[2][4]}
end
return {epoch, is[1], is[2], is[3], is[4], string.format('%.0f', now), found}
"
);

const HEAD: &str = r"
local head = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'last')
if head[1] ~= ARGV[1] or not head[2] then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {head[2], head[3]}
";

const CLAIM: &str = r"
local is = redis.call('HMGET', KEYS[1], 'node', 'claim')
if is[1] ~= ARGV[1] or is[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'node', ARGV[3], 'claim', ARGV[4])
return 1
";

const SAVE: &str = r"
local is = redis.call('HMGET', KEYS[1], 'node', 'claim')
if is[1] and (is[1] ~= ARGV[1] or is[2] ~= ARGV[2]) then return 0 end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'node', ARGV[1], 'claim', ARGV[2], 'data', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
";

const NOTE: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for at = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[at]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
";

const NOTED: &str = r"
local clock = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], clock[1] * 1000, '+inf')
";

/// What tells one run of the server from the next.
pub(super) async fn run_id(connection: &mut MultiplexedConnection) -> String {
    let told: Result<String, _> = redis::cmd("INFO").arg("server").query_async(connection).await;
    let told = told.unwrap_or_default();
    let id = told.lines().find_map(|line| line.strip_prefix("run_id:"));
    // A server that does not say so cannot be told from the one before.
    id.unwrap_or("unknown").trim().to_owned()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Redis {
    pub(in crate::backplane) fn connects(&self) -> u64 {
        self.server.connects.load(std::sync::atomic::Ordering::Acquire)
    }

    /// The channel of notifications about logs.
    fn logs(&self) -> String {
        format!("{}-log", self.prefix)
    }

    fn log_keys(&self, path: &str) -> [String; 2] {
        [format!("{}-log-head:{path}", self.prefix), format!("{}-log-entries:{path}", self.prefix)]
    }

    fn client_key(&self, path: &str, pid: &str) -> String {
        format!("{}-log-client:{pid}:{path}", self.prefix)
    }

    fn list_key(&self, list: &str) -> String {
        format!("{}-log-list:{list}", self.prefix)
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &str,
        keys: &[String],
        arguments: &[&str],
    ) -> Result<T, BackplaneError> {
        let mut publisher = self.server.connection()?.publisher;
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
        Ok(command.query_async(&mut publisher).await.map_err(|error: redis::RedisError| self.server.failed(error))?)
    }

    pub(in crate::backplane) async fn append(
        &self,
        path: &str,
        retention: Retention,
        entry: &str,
    ) -> Result<Position, BackplaneError> {
        let signed = self.server.keys.sign_entry(path, entry);
        let (run, fresh) = (self.server.connection()?.run, fresh_epoch());
        let [keep, events, bytes, age] =
            [retention.ttl(), retention.events, retention.bytes, retention.max_age()].map(|number| number.to_string());
        let arguments = [&*run, &fresh, &keep, &self.logs(), path, &signed, &events, &bytes, &age];
        let (epoch, number, time) = self.run(APPEND, &self.log_keys(path), &arguments).await?;
        Ok(Position { epoch, number, time })
    }

    pub(in crate::backplane) async fn read(&self, request: ReadRequest<'_>) -> Result<ReadResponse, BackplaneError> {
        let ReadRequest { path, retention, epoch, after, renew } = request;
        let (run, fresh) = (self.server.connection()?.run, fresh_epoch());
        let [keep, after] = [retention.ttl(), after].map(|number| number.to_string());
        let renew = renew.map(|since| since.to_string()).unwrap_or_default();
        let arguments = [&*run, &fresh, &keep, &self.logs(), path, epoch, &after, &renew];
        type Found = Vec<(u64, u64, String)>;
        let response: (String, u64, u64, u8, u64, u64, Found) =
            self.run(COPY, &self.log_keys(path), &arguments).await?;
        let (epoch, last, trimmed, overflowed, since, now, found) = response;
        let open =
            |(number, time, signed): (u64, u64, String)| self.server.keys.open_entry(path, number, time, &signed);
        let entries = found.into_iter().filter_map(open).collect();
        let since = (since > 0).then_some(since);
        Ok(ReadResponse { epoch, last, trimmed, overflowed: overflowed == 1, since, now, entries })
    }

    pub(in crate::backplane) async fn heads(
        &self,
        paths: &[String],
        retention: Retention,
    ) -> Result<Vec<Option<(String, u64)>>, BackplaneError> {
        let (run, keep) = (self.server.connection()?.run, retention.ttl().to_string());
        let mut heads = Vec::with_capacity(paths.len());
        for some in paths.chunks(super::IN_FLIGHT) {
            let keys: Vec<_> = some.iter().map(|path| self.log_keys(path)).collect();
            let arguments = [&*run, &keep];
            let asked: Vec<_> = keys.iter().map(|keys| self.run(HEAD, keys, &arguments)).collect();
            heads.extend(futures_util::future::try_join_all(asked).await?);
        }
        Ok(heads)
    }

    pub(in crate::backplane) async fn notifications(
        &self,
    ) -> Result<BoxStream<'static, AppendNotification>, BackplaneError> {
        let (to, mut from) = mpsc::channel(QUEUE);
        *self.server.log_listener.lock() = Some((self.logs(), to));
        let mut subscriber = self.server.connection()?.subscriber;
        match tokio::time::timeout(COMMAND, subscriber.subscribe(self.logs())).await {
            Ok(subscribed) => subscribed.map_err(|error| self.server.failed(error))?,
            Err(elapsed) => return Err(self.server.failed(RedisError::Timeout(COMMAND, elapsed)).into()),
        }
        Ok(futures_util::stream::poll_fn(move |context| from.poll_recv(context)).boxed())
    }

    pub(in crate::backplane) async fn load_session(
        &self,
        path: &str,
        pid: &str,
    ) -> Result<Option<StoredSession>, BackplaneError> {
        let key = self.client_key(path, pid);
        let mut publisher = self.server.connection()?.publisher;
        let mut command = redis::cmd("HMGET");
        command.arg(key).arg(&["node", "claim", "data"]);
        let found: redis::RedisResult<(Option<u64>, Option<u64>, Option<String>)> =
            command.query_async(&mut publisher).await;
        let (Some(node), Some(claim), Some(signed)) = found.map_err(|error| self.server.failed(error))? else {
            return Ok(None);
        };
        Ok(self.server.keys.open_session(path, pid, node, claim, &signed))
    }

    pub(in crate::backplane) async fn claim_session(
        &self,
        path: &str,
        pid: &str,
        former: &StoredSession,
        node: u64,
    ) -> Result<bool, BackplaneError> {
        let [former_node, former_claim, node, claim] =
            [former.node, former.claim, node, former.claim + 1].map(|number| number.to_string());
        let arguments = [&*former_node, &former_claim, &node, &claim];
        let claimed: u8 = self.run(CLAIM, &[self.client_key(path, pid)], &arguments).await?;
        Ok(claimed == 1)
    }

    pub(in crate::backplane) async fn save_session(
        &self,
        save: &SaveSession,
        node: u64,
    ) -> Result<bool, BackplaneError> {
        let SaveSession { path, pid, claim, data, ttl } = save;
        let signed = data.as_ref().map(|data| self.server.keys.sign_session(path, pid, data));
        let [node, claim, ttl] = [node, *claim, millis(*ttl).max(1)].map(|number| number.to_string());
        let arguments = [&*node, &claim, signed.as_deref().unwrap_or_default(), &ttl];
        let saved: u8 = self.run(SAVE, &[self.client_key(path, pid)], &arguments).await?;
        Ok(saved == 1)
    }

    pub(in crate::backplane) async fn register(
        &self,
        list: &str,
        names: &[String],
        ttl: Duration,
    ) -> Result<(), BackplaneError> {
        let ttl = millis(ttl).to_string();
        for names in names.chunks(1_000) {
            let arguments: Vec<&str> = std::iter::once(&*ttl).chain(names.iter().map(|name| &**name)).collect();
            self.run::<()>(NOTE, &[self.list_key(list)], &arguments).await?;
        }
        Ok(())
    }

    pub(in crate::backplane) async fn registered(&self, list: &str) -> Result<Vec<String>, BackplaneError> {
        self.run(NOTED, &[self.list_key(list)], &[]).await
    }
}

/// The channel of notifications about logs, and where they are sent.
pub(super) type LogListener = (String, mpsc::Sender<AppendNotification>);

impl Server {
    /// Passes a notification about a log on. `false` if the message is none.
    pub(super) fn dispatch_notification(&self, message: &Msg) -> bool {
        let listener = self.log_listener.lock();
        let Some((channel, to)) = listener.as_ref().filter(|(channel, _)| channel == message.get_channel_name()) else {
            return false;
        };
        // What is lost here is read later: it has a number.
        if let Some(notification) = self.keys.open_notification(channel, message.get_payload_bytes())
            && to.try_send(notification).is_err()
        {
            record_lost(&"messages of other nodes came too fast");
        }
        true
    }
}
