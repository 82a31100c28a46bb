//! When a request is sent again, and after how long.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};

use crate::error::OutboundError;

/// How often a GET or HEAD is tried when the other side is overloaded, restarting or not reachable.
///
/// The whole of it, waiting included, stays within the request's total time.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Tries in all, the first one included.
    pub attempts: u32,
    /// The first wait; each further one doubles it.
    pub first_wait: Duration,
    /// The longest wait. A server that asks for a longer one (`Retry-After`) gets its answer passed on instead.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// Every request is tried once.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// How long to wait before try number `tried + 1`, or `None` to be content with the status.
    pub(crate) fn after_answer(
        &self,
        tried: u32,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Duration> {
        let overloaded = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        if !overloaded || tried >= self.attempts {
            return None;
        }
        match retry_after(headers) {
            Some(asked) => (asked <= self.longest_wait).then_some(asked),
            None => Some(self.back_off(tried)),
        }
    }

    /// How long to wait before try number `tried + 1`, or `None` to report the error.
    pub(crate) fn after_error(&self, tried: u32, error: &OutboundError) -> Option<Duration> {
        let unreachable = matches!(error, OutboundError::Connect { .. });
        (unreachable && tried < self.attempts).then(|| self.back_off(tried))
    }

    fn back_off(&self, tried: u32) -> Duration {
        let factor = 2_u32.saturating_pow(tried.saturating_sub(1));
        self.first_wait
            .saturating_mul(factor)
            .min(self.longest_wait)
    }
}

/// Only what may be repeated without asking anyone.
pub(crate) fn repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// `Retry-After` in seconds. Its other form, a date, needs the other side's clock to be right and is not used.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(seconds: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::RETRY_AFTER, http::HeaderValue::from_static(seconds))])
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy {
            attempts: 9,
            ..RetryPolicy::default()
        };
        let waits: Vec<_> = (1..8)
            .map(|tried| policy.back_off(tried).as_millis())
            .collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn a_server_may_ask_for_a_wait_but_not_for_a_long_one() {
        let policy = RetryPolicy::default();
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(
            policy.after_answer(1, busy, &asking("2")),
            Some(Duration::from_secs(2))
        );
        assert_eq!(policy.after_answer(1, busy, &asking("3600")), None);
        assert_eq!(
            policy.after_answer(1, busy, &asking("Fri, 31 Dec 1999 23:59:59 GMT")),
            Some(Duration::from_millis(200))
        );
    }

    #[test]
    fn the_last_try_and_an_ordinary_failure_are_final() {
        let policy = RetryPolicy::default();
        let none = HeaderMap::new();
        assert_eq!(policy.after_answer(3, StatusCode::BAD_GATEWAY, &none), None);
        assert_eq!(policy.after_answer(1, StatusCode::NOT_FOUND, &none), None);
        assert_eq!(
            policy.after_answer(1, StatusCode::INTERNAL_SERVER_ERROR, &none),
            None
        );
    }
}
