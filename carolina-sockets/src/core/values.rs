use parking_lot::Mutex;

use super::States;

/// The values that an application has left on a socket, by their types. Nothing is allocated before the first one.
///
/// No value is cloned or dropped under the lock, as both may run code of the application's.
#[derive(Default)]
pub(crate) struct Values(Mutex<Option<Box<States>>>);

impl Values {
    pub(crate) fn set<T: Send + Sync + 'static>(&self, value: T) {
        let replaced = self.0.lock().get_or_insert_default().insert(value);
        drop(replaced);
    }

    pub(crate) fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        let value = self.0.lock().as_ref()?.get::<T>();
        value.map(|value| T::clone(&value))
    }

    pub(crate) fn remove<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        let value = self.0.lock().as_mut()?.remove::<T>();
        value.map(|value| T::clone(&value))
    }

    /// Removes all, since one of them may keep the socket.
    pub(crate) fn clear(&self) {
        let values = self.0.lock().take();
        drop(values);
    }
}
