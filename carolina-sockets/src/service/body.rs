use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::telemetry::{Cause, refused};

/// How many bytes of a body give it another second.
const LEAST_RATE: u64 = 500;

/// A request's body that has to keep coming: the server waits for it for `timeout` in all, and a second longer for each
/// 500 bytes it has received. So a long upload goes on, and a client that sends nothing, or a byte now and then, does
/// not hold a connection and a handler. The time in which the handler does not read is not counted.
pub(super) struct PacedBody<B> {
    body: B,
    timeout: Duration,
    received: u64,
    waited: Duration,
    /// Since when nothing has come.
    waiting: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
    failed: bool,
}

impl<B> PacedBody<B> {
    pub(super) fn new(body: B, timeout: Duration) -> Self {
        Self { body, timeout, received: 0, waited: Duration::ZERO, waiting: None, deadline: None, failed: false }
    }

    /// Waits for the body's next frame, or its deadline.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() {
            let now = Instant::now();
            self.waiting = Some(now);
            let allowed = self.timeout + Duration::from_secs(self.received / LEAST_RATE);
            let until = now + allowed.saturating_sub(self.waited);
            match &mut self.deadline {
                Some(deadline) => deadline.as_mut().reset(until),
                None => self.deadline = Some(Box::pin(sleep_until(until))),
            }
        }
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.failed {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            ready!(this.poll_deadline(context));
            this.failed = true;
            let message = format!(
                "a request's body stopped after {} bytes: it has {:?}, and a second for each {LEAST_RATE} bytes \
                 (limits.body_timeout)",
                this.received, this.timeout
            );
            refused(Cause::SlowBody, &message);
            return Poll::Ready(Some(Err(message.into())));
        };
        if let Some(since) = this.waiting.take() {
            this.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// Chunks of this size, each after such a pause.
    fn drip(bytes: usize, pause: Duration, count: usize) -> impl Body<Data = Bytes, Error = BoxError> + Unpin {
        let chunks = futures_util::stream::unfold(0, move |sent| async move {
            if sent == count {
                return None;
            }
            tokio::time::sleep(pause).await;
            Some((Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; bytes]))), sent + 1))
        });
        StreamBody::new(Box::pin(chunks))
    }

    #[tokio::test(start_paused = true)]
    async fn r14_a_body_that_keeps_coming_may_take_long() {
        // An hour at twice the least rate.
        let body = PacedBody::new(drip(10_000, Duration::from_secs(10), 360), Duration::from_secs(30));
        let began = Instant::now();
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 3_600_000);
        assert_eq!(began.elapsed(), Duration::from_secs(3600));
    }

    #[tokio::test(start_paused = true)]
    async fn r14_a_body_that_drips_or_stops_is_given_up() {
        for (bytes, pause) in [(1, 1), (1, 29), (499, 1), (1, 100_000)] {
            let body = PacedBody::new(drip(bytes, Duration::from_secs(pause), usize::MAX), Duration::from_secs(30));
            let began = Instant::now();
            let error = body.collect().await.unwrap_err();
            assert!(error.to_string().contains("limits.body_timeout"), "{error}");
            assert!(began.elapsed() <= Duration::from_secs(30 * 500), "{:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r14_a_handler_that_is_slow_to_read_costs_the_client_nothing() {
        let mut body = PacedBody::new(drip(10, Duration::from_secs(1), 20), Duration::from_secs(30));
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}
