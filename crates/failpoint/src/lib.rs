//! Places in the code at which a test kills the process. Without the feature `failpoints` they compile to nothing.
//!
//! With it, two environment variables say what happens: `FAILPOINT_LOG=FILE` appends the name of every point that is
//! reached, and `FAILPOINT_KILL=NUMBER:NAME` ends the process by SIGKILL when the point of that name is reached for the
//! NUMBER-th time.

#[cfg(feature = "failpoints")]
mod armed;

use std::fmt::Display;
use std::panic::Location;

/// Says that the point `name` is reached. The name tells what has just happened, or is just about to.
#[inline]
pub fn reach(name: impl Display) {
    #[cfg(feature = "failpoints")]
    armed::reach(&name.to_string());
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

/// Says that the point `name` is reached on behalf of `caller`: one name for each place that calls a function.
#[inline]
pub fn reach_from(name: &str, caller: &Location<'_>) {
    reach(format_args!("{name} {}:{}", caller.file(), caller.line()));
}
