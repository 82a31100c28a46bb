//! One `git cat-file` that answers any number of questions about a mirror's objects.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::process::{ChildStdin, ChildStdout, Stdio};

use crate::classify;
use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::object::ObjectKind;
use crate::oid::Oid;
use crate::running::Running;
use crate::snapshot::Remembered;
use crate::text::detail;

/// Questions that are asked before answers are read: all of them fit into a pipe, so neither side waits for the other.
const AT_ONCE: usize = 500;
/// Longer than any line before an object's content.
const LONGEST_LINE: u64 = 256;
const BUFFER: usize = 64 * 1024;

/// Answers questions about objects, one after the other. Its calls block: see [`work`](Self::work).
///
/// After an error it is of no use any more, and ends when it is dropped.
#[derive(Debug)]
pub struct Objects {
    pub(crate) mirror: Mirror,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    running: Running,
    pub(crate) remembered: Remembered,
}

/// An object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Bytes of its content.
    pub size: u64,
}

impl Mirror {
    /// Starts a git that answers questions about objects; `None` while nothing was ever fetched.
    pub async fn open(&self) -> Result<Option<Objects>, VcsError> {
        if !self.exists() {
            return Ok(None);
        }
        let _permit = self.git().reading().await;
        let arguments = ["cat-file", "--batch-command", "--buffer"];
        let command = self.command("read objects of a mirror", &arguments);
        let (running, pipes) = Running::start(self, command, Stdio::piped())?;
        running.wait_for(false);
        Ok(Some(Objects {
            mirror: self.clone(),
            input: pipes.input,
            output: BufReader::with_capacity(BUFFER, pipes.output),
            running,
            remembered: Remembered::default(),
        }))
    }
}

impl Objects {
    /// Works with it where blocking is allowed, among the commands that may read at once, and gives it back.
    pub async fn work<T, E>(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E> + Send + 'static,
    ) -> Result<(Self, T), E>
    where
        T: Send + 'static,
        E: From<VcsError> + Send + 'static,
    {
        let permit = self.mirror.git().reading().await;
        let doing = self.running.doing().to_owned();
        let working = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            self.running.wait_for(true);
            let value = work(&mut self)?;
            self.running.wait_for(false);
            Ok((self, value))
        });
        let ended = working.await.map_err(io::Error::other);
        ended.map_err(VcsError::io(doing))?
    }

    /// Ends it. An object that it called missing was perhaps damaged: then this says so.
    pub async fn close(mut self) -> Result<(), VcsError> {
        let doing = self.running.doing().to_owned();
        let ended = tokio::task::spawn_blocking(move || self.end()).await;
        ended
            .map_err(io::Error::other)
            .map_err(VcsError::io(doing))?
    }

    /// As [`close`](Self::close). Nothing can be asked afterwards.
    pub(crate) fn end(&mut self) -> Result<(), VcsError> {
        self.running.wait_for(true);
        drop(self.input.take());
        let said = self.running.conclude()?;
        if classify::is_corrupt(&said) {
            return Err(self.damaged(detail(&said)));
        }
        Ok(())
    }

    /// Kind and size of objects, in order; `None` for one that is missing.
    pub fn info(&mut self, oids: &[Oid]) -> Result<Vec<Option<Object>>, VcsError> {
        let mut found = Vec::with_capacity(oids.len());
        for some in oids.chunks(AT_ONCE) {
            self.ask("info", some)?;
            for oid in some {
                found.push(self.header(*oid)?);
            }
        }
        Ok(found)
    }

    /// Hands over objects in order, each with a reader of its content, which need not be read to its end; `None` for
    /// one that is missing.
    pub fn contents<E: From<VcsError>>(
        &mut self,
        oids: &[Oid],
        mut each: impl FnMut(usize, Option<(Object, &mut dyn Read)>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (chunk, some) in oids.chunks(AT_ONCE).enumerate() {
            self.ask("contents", some)?;
            for (at, oid) in some.iter().enumerate() {
                let at = chunk * AT_ONCE + at;
                match self.header(*oid)? {
                    None => each(at, None)?,
                    Some(object) => {
                        self.content(object, |content| each(at, Some((object, content))))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The error that something is wrong with the mirror.
    pub(crate) fn damaged(&self, detail: String) -> VcsError {
        VcsError::Corrupt {
            path: self.mirror.path().to_owned(),
            detail,
        }
    }

    fn content<E: From<VcsError>>(
        &mut self,
        object: Object,
        take: impl FnOnce(&mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut content = Content {
            output: &mut self.output,
            left: object.size,
            is_cut: false,
        };
        let taken = take(&mut content);
        if taken.is_ok() {
            // What is left of it, and the line end.
            content.left += 1;
            io::copy(&mut content, &mut io::sink()).map_err(VcsError::io(self.running.doing()))?;
        }
        // Why git broke off tells more than what its reader made of that.
        if content.is_cut {
            return Err(self.broken_off().into());
        }
        taken
    }

    fn ask(&mut self, verb: &str, oids: &[Oid]) -> Result<(), VcsError> {
        let mut lines = String::with_capacity(oids.len() * (verb.len() + 42) + 6);
        for oid in oids {
            lines.extend([verb, " ", &oid.to_string(), "\n"]);
        }
        lines.push_str("flush\n");
        let written = match &mut self.input {
            Some(input) => input.write_all(lines.as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.broken_off()),
            written => written.map_err(VcsError::io(self.running.doing())),
        }
    }

    /// `<oid> <kind> <size>` or `<oid> missing`.
    fn header(&mut self, oid: Oid) -> Result<Option<Object>, VcsError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.output).take(LONGEST_LINE);
        limited
            .read_until(b'\n', &mut line)
            .map_err(VcsError::io(self.running.doing()))?;
        if line.pop() != Some(b'\n') {
            return Err(self.broken_off());
        }
        let line = String::from_utf8_lossy(&line);
        header_of(&line, &oid.to_string()).map_err(|()| VcsError::GitFailed {
            doing: self.running.doing().to_owned(),
            detail: format!("it answered {line:?} about {oid}"),
        })
    }

    /// Why it stopped answering.
    fn broken_off(&mut self) -> VcsError {
        drop(self.input.take());
        match self.running.conclude() {
            Err(error) => error,
            Ok(said) => VcsError::GitFailed {
                doing: self.running.doing().to_owned(),
                detail: format!("it stopped answering: {said}"),
            },
        }
    }
}

/// What a line says about the object `oid`; `None`: it is missing.
pub(crate) fn header_of(line: &str, oid: &str) -> Result<Option<Object>, ()> {
    let rest = line
        .strip_prefix(oid)
        .and_then(|rest| rest.strip_prefix(' '));
    let mut words = rest.ok_or(())?.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("missing"), None, None) => Ok(None),
        (Some(kind), Some(size), None) => {
            let kind = ObjectKind::parse(kind).ok_or(())?;
            let size = size.parse().map_err(|_| ())?;
            Ok(Some(Object { kind, size }))
        }
        _ => Err(()),
    }
}

/// The content of one object, however its reader goes about it.
struct Content<'a> {
    output: &'a mut BufReader<ChildStdout>,
    left: u64,
    /// Whether git ended in the middle.
    is_cut: bool,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let length = self.output.read(&mut buffer[..wanted])?;
        self.is_cut |= length == 0;
        self.left -= length as u64;
        Ok(length)
    }
}
