//! What a repository has: its branches and tags as `git ls-remote` prints them.

use std::collections::BTreeMap;

use crate::error::VcsError;
use crate::host_key::HostKey;
use crate::refname;
use crate::url::RepositoryUrl;

/// The branches and tags of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The branch that HEAD names, without `refs/heads/`.
    pub default_branch: Option<String>,
    /// Full name (`refs/heads/main`, `refs/tags/1.0.0`) to commit; of annotated tags the commit they mark.
    pub refs: BTreeMap<String, String>,
    /// The annotated tags among them, each with its own object instead of the commit: what upstream gives away.
    pub tags: BTreeMap<String, String>,
    /// Branches and tags that cannot be mirrored, each with the reason.
    pub rejected: Vec<(String, String)>,
    /// Keys of the ssh host that were accepted because none was known: to be stored, and known from then on.
    pub new_host_keys: Vec<HostKey>,
    /// Where the server redirected to, if it did; the listing is from there.
    pub redirected_to: Option<RepositoryUrl>,
}

impl Listing {
    /// The object that a ref of it is at, from which one gets to the commit.
    pub(crate) fn object<'a>(&'a self, name: &str, commit: &'a str) -> &'a str {
        self.tags.get(name).map_or(commit, String::as_str)
    }
}

/// The longest line: an object name, a tab and a name with room to be refused with a sentence.
const MAX_LINE: usize = 8 * 1024;

/// Reads lines as they come in, whatever the pieces.
pub(crate) struct Lines {
    url: String,
    limit: usize,
    pending: Vec<u8>,
    /// Whether anything was announced at all.
    pub(crate) any: bool,
    /// The object that HEAD is at.
    head: Option<String>,
    listing: Listing,
}

