//! STUB
pub use tower_sessions::Session;
#[derive(Clone, Debug)]
pub struct SessionLayer;
impl<S> tower_layer::Layer<S> for SessionLayer {
    type Service = S;
    fn layer(&self, s: S) -> S {
        s
    }
}
