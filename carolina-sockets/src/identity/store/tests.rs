use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use time::OffsetDateTime;
use tower_sessions::{
    Expiry, SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use super::{memory::MemoryStore, *};

const TTL: Duration = Duration::from_secs(1000);

fn watched(store: impl SessionStore) -> (Arc<NotifyingStore>, Arc<Mutex<Vec<Change>>>) {
    let store = Arc::new(NotifyingStore::new(SharedStore::new(store), TTL));
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    store.set_listener(Arc::new(move |change, _| {
        log.lock().push(change);
        Box::pin(std::future::ready(()))
    }));
    (store, told)
}

/// What was told since the last look, in short, with the sessions numbered as they appeared.
fn told(log: &Mutex<Vec<Change>>) -> Vec<String> {
    let mut ids: Vec<Id> = Vec::new();
    let mut number = |id: Id| {
        let known = ids.iter().position(|known| *known == id);
        known.unwrap_or_else(|| {
            ids.push(id);
            ids.len() - 1
        })
    };
    let mut short = |change: Change| match change {
        Change::Saved(record) => format!("saved {}", number(record.id)),
        Change::Ended(id) => format!("ended {}", number(id)),
        Change::Moved { from, to, .. } => format!("moved {} to {}", number(from), number(to)),
    };
    std::mem::take(&mut *log.lock()).into_iter().map(&mut short).collect()
}

#[tokio::test]
async fn r11_what_happens_to_a_session_is_told() {
    let (store, log) = watched(MemoryStore::default());
    let session = store.session(None);
    session.insert("user_id", 7).await.unwrap();
    session.save().await.unwrap();
    session.insert("user_id", 8).await.unwrap();
    session.save().await.unwrap();
    session.flush().await.unwrap();
    assert_eq!(told(&log), ["saved 0", "saved 0", "ended 0"]);
}

#[tokio::test]
async fn r11_a_renewed_id_is_told_as_one_move() {
    let (store, log) = watched(MemoryStore::default());
    let session = store.session(None);
    session.insert("cart", 1).await.unwrap();
    session.save().await.unwrap();
    let old = session.id();
    store
        .request()
        .run(async {
            session.cycle_id().await.unwrap();
            session.insert("user_id", 7).await.unwrap();
            session.save().await.unwrap();
        })
        .await;
    assert_eq!(told(&log), ["saved 0", "moved 0 to 1"]);
    assert_ne!(session.id(), old);
    assert!(store.load(&old.unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn r11_an_end_without_a_successor_is_told_when_the_request_is_over_or_dropped() {
    let (store, log) = watched(MemoryStore::default());
    for finishes in [true, false] {
        let session = store.session(None);
        session.insert("user_id", 7).await.unwrap();
        session.save().await.unwrap();
        let (seen, at_the_end) = (log.clone(), Arc::new(tokio::sync::Notify::new()));
        let ended = at_the_end.clone();
        let request = store.request().run(async move {
            session.flush().await.unwrap();
            assert_eq!(told(&seen), ["saved 0"]);
            if !finishes {
                ended.notify_one();
                std::future::pending::<()>().await;
            }
        });
        // The client of the second one goes away.
        tokio::select! {
            () = request => assert!(finishes),
            () = at_the_end.notified() => assert!(!finishes),
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while log.lock().is_empty() && tokio::time::Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        assert_eq!(told(&log), ["ended 0"]);
    }
}

#[tokio::test]
async fn r11_a_request_that_was_under_way_does_not_undo_a_log_out() {
    let (store, log) = watched(MemoryStore::default());
    let session = store.session(None);
    session.insert("user_id", 7).await.unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let slow = store.session(Some(id));
    slow.insert("seen", true).await.unwrap();
    session.flush().await.unwrap();
    slow.save().await.unwrap();
    assert!(store.load(&id).await.unwrap().is_none());
    assert!(store.prolong(&id).await.unwrap().is_none());
    assert_eq!(told(&log), ["saved 0", "ended 0"]);
}

#[tokio::test]
async fn r11_prolonging_keeps_what_was_stored_meanwhile() {
    let (store, _) = watched(MemoryStore::default());
    let session = store.session(None);
    session.insert("user_id", 7).await.unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    // Another request logs the user out by taking the user away.
    let other = store.session(Some(id));
    other.remove::<u64>("user_id").await.unwrap();
    other.save().await.unwrap();
    store.prolong(&id).await.unwrap().unwrap();
    assert!(!store.load(&id).await.unwrap().unwrap().data.contains_key("user_id"));
}

#[tokio::test]
async fn r11_a_lifetime_of_its_own_stays_with_a_session() {
    let (store, _) = watched(MemoryStore::default());
    let end = OffsetDateTime::now_utc() + Duration::from_secs(60);
    let own = serde_json::to_value(Expiry::AtDateTime(end)).unwrap();
    let session = store.session(None);
    session.insert(LIFETIME_KEY, own).await.unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let ends = async || store.load(&id).await.unwrap().unwrap().expiry_date;
    assert_eq!(ends().await, end);
    // A later request knows nothing of it.
    let later = store.session(Some(id));
    later.insert("cart", 1).await.unwrap();
    later.save().await.unwrap();
    assert_eq!(ends().await, end);
    assert_eq!(store.prolong(&id).await.unwrap(), Some(end));
}

#[tokio::test]
async fn r11_of_two_changes_the_later_has_the_greater_version() {
    let (store, _) = watched(MemoryStore::default());
    let session = store.session(None);
    session.insert("user_id", 7).await.unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let (before, generation) = (store.version(&id), store.generation());
    session.save().await.unwrap();
    assert_ne!(store.version(&id), before);
    assert!(store.generation() > generation);
}

/// A store that fails, and tells more than it should.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl SessionStore for Broken {
    async fn save(&self, record: &Record) -> Result<()> {
        Err(Error::Backend(format!("cannot write {record:?}")))
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        Err(Error::Backend(format!("no answer for {id} ({id:?})")))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        Err(Error::Backend(format!("no answer for {id}")))
    }
}

#[tokio::test]
async fn r11_a_stores_errors_tell_no_session_id_and_nobody_else() {
    let (store, log) = watched(Broken);
    let id = Id::default();
    let mut record =
        Record { id, data: HashMap::from([("a".into(), json!(1))]), expiry_date: OffsetDateTime::now_utc() };
    let errors = [
        store.load(&id).await.unwrap_err(),
        store.delete(&id).await.unwrap_err(),
        store.create(&mut record).await.unwrap_err(),
        store.save(&record).await.unwrap_err(),
        store.prolong(&id).await.unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains("***") && !text.contains(&id.to_string()) && !text.contains(&id.0.to_string()), "{text}");
    }
    assert!(told(&log).is_empty());
}

#[test]
fn r11_a_change_prints_no_session_id() {
    assert_eq!(format!("{:?}", Change::Ended(Id(7))), "Ended(***)");
}