impl Lines {
    /// At most `limit` branches and tags.
    pub(crate) fn new(url: &RepositoryUrl, limit: usize) -> Self {
        Self {
            url: url.to_string(),
            limit,
            pending: Vec::new(),
            any: false,
            head: None,
            listing: Listing::default(),
        }
    }

    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), VcsError> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(&piece[..end]);
            let line = std::mem::take(&mut self.pending);
            self.line(&String::from_utf8_lossy(&line))?;
            piece = &piece[end + 1..];
        }
        self.pending.extend_from_slice(piece);
        if self.pending.len() > MAX_LINE {
            return Err(VcsError::NotARepository {
                url: self.url.clone(),
                detail: "it announces a ref with an endless name".to_owned(),
            });
        }
        Ok(())
    }

    /// The listing, once all lines are in.
    pub(crate) fn finish(mut self) -> Listing {
        self.listing.default_branch = self.listing.default_branch.take().or_else(|| self.guess());
        let blocked: Vec<_> = self
            .listing
            .refs
            .keys()
            .filter_map(|name| {
                let taken = |other: &str| self.listing.refs.contains_key(other);
                let other = refname::blocked_by(name, taken)?;
                Some((name.clone(), format!("there is a {other:?} beside it")))
            })
            .collect();
        for (name, reason) in blocked {
            self.listing.refs.remove(&name);
            self.listing.tags.remove(&name);
            self.listing.rejected.push((name, reason));
        }
        self.listing
    }

    fn line(&mut self, line: &str) -> Result<(), VcsError> {
        let Some((value, name)) = line.split_once('\t') else {
            return Ok(());
        };
        self.any = true;
        if let Some(target) = value.strip_prefix("ref: ") {
            if name == "HEAD" && refname::check(target).is_ok() {
                self.listing.default_branch = target.strip_prefix("refs/heads/").map(str::to_owned);
            }
            return Ok(());
        }
        if value.len() == 64 {
            let url = self.url.clone();
            return Err(VcsError::UnsupportedObjects { url });
        }
        if name == "HEAD" {
            self.head = Some(value.to_owned());
            return Ok(());
        }
        if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") {
            return Ok(());
        }
        let (name, peeled) = match name.strip_suffix("^{}") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let outcome = refname::check(name).and_then(|()| check_target(value));
        match outcome {
            Ok(()) => {
                let before = self.listing.refs.insert(name.to_owned(), value.to_owned());
                if let Some(tag) = before.filter(|_| peeled) {
                    self.listing.tags.insert(name.to_owned(), tag);
                }
            }
            Err(reason) if !peeled => self.reject(name, reason),
            Err(_) => {}
        }
        if self.listing.refs.len() + self.listing.rejected.len() > self.limit {
            return Err(VcsError::TooManyRefs {
                url: self.url.clone(),
                limit: self.limit,
            });
        }
        Ok(())
    }

    fn reject(&mut self, name: &str, reason: &str) {
        let shown = name
            .chars()
            .map(|c| {
                if crate::text::is_invisible(c) {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .take(200)
            .collect();
        self.listing.rejected.push((shown, reason.to_owned()));
    }

    /// Old servers do not say which branch HEAD is: the first usual one that is at the same commit.
    fn guess(&self) -> Option<String> {
        let head = self.head.as_ref()?;
        let is_head = |branch: &&str| {
            let name = format!("refs/heads/{branch}");
            self.listing.refs.get(&name) == Some(head)
        };
        let usual = ["main", "master", "trunk", "develop"];
        usual.iter().copied().find(is_head).map(str::to_owned)
    }
}

/// A ref that is broken upstream, for instance by its name, is announced with zeros.
fn check_target(oid: &str) -> Result<(), &'static str> {
    if !refname::is_oid(oid) || oid.bytes().all(|digit| digit == b'0') {
        return Err("it is broken: it names no object");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Lines, Listing};
    use crate::{Protocols, RepositoryUrl, VcsError};

    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";

    fn read(text: &str, limit: usize) -> Result<Listing, VcsError> {
        let url = RepositoryUrl::parse("https://h/x", &Protocols::all()).unwrap();
        let mut lines = Lines::new(&url, limit);
        for piece in text.as_bytes().chunks(7) {
            lines.feed(piece)?;
        }
        Ok(lines.finish())
    }

    #[test]
    fn tags_are_peeled_and_other_namespaces_left_out() {
        let text = format!(
            "ref: refs/heads/main\tHEAD\n{A}\tHEAD\n{A}\trefs/heads/main\n{A}\trefs/pull/1/head\n\
             {A}\trefs/tags/1\n{B}\trefs/tags/1^{{}}\n"
        );
        let listing = read(&text, 10).unwrap();
        assert_eq!(listing.default_branch.as_deref(), Some("main"));
        let refs: Vec<_> = listing.refs.into_iter().collect();
        let expected = [("refs/heads/main", A), ("refs/tags/1", B)];
        assert_eq!(refs, expected.map(|(name, oid)| (name.into(), oid.into())));
        let tags: Vec<_> = listing.tags.into_iter().collect();
        assert_eq!(tags, [("refs/tags/1".to_owned(), A.to_owned())]);
    }

    #[test]
    fn names_that_cannot_be_mirrored_are_reported() {
        let text = format!("{A}\trefs/heads/*\n{A}\trefs/heads/a\n{A}\trefs/heads/a/b\n");
        let listing = read(&text, 10).unwrap();
        assert_eq!(listing.refs.len(), 1);
        let names: Vec<_> = listing.rejected.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["refs/heads/*", "refs/heads/a/b"]);
    }

    #[test]
    fn the_limit_counts_branches_and_tags() {
        let text = format!("{A}\trefs/heads/a\n{A}\trefs/pull/1\n{A}\trefs/tags/b\n");
        assert!(read(&text, 2).is_ok());
        assert!(matches!(
            read(&text, 1),
            Err(VcsError::TooManyRefs { limit: 1, .. })
        ));
    }

    #[test]
    fn a_server_that_does_not_name_its_default_branch_gets_the_usual_one() {
        let text = format!("{B}\tHEAD\n{A}\trefs/heads/main\n{B}\trefs/heads/master\n");
        assert_eq!(
            read(&text, 9).unwrap().default_branch.as_deref(),
            Some("master")
        );
    }
}
