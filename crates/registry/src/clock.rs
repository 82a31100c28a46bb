//! Time, passed in: the system's in production, the test's in tests.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// One second, one minute, one hour, one day in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

/// A moment as people and programs read it: `2026-11-01T10:00:00Z`, to the second.
pub fn rfc3339(at: Millis) -> String {
    OffsetDateTime::from_unix_timestamp(at.div_euclid(SECOND))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.to_string())
}

/// Where "now" comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that moves only when told to.
    Manual(Arc<Hands>),
}

/// One look at the clock, for those who would need several.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// As [`Clock::now`] has it.
    pub now: Millis,
    /// As [`Clock::passed`] has it.
    pub passed: Millis,
    /// For measuring how long something took.
    pub instant: Instant,
}

/// Where a manual clock stands.
#[derive(Debug)]
pub struct Hands {
    shown: AtomicI64,
    passed: AtomicI64,
}

/// What [`Clock::passed`] of the system counts from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    /// A clock that stands at `now` until [`advance`](Clock::advance) moves it.
    pub fn manual(now: Millis) -> Self {
        Self::Manual(Arc::new(Hands {
            shown: AtomicI64::new(now),
            passed: AtomicI64::new(0),
        }))
    }

    /// The present moment, as whoever sets the machine's clock has it: it may jump, in both directions.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of the system clock"
    )]
    pub fn now(&self) -> Millis {
        match self {
            Self::System => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, millis),
            Self::Manual(hands) => hands.shown.load(Ordering::SeqCst),
        }
    }

    /// How much time has passed since some moment: for durations in one process, whatever happens to the clock.
    pub fn passed(&self) -> Millis {
        match self {
            Self::System => millis(START.elapsed()),
            Self::Manual(hands) => hands.passed.load(Ordering::SeqCst),
        }
    }

    /// The present moment in every form.
    pub fn moment(&self) -> Moment {
        let instant = Instant::now();
        let passed = match self {
            Self::System => millis(instant.saturating_duration_since(*START)),
            Self::Manual(_) => self.passed(),
        };
        Moment {
            now: self.now(),
            passed,
            instant,
        }
    }

    /// Lets time pass on a manual clock; the system clock cannot be moved.
    pub fn advance(&self, by: Millis) {
        if let Self::Manual(hands) = self {
            hands.passed.fetch_add(by, Ordering::SeqCst);
        }
        self.jump(by);
    }

    /// Sets a manual clock forward or back while no time passes.
    pub fn jump(&self, by: Millis) {
        if let Self::Manual(hands) = self {
            hands.shown.fetch_add(by, Ordering::SeqCst);
        }
    }
}

fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
