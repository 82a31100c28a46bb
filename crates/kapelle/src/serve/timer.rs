//! Timers that cost nothing per request.
//!
//! The HTTP server makes a timer before each request and drops it when the request is there. To set and to clear one takes
//! the lock of the runtime's timer wheel each time. Here a dropped timer stays set, and who wants one next on the same
//! thread gets it: it rings too early for that, once in a long while, and is then set anew.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

thread_local! {
    /// The timer that was dropped last on this thread, still set.
    static SPARE: Cell<Option<Pin<Box<tokio::time::Sleep>>>> = const { Cell::new(None) };
}

/// Makes timers of those that others dropped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReusingTimer;

impl Timer for ReusingTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Reused {
            deadline,
            wheel: None,
        })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// One timer as the server sees it; in the wheel only once somebody waits for it.
#[derive(Debug)]
struct Reused {
    deadline: Instant,
    wheel: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Sleep for Reused {}

impl Future for Reused {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let deadline = this.deadline.into();
        let wheel = this.wheel.get_or_insert_with(|| take(deadline));
        loop {
            ready!(wheel.as_mut().poll(context));
            if tokio::time::Instant::now() >= deadline {
                return Poll::Ready(());
            }
            wheel.as_mut().reset(deadline);
        }
    }
}

impl Drop for Reused {
    fn drop(&mut self) {
        if let Some(wheel) = self.wheel.take() {
            // At the end of a thread there is nobody left to keep it for.
            let _ = SPARE.try_with(|spare| spare.set(Some(wheel)));
        }
    }
}

/// A timer that rings at `deadline` or earlier.
fn take(deadline: tokio::time::Instant) -> Pin<Box<tokio::time::Sleep>> {
    let spare = SPARE.take().filter(|spare| spare.deadline() <= deadline);
    spare.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(deadline)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Lets a timer be waited for, and drops it before it rings.
    async fn drop_one(after: Duration) {
        let timer = ReusingTimer.sleep(after);
        let waited = tokio::time::timeout(Duration::from_millis(1), timer).await;
        assert!(waited.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reused_timer_rings_when_it_should_and_not_before() {
        drop_one(10 * SECOND).await;
        tokio::time::advance(4 * SECOND).await;
        let began = ReusingTimer.now();
        ReusingTimer.sleep(10 * SECOND).await;
        assert_eq!((ReusingTimer.now() - began).as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_rings_later_is_not_reused() {
        drop_one(100 * SECOND).await;
        let began = ReusingTimer.now();
        ReusingTimer.sleep(SECOND).await;
        assert_eq!((ReusingTimer.now() - began).as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_timer_is_the_one_that_was_dropped() {
        drop_one(SECOND).await;
        let kept = SPARE.take().unwrap();
        let set_for = kept.deadline();
        SPARE.set(Some(kept));
        let mut timer = ReusingTimer.sleep(5 * SECOND);
        assert!(futures::poll!(&mut timer).is_pending());
        drop(timer);
        assert_eq!(SPARE.take().unwrap().deadline(), set_for);
    }
}
