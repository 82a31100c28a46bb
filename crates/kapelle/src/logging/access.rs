//! Lines about requests, in the form that all other lines have, written without the machinery of events: there is one for
//! each request.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kapelle_http::{AccessLine, AccessLog};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output;
use crate::settings::LogFormat;

/// What the log calls lines about requests.
pub(super) const TARGET: &str = "kapelle::access";
const LEVEL: &str = "INFO";

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line::new()) };
}

/// Writes lines about requests, if there is a form to write them in.
#[derive(Debug)]
pub(super) struct AccessLines {
    format: Option<LogFormat>,
}

impl AccessLines {
    pub(super) fn new(format: Option<LogFormat>) -> Self {
        Self { format }
    }
}

impl AccessLog for AccessLines {
    #[expect(
        clippy::disallowed_methods,
        reason = "a line of the log says when the machine wrote it"
    )]
    fn write(&self, about: &AccessLine<'_>) {
        let Some(format) = self.format else {
            return;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        LINE.with_borrow_mut(|line| {
            line.write(about, format, now);
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

    fn write(&mut self, about: &AccessLine<'_>, format: LogFormat, now: Duration) {
        self.format = format;
        self.text.clear();
        if now.as_secs() != self.second || self.second_text.is_empty() {
            self.second = now.as_secs();
            self.second_text = without_zone(self.second);
        }
        if format == LogFormat::Json {
            self.text.push_str("{\"timestamp\":\"");
        }
        self.text.push_str(&self.second_text);
        self.text.push('.');
        self.push_digits(now.subsec_micros().into(), 6);
        match format {
            LogFormat::Json => self.push(&["Z\",\"level\":\"", LEVEL, "\""]),
            LogFormat::Text => self.push(&["Z  ", LEVEL, " ", TARGET, ":"]),
        }
        self.push_text("request", about.request);
        self.push_text("method", about.method);
        self.push_text("path", about.path);
        self.push_number("status", about.status.into());
        self.push_milliseconds("milliseconds", about.elapsed);
        self.push_number("bytes", about.bytes);
        self.push_text("organization", about.organization);
        match format {
            LogFormat::Json => self.push(&[",\"target\":\"", TARGET, "\"}\n"]),
            LogFormat::Text => self.text.push('\n'),
        }
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }

    fn push_name(&mut self, name: &str) {
        match self.format {
            LogFormat::Json => self.push(&[",\"", name, "\":"]),
            LogFormat::Text => self.push(&[" ", name, "="]),
        }
    }

    fn push_text(&mut self, name: &str, value: &str) {
        self.push_name(name);
        let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        if value.bytes().all(plain) {
            self.push(&["\"", value, "\""]);
        } else if self.format == LogFormat::Json {
            self.text
                .push_str(&serde_json::Value::from(value).to_string());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{value:?}");
        }
    }

    fn push_number(&mut self, name: &str, value: u64) {
        self.push_name(name);
        self.push_digits(value, 1);
    }

    /// With three digits after the point.
    fn push_milliseconds(&mut self, name: &str, value: Duration) {
        self.push_name(name);
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.push_digits(micros / 1_000, 1);
        self.text.push('.');
        self.push_digits(micros % 1_000, 3);
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
        // Digits are ASCII.
        self.text
            .push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
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

    use tracing_subscriber::prelude::*;
    use tracing_subscriber::{Layer, fmt};

    use super::*;

    /// Keeps the bytes that a layer writes.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<String>>);

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

    /// Our line about a request for `path`, and the one that any other event would get.
    fn lines(format: LogFormat, path: &str) -> (String, String) {
        let about = AccessLine {
            request: "id-1",
            method: "GET",
            path,
            status: 200,
            elapsed: Duration::from_micros(250),
            bytes: 9_000,
            organization: "acme",
        };
        let mut ours = Line::new();
        ours.write(&about, format, Duration::new(1_793_527_200, 42_000));
        let theirs = Kept::default();
        let writer = theirs.clone();
        let layer = fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let layer = match format {
            LogFormat::Json => layer.json().flatten_event(true).boxed(),
            LogFormat::Text => layer.boxed(),
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                target: TARGET, request = about.request, method = about.method, path, status = about.status,
                milliseconds = 0.25, bytes = about.bytes, organization = about.organization,
            );
        });
        let theirs = theirs.0.lock().unwrap().clone();
        (ours.text, theirs)
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
