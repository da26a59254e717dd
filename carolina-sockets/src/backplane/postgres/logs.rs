//! The logs in PostgreSQL: a row for each log with its epoch and last number, and one for each entry. The lock on the former puts the commits into the order of the
//! numbers.
//!
//! The tables are `UNLOGGED`: they need no disk, and are empty after a crash, so that the logs have other epochs then.

use std::{
    collections::HashMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use sqlx::PgPool;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{BackplaneError, COMMAND_TIMEOUT, Postgres, PostgresError, QUEUE_CAPACITY, with_timeout};
use crate::backplane::shared::{
    AppendNotification, Position, ReadRequest, ReadResponse, Retention, SaveSession, StoredSession, fresh_epoch,
};

/// How many entries are appended by one statement.
const BATCH: usize = 256;
/// How many bytes of a path and an entry are sent to all nodes; what is longer is read by them.
const IN_NOTIFICATION: usize = 7_000;
/// How often this node removes what is too old.
const CLEAN: Duration = Duration::from_secs(10);

/// The time in milliseconds since 1970.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// An entry that is to be appended.
pub(super) struct Append {
    path: String,
    retention: Retention,
    entry: String,
    done: oneshot::Sender<Result<Position, PostgresError>>,
}

/// The names of the tables.
pub(super) struct Tables {
    /// The channel of notifications about logs.
    channel: String,
    heads: String,
    entries: String,
    clients: String,
    names: String,
    /// When this node last removed what is too old.
    cleaned: parking_lot::Mutex<Option<Instant>>,
}

impl Tables {
    pub(super) fn new(prefix: &str) -> Self {
        let table = |name: &str| format!("\"{}_resume_{name}\"", prefix.replace('-', "_"));
        Self {
            channel: format!("{prefix}-log"),
            heads: table("heads"),
            entries: table("entries"),
            clients: table("clients"),
            names: table("names"),
            cleaned: parking_lot::Mutex::default(),
        }
    }

    async fn create(&self, pool: &PgPool) -> Result<(), PostgresError> {
        let Self { heads, entries, clients, names, .. } = self;
        let mut transaction = pool.begin().await?;
        // `IF NOT EXISTS` takes no lock, so nodes that start at the same time would conflict.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext($1))").bind(heads).execute(&mut *transaction).await?;
        for statement in [
            format!(
                "CREATE UNLOGGED TABLE IF NOT EXISTS {heads} (path TEXT PRIMARY KEY, epoch TEXT NOT NULL, last BIGINT NOT NULL, removed BIGINT NOT NULL, overflowed BOOLEAN NOT NULL, since BIGINT NOT NULL DEFAULT 0, made BIGINT NOT NULL DEFAULT 0, until BIGINT NOT NULL)"
            ),
            format!(
                "CREATE UNLOGGED TABLE IF NOT EXISTS {entries} (path TEXT, epoch TEXT, number BIGINT, time BIGINT NOT NULL, until BIGINT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (path, epoch, number))"
            ),
            format!(
                "CREATE UNLOGGED TABLE IF NOT EXISTS {clients} (pid TEXT, path TEXT, node BIGINT NOT NULL, claim BIGINT NOT NULL, data TEXT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (pid, path))"
            ),
            format!(
                "CREATE UNLOGGED TABLE IF NOT EXISTS {names} (list TEXT, name TEXT, until BIGINT NOT NULL, PRIMARY KEY (list, name))"
            ),
        ] {
            sqlx::query(&statement).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Removes what is too old.
    async fn clean(&self, pool: &PgPool) -> Result<(), PostgresError> {
        if self.cleaned.lock().is_some_and(|cleaned| cleaned.elapsed() < CLEAN) {
            return Ok(());
        }
        *self.cleaned.lock() = Some(Instant::now());
        let Self { heads, entries, clients, names, .. } = self;
        let statement = format!(
            "WITH old AS (DELETE FROM {entries} WHERE until < {NOW} RETURNING path, epoch, number), \
             last AS (SELECT path, epoch, max(number) AS number FROM old GROUP BY path, epoch), \
             free AS (SELECT path FROM {heads} WHERE path IN (SELECT path FROM last) ORDER BY path FOR UPDATE) \
             UPDATE {heads} AS h SET removed = last.number, overflowed = false FROM last JOIN free USING (path) \
             WHERE h.path = last.path AND h.epoch = last.epoch AND h.removed < last.number"
        );
        with_timeout(sqlx::query(&statement).execute(pool)).await?;
        for table in [heads, clients, names] {
            // One that is in use is not too old.
            let statement = format!(
                "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE until < {NOW} FOR UPDATE SKIP LOCKED))"
            );
            with_timeout(sqlx::query(&statement).execute(pool)).await?;
        }
        Ok(())
    }

    /// Appends entries, and returns where they are, in the same order.
    async fn append(&self, pool: &PgPool, batch: &[Append]) -> Result<Vec<Position>, PostgresError> {
        let Self { heads, entries, channel, .. } = self;
        let statement = format!(
            "WITH input AS (SELECT path, entry, keep, age, at, row_number() OVER (PARTITION BY path ORDER BY at) AS k \
               FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS i(path, entry, keep, age, at)), \
             counts AS (SELECT path, count(*) AS n, max(keep) AS keep, min(at) AS at FROM input GROUP BY path), \
             counted AS (INSERT INTO {heads} AS h (path, epoch, last, removed, overflowed, until) \
               SELECT path, $5 || at, n, 0, false, {NOW} + keep FROM counts ORDER BY path \
               ON CONFLICT (path) DO UPDATE SET last = h.last + EXCLUDED.last, until = EXCLUDED.until \
               RETURNING path, epoch, last), \
             numbered AS (SELECT input.at AS at, path, epoch, last - n + k AS number, {NOW} AS time, age, entry \
               FROM input JOIN counts USING (path) JOIN counted USING (path)), \
             stored AS (INSERT INTO {entries} (path, epoch, number, time, until, entry) \
               SELECT path, epoch, number, time, time + age, entry FROM numbered) \
             SELECT epoch, number, time, pg_notify($6, epoch || ' ' || number || ' ' || time || ' ' || path || E'\\n' \
               || CASE WHEN octet_length(entry) + octet_length(path) < {IN_NOTIFICATION} THEN entry ELSE '' END)::text \
             FROM (SELECT epoch, number, time, path, entry, at FROM numbered ORDER BY at) AS o ORDER BY at"
        );
        let column = |read: fn(&Append) -> u64| -> Vec<i64> { batch.iter().map(|one| signed(read(one))).collect() };
        let query = sqlx::query_as(&statement)
            .bind(batch.iter().map(|one| one.path.as_str()).collect::<Vec<_>>())
            .bind(batch.iter().map(|one| one.entry.as_str()).collect::<Vec<_>>())
            .bind(column(|one| one.retention.ttl()))
            .bind(column(|one| one.retention.max_age()))
            .bind(fresh_epoch())
            .bind(channel);
        let rows: Vec<(String, i64, i64, String)> = with_timeout(query.fetch_all(pool)).await?;
        let position = |(epoch, number, time, _)| Position { epoch, number: unsigned(number), time: unsigned(time) };
        Ok(rows.into_iter().map(position).collect())
    }

    /// Removes the entries of a log that are too many.
    async fn trim(&self, pool: &PgPool, path: &str, retention: Retention) -> Result<(), PostgresError> {
        let Self { heads, entries, .. } = self;
        let statement = format!(
            "WITH head AS (SELECT epoch, last FROM {heads} WHERE path = $1 FOR UPDATE), \
             sums AS (SELECT number, sum(octet_length(entry)) OVER (ORDER BY number DESC) AS bytes FROM {entries} \
               WHERE path = $1 AND epoch = (SELECT epoch FROM head)), \
             gone AS (DELETE FROM {entries} WHERE path = $1 AND epoch = (SELECT epoch FROM head) \
               AND (number <= (SELECT last FROM head) - $2 OR number IN (SELECT number FROM sums WHERE bytes > $3)) RETURNING number) \
             UPDATE {heads} AS h SET removed = (SELECT max(number) FROM gone), overflowed = true \
             WHERE path = $1 AND (SELECT max(number) FROM gone) > h.removed"
        );
        let query = sqlx::query(&statement).bind(path).bind(signed(retention.events)).bind(signed(retention.bytes));
        with_timeout(query.execute(pool)).await?;
        Ok(())
    }
}

/// PostgreSQL has no unsigned numbers.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX / 4)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Appends what is queued, in order: what has come while one statement was under way goes into the next.
pub(super) async fn append_queued(pool: Arc<PgPool>, tables: Weak<Tables>, mut queued: mpsc::Receiver<Append>) {
    // What was appended to logs since entries were last removed from them.
    let mut since: HashMap<String, (u64, u64)> = HashMap::new();
    let mut batch = Vec::with_capacity(BATCH);
    while queued.recv_many(&mut batch, BATCH).await > 0 {
        let Some(tables) = tables.upgrade() else { return };
        match tables.append(&pool, &batch).await {
            Ok(positions) => {
                let mut full = HashMap::new();
                for (Append { path, retention, entry, done }, position) in batch.drain(..).zip(positions) {
                    let (events, bytes) = since.entry(path.clone()).or_default();
                    (*events, *bytes) = (*events + 1, *bytes + entry.len() as u64);
                    if *events > retention.events / 8 || *bytes > retention.bytes / 8 {
                        full.insert(path, retention);
                    }
                    // Who has given up has sent it otherwise.
                    let _ = done.send(Ok(position));
                }
                for (path, retention) in full {
                    match tables.trim(&pool, &path, retention).await {
                        Ok(()) => drop(since.remove(&path)),
                        Err(error) => tracing::debug!(%error, path, "no entries were removed from a log"),
                    }
                }
                if since.len() > 10_000 {
                    since.clear();
                }
            }
            Err(error) => {
                let text = error.to_string();
                for Append { done, .. } in batch.drain(..) {
                    let _ = done.send(Err(PostgresError::Append(text.clone())));
                }
            }
        }
    }
}

impl Postgres {
    pub(in crate::backplane) fn connects(&self) -> u64 {
        self.listener.connects.load(Ordering::Acquire)
    }

    pub(in crate::backplane) async fn append(
        &self,
        path: &str,
        retention: Retention,
        entry: &str,
    ) -> Result<Position, BackplaneError> {
        self.ensure_available()?;
        let (done, appended) = oneshot::channel();
        let entry = self.keys.sign_entry(path, entry);
        let append = Append { path: path.to_owned(), retention, entry, done };
        let both = async {
            self.appends.send(append).await.map_err(|_| PostgresError::Away)?;
            appended.await.map_err(|_| PostgresError::Away)?
        };
        Ok(tokio::time::timeout(COMMAND_TIMEOUT, both).await.map_err(|_| PostgresError::Timeout)??)
    }

    pub(in crate::backplane) async fn read(&self, request: ReadRequest<'_>) -> Result<ReadResponse, BackplaneError> {
        let ReadRequest { path, retention, epoch, after, mut renew } = request;
        self.ensure_available()?;
        let pool = self.pool()?;
        let Tables { heads, entries, channel, .. } = &*self.logs;
        let read = format!(
            "SELECT h.epoch, h.last, h.removed, h.overflowed, h.since, {NOW}, e.number, e.time, e.entry FROM {heads} AS h \
             LEFT JOIN {entries} AS e ON e.path = h.path AND e.epoch = h.epoch AND (h.epoch <> $2 OR e.number > $3) \
             WHERE h.path = $1 ORDER BY e.number"
        );
        type Row = (String, i64, i64, bool, i64, i64, Option<i64>, Option<i64>, Option<String>);
        // Not there the first time, perhaps.
        for _ in 0..3 {
            if let Some(since) = renew {
                let make = format!(
                    "WITH made AS (INSERT INTO {heads} AS h (path, epoch, last, removed, overflowed, since, made, until) \
                     VALUES ($1, $2, 0, 0, false, $5, {NOW}, {NOW} + $3) ON CONFLICT (path) DO UPDATE SET epoch = EXCLUDED.epoch, last = 0, removed = 0, \
                     overflowed = false, since = CASE WHEN h.since > 0 AND h.made > {NOW} - 60000 THEN LEAST(h.since, EXCLUDED.since) ELSE EXCLUDED.since END, \
                     made = EXCLUDED.made, until = EXCLUDED.until RETURNING epoch) \
                     SELECT pg_notify($4, epoch || ' 0 0 ' || path || E'\\n') FROM made, (SELECT $1 AS path) AS p"
                );
                let query =
                    sqlx::query(&make).bind(path).bind(fresh_epoch()).bind(signed(retention.ttl())).bind(channel);
                with_timeout(query.bind(signed(since)).execute(&*pool)).await?;
            }
            let query = sqlx::query_as(&read).bind(path).bind(epoch).bind(signed(after));
            let rows: Vec<Row> = with_timeout(query.fetch_all(&*pool)).await?;
            let Some((epoch, last, trimmed, overflowed, since, now, ..)) = rows.first().cloned() else {
                renew = Some(0);
                continue;
            };
            let stored = rows.into_iter().filter_map(|(.., number, time, entry)| {
                self.keys.open_entry(path, unsigned(number?), unsigned(time?), &entry?)
            });
            let (last, trimmed, now) = (unsigned(last), unsigned(trimmed), unsigned(now));
            let since = (since > 0).then(|| unsigned(since));
            return Ok(ReadResponse { epoch, last, trimmed, overflowed, since, now, entries: stored.collect() });
        }
        Err(PostgresError::Away.into())
    }

    pub(in crate::backplane) async fn heads(
        &self,
        paths: &[String],
        retention: Retention,
    ) -> Result<Vec<Option<(String, u64)>>, BackplaneError> {
        self.ensure_available()?;
        let (pool, heads) = (self.pool()?, &self.logs.heads);
        self.logs.clean(&pool).await?;
        // One that is locked is being appended to.
        let keep = format!(
            "WITH free AS (SELECT path FROM {heads} WHERE path = ANY ($1) AND until < {NOW} + $2 / 2 ORDER BY path FOR UPDATE SKIP LOCKED) \
             UPDATE {heads} AS h SET until = {NOW} + $2 FROM free WHERE h.path = free.path"
        );
        with_timeout(sqlx::query(&keep).bind(paths).bind(signed(retention.ttl())).execute(&*pool)).await?;
        let read = format!("SELECT path, epoch, last FROM {heads} WHERE path = ANY ($1)");
        let rows: Vec<(String, String, i64)> =
            with_timeout(sqlx::query_as(&read).bind(paths).fetch_all(&*pool)).await?;
        let mut found: HashMap<_, _> =
            rows.into_iter().map(|(path, epoch, last)| (path, (epoch, unsigned(last)))).collect();
        Ok(paths.iter().map(|path| found.remove(path)).collect())
    }

    pub(in crate::backplane) async fn notifications(
        &self,
    ) -> Result<BoxStream<'static, AppendNotification>, BackplaneError> {
        self.logs.create(&*self.pool()?).await?;
        let (to, mut from) = mpsc::channel(QUEUE_CAPACITY);
        self.listener.listen_unsigned(&self.logs.channel, to).await?;
        let (keys, channel) = (self.keys.clone(), self.logs.channel.clone());
        let notes = futures_util::stream::poll_fn(move |context| from.poll_recv(context));
        let notification =
            notes.filter_map(move |note| std::future::ready(keys.open_notification(&channel, note.payload.as_bytes())));
        Ok(notification.boxed())
    }

    pub(in crate::backplane) async fn load_session(
        &self,
        path: &str,
        pid: &str,
    ) -> Result<Option<StoredSession>, BackplaneError> {
        self.ensure_available()?;
        let statement = format!(
            "SELECT node, claim, data FROM {} WHERE pid = $1 AND path = $2 AND until >= {NOW}",
            self.logs.clients
        );
        let query = sqlx::query_as(&statement).bind(pid).bind(path);
        let found: Option<(i64, i64, String)> = with_timeout(query.fetch_optional(&*self.pool()?)).await?;
        let Some((node, claim, signed)) = found else { return Ok(None) };
        Ok(self.keys.open_session(path, pid, node.cast_unsigned(), unsigned(claim), &signed))
    }

    pub(in crate::backplane) async fn claim_session(
        &self,
        path: &str,
        pid: &str,
        former: &StoredSession,
        node: u64,
    ) -> Result<bool, BackplaneError> {
        self.ensure_available()?;
        let statement = format!(
            "UPDATE {} SET node = $5, claim = claim + 1 WHERE pid = $1 AND path = $2 AND node = $3 AND claim = $4",
            self.logs.clients
        );
        let query = sqlx::query(&statement)
            .bind(pid)
            .bind(path)
            .bind(former.node.cast_signed())
            .bind(signed(former.claim))
            .bind(node.cast_signed());
        Ok(with_timeout(query.execute(&*self.pool()?)).await?.rows_affected() == 1)
    }

    pub(in crate::backplane) async fn save_session(
        &self,
        save: &SaveSession,
        node: u64,
    ) -> Result<bool, BackplaneError> {
        self.ensure_available()?;
        let SaveSession { path, pid, claim, data, ttl } = save;
        let (pool, clients) = (self.pool()?, &self.logs.clients);
        let Some(data) = data else {
            let statement = format!("DELETE FROM {clients} WHERE pid = $1 AND path = $2 AND node = $3 AND claim = $4");
            let query = sqlx::query(&statement).bind(pid).bind(path).bind(node.cast_signed()).bind(signed(*claim));
            with_timeout(query.execute(&*pool)).await?;
            return Ok(true);
        };
        let statement = format!(
            "INSERT INTO {clients} AS c (pid, path, node, claim, data, until) VALUES ($1, $2, $3, $4, $5, {NOW} + $6) \
             ON CONFLICT (pid, path) DO UPDATE SET node = EXCLUDED.node, claim = EXCLUDED.claim, data = EXCLUDED.data, until = EXCLUDED.until \
             WHERE c.node = EXCLUDED.node AND c.claim = EXCLUDED.claim OR c.until < {NOW}"
        );
        let query = sqlx::query(&statement)
            .bind(pid)
            .bind(path)
            .bind(node.cast_signed())
            .bind(signed(*claim))
            .bind(self.keys.sign_session(path, pid, data))
            .bind(millis(*ttl));
        Ok(with_timeout(query.execute(&*pool)).await?.rows_affected() == 1)
    }

    pub(in crate::backplane) async fn register(
        &self,
        list: &str,
        names: &[String],
        ttl: Duration,
    ) -> Result<(), BackplaneError> {
        self.ensure_available()?;
        let statement = format!(
            "INSERT INTO {} (list, name, until) SELECT $1, name, {NOW} + $3 FROM (SELECT DISTINCT unnest($2::text[]) AS name ORDER BY name) AS n \
             ON CONFLICT (list, name) DO UPDATE SET until = EXCLUDED.until",
            self.logs.names
        );
        let query = sqlx::query(&statement).bind(list).bind(names).bind(millis(ttl));
        with_timeout(query.execute(&*self.pool()?)).await?;
        Ok(())
    }

    pub(in crate::backplane) async fn registered(&self, list: &str) -> Result<Vec<String>, BackplaneError> {
        self.ensure_available()?;
        let statement = format!("SELECT name FROM {} WHERE list = $1 AND until >= {NOW}", self.logs.names);
        let query = sqlx::query_scalar(&statement).bind(list);
        match with_timeout(query.fetch_all(&*self.pool()?)).await {
            // No node has ever kept a log.
            Err(PostgresError::Client(sqlx::Error::Database(error))) if error.code().as_deref() == Some("42P01") => {
                Ok(Vec::new())
            }
            found => Ok(found?),
        }
    }
}
