//! `archive.exclude`: which files of a repository stay out of its dist.

mod class;
mod glob;

use regex::bytes::Regex;

/// The most patterns that are looked at.
const MAX_PATTERNS: usize = 256;

/// The longest pattern that is looked at, in bytes.
const MAX_PATTERN_BYTES: usize = 1024;

/// The patterns of a composer.json's `archive.exclude`, as Composer's archive filter reads them.
///
/// The **last** pattern that matches decides; one that starts with `!` takes files back in. With a
/// leading `/` a pattern is tied to the root, without any inner `/` it means a whole name at any depth,
/// and with an inner `/` only it may begin anywhere, even inside a name. A directory excludes what is
/// in it. `*`, `?`, `[…]`, `{a,b}` and `/**/` have their usual meanings; wildcards at the start of a
/// name do not match a dot.
#[derive(Debug, Clone, Default)]
pub struct ArchiveExclude {
    rules: Vec<Rule>,
    ignored: Vec<String>,
}

#[derive(Debug, Clone)]
struct Rule {
    regex: Regex,
    negated: bool,
}

impl ArchiveExclude {
    /// Reads patterns in their order. What Composer cannot compile, and what exceeds 256 patterns or a
    /// pattern's 1024 bytes, is ignored and never an error: see [`Self::ignored`].
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let mut this = Self::default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let pattern = pattern.as_ref();
            match Rule::new(pattern).filter(|_| index < MAX_PATTERNS) {
                Some(rule) => this.rules.push(rule),
                None => this.ignored.push(pattern.to_owned()),
            }
        }
        this
    }

    /// Whether a file or directory stays out. `path` is relative to the root, with `/` between names; a
    /// leading `/` makes no difference. Takes time linear in the path's length.
    pub fn excludes(&self, path: &str) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let subject = glob::subject(path);
        self.rules
            .iter()
            .rev()
            .find(|rule| rule.regex.is_match(&subject))
            .is_some_and(|rule| !rule.negated)
    }

    /// The patterns that have no effect, as they were written.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

impl Rule {
    fn new(pattern: &str) -> Option<Self> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return None;
        }
        let glob = pattern.trim_start_matches('!');
        Some(Self {
            regex: glob::compile(glob)?,
            negated: glob.len() < pattern.len(),
        })
    }
}
