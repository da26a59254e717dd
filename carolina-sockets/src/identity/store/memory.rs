use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use parking_lot::Mutex;
use time::OffsetDateTime;
use tower_sessions::{
    ExpiredDeletion, SessionStore,
    session::{Id, Record},
    session_store::Result,
};

/// Sessions in memory, which end with the process.
#[derive(Default)]
pub(super) struct MemoryStore(Mutex<HashMap<Id, Record>>);

impl MemoryStore {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Id, Record>) -> T) -> T {
        act(&mut self.0.lock())
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.with(|records| {
            while records.contains_key(&record.id) {
                record.id = Id::default();
            }
            records.insert(record.id, record.clone());
        });
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.with(|records| records.insert(record.id, record.clone()));
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let now = OffsetDateTime::now_utc();
        Ok(self.with(|records| records.get(id).filter(|record| record.expiry_date > now).cloned()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.with(|records| records.remove(id));
        Ok(())
    }
}

#[async_trait]
impl ExpiredDeletion for MemoryStore {
    async fn delete_expired(&self) -> Result<()> {
        let now = OffsetDateTime::now_utc();
        self.with(|records| {
            records.retain(|_, record| record.expiry_date > now);
            if records.capacity() / 4 > records.len() {
                records.shrink_to_fit();
            }
        });
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    /// Without the sessions, whose ids are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("sessions", &self.with(|records| records.len())).finish()
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    fn record(lives: Duration) -> Record {
        Record { id: Id::default(), data: HashMap::new(), expiry_date: OffsetDateTime::now_utc() + lives }
    }

    #[tokio::test]
    async fn r11_expired_sessions_are_not_found_and_then_gone() {
        let store = MemoryStore::default();
        let (mut lives, mut expired) = (record(Duration::HOUR), record(-Duration::SECOND));
        store.create(&mut lives).await.unwrap();
        store.create(&mut expired).await.unwrap();
        assert!(store.load(&lives.id).await.unwrap().is_some());
        assert!(store.load(&expired.id).await.unwrap().is_none());
        assert_eq!(format!("{store:?}"), "MemoryStore { sessions: 2 }");
        store.delete_expired().await.unwrap();
        assert_eq!(format!("{store:?}"), "MemoryStore { sessions: 1 }");
    }

    #[tokio::test]
    async fn r10_no_two_sessions_share_an_id() {
        let store = MemoryStore::default();
        let mut first = record(Duration::HOUR);
        store.create(&mut first).await.unwrap();
        let mut second = first.clone();
        store.create(&mut second).await.unwrap();
        assert_ne!(first.id, second.id);
    }
}
