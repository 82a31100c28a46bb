//! Lines about requests, in the form that all other lines have, written without the formatting machinery: there is one
//! for each request.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::output;
use crate::settings::LogFormat;

/// The target of lines about requests.
pub(super) const ACCESS: &str = "kapelle::access";

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line::new()) };
}

/// Writes the events of one target.
#[derive(Debug)]
pub(super) struct AccessLines {
    format: LogFormat,
}

impl AccessLines {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format }
    }
}

impl<S: Subscriber> Layer<S> for AccessLines {
    #[expect(
        clippy::disallowed_methods,
        reason = "a line of the log says when the machine wrote it"
    )]
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != ACCESS {
            return;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        LINE.with_borrow_mut(|line| {
            line.write(event, self.format, now);
            output::add(line.text.as_bytes());
        });
    }
}

/// A line in the making; each thread has one and uses it again.
#[derive(Debug)]
struct Line {
    text: String,
    format: LogFormat,
    /// Seconds since 1970, and their text without a zone: most lines have the second of the line before.
    second: u64,
    second_text: String,
}

impl Line {
    const fn new() -> Self {
        Self {
            text: String::new(),
            format: LogFormat::Text,
            second: 0,
            second_text: String::new(),
        }
    }

    fn write(&mut self, event: &Event<'_>, format: LogFormat, now: Duration) {
        self.format = format;
        self.text.clear();
        if now.as_secs() != self.second || self.second_text.is_empty() {
            self.second = now.as_secs();
            self.second_text = without_zone(self.second);
        }
        let level = event.metadata().level().as_str();
        if format == LogFormat::Json {
            self.push(&["{\"timestamp\":\""]);
        }
        self.text.push_str(&self.second_text);
        self.text.push('.');
        self.push_digits(now.subsec_micros().into(), 6);
        match format {
            LogFormat::Json => self.push(&["Z\",\"level\":\"", level, "\""]),
            LogFormat::Text => self.push(&["Z  ", level, " ", ACCESS, ":"]),
        }
        event.record(self);
        match format {
            LogFormat::Json => self.push(&[",\"target\":\"", ACCESS, "\"}\n"]),
            LogFormat::Text => self.text.push('\n'),
        }
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }

    fn name(&mut self, field: &Field) {
        match self.format {
            LogFormat::Json => self.push(&[",\"", field.name(), "\":"]),
            LogFormat::Text => self.push(&[" ", field.name(), "="]),
        }
    }

    /// At least `width` digits.
    fn push_digits(&mut self, number: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let (mut rest, mut at) = (number, digits.len());
        while rest > 0 || digits.len() - at < width {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        let digits = digits[at..].iter().map(|digit| char::from(*digit));
        self.text.extend(digits);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        if value.bytes().all(plain) {
            self.push(&["\"", value, "\""]);
        } else if self.format == LogFormat::Json {
            self.push(&[&serde_json::Value::from(value).to_string()]);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{value:?}");
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.push_digits(value, 1);
    }

    /// With three digits after the point: milliseconds become microseconds.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float stops at the ends of the integer"
        )]
        let thousandths = (value * 1_000.0).round() as u64;
        self.push_digits(thousandths / 1_000, 1);
        self.text.push('.');
        self.push_digits(thousandths % 1_000, 3);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.record_str(field, &text);
    }
}

/// A second since 1970 as `2026-11-01T10:00:00`.
fn without_zone(second: u64) -> String {
    let second = i64::try_from(second).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = date.format(&Rfc3339).unwrap_or_default();
    text.trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt;
    use tracing_subscriber::prelude::*;

    use super::*;

    /// Keeps what it is given: events as [`Line`] writes them, or bytes of another layer.
    #[derive(Clone, Debug)]
    struct Kept(Arc<Mutex<String>>, LogFormat);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line::new();
            line.write(event, self.1, Duration::new(1_793_527_200, 42_000));
            self.0.lock().unwrap().push_str(&line.text);
        }
    }

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0
                .lock()
                .unwrap()
                .push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Our line about a request for `path`, and the one that all other events would get.
    fn lines(format: LogFormat, path: &str) -> (String, String) {
        let kept = || Kept(Arc::default(), format);
        let (ours, theirs) = (kept(), kept());
        let writer = theirs.clone();
        let layer = fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let layer = match format {
            LogFormat::Json => layer.json().flatten_event(true).boxed(),
            LogFormat::Text => layer.boxed(),
        };
        let both = tracing_subscriber::registry()
            .with(ours.clone())
            .with(layer);
        tracing::subscriber::with_default(both, || {
            tracing::info!(target: ACCESS, request = "id-1", path, status = 200_u16, milliseconds = 0.25, bytes = 9_000_u64);
        });
        let text = |kept: Kept| kept.0.lock().unwrap().clone();
        (text(ours), text(theirs))
    }

    const PATHS: [&str; 4] = ["/repo/acme", "/a\"b\\c", "/\u{20ac}", "/\u{1b}[31m\n"];

    #[test]
    fn a_line_of_text_is_that_of_all_other_events() {
        for path in PATHS {
            let (ours, theirs) = lines(LogFormat::Text, path);
            assert!(ours.starts_with("2026-11-01T10:00:00.000042Z "), "{ours}");
            let without_time =
                |line: &str| line.split_once(' ').unwrap().1.replace("0.250", "0.25");
            assert_eq!(without_time(&ours), without_time(&theirs));
        }
    }

    #[test]
    fn an_object_is_that_of_all_other_events() {
        for path in PATHS {
            let (ours, theirs) = lines(LogFormat::Json, path);
            assert!(ours.ends_with("}\n"));
            let object = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
            let (mut ours, theirs) = (object(&ours), object(&theirs));
            assert_eq!(ours["timestamp"], "2026-11-01T10:00:00.000042Z");
            ours["timestamp"] = theirs["timestamp"].clone();
            assert_eq!(ours, theirs);
        }
    }
}
