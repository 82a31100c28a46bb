//! What a verification says: how much was looked at, what is broken, what is worth knowing.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Serialize, Serializer};

/// Findings of one kind that are listed; of more, only the number is told.
const LISTED: u64 = 1_000;

/// What a verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How much was looked at.
    pub checked: Checked,
    /// Something that could be installed is lost or wrong.
    pub broken: Vec<Finding>,
    /// Worth knowing; nothing is lost.
    pub notes: Vec<Finding>,
    /// Findings that are left out of the lists, as each kind is listed 1,000 times at most.
    pub unlisted: Unlisted,
    #[serde(skip)]
    listed: BTreeMap<(Severity, Kind), u64>,
}

/// How many findings are not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unlisted {
    /// Of what is broken.
    pub broken: u64,
    /// Of the notes.
    pub notes: u64,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Broken,
    Note,
}

/// How many of what were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Organizations.
    pub organizations: u64,
    /// Packages, removed ones included.
    pub packages: u64,
    /// Live versions.
    pub versions: u64,
    /// Published commits.
    pub references: u64,
    /// Documents, those included of which only the date is left.
    pub documents: u64,
    /// Archives that were read from their first byte to their last.
    pub archives: u64,
    /// Bytes of those.
    pub archive_bytes: u64,
    /// Rows of blobs.
    pub blobs: u64,
    /// Mirrors that were followed from commit to commit.
    pub mirrors: u64,
    /// Jobs that run.
    pub jobs: u64,
    /// Changes of the sequence.
    pub changes: u64,
    /// Encrypted secrets.
    pub secrets: u64,
}

impl AddAssign for Checked {
    fn add_assign(&mut self, other: Self) {
        self.organizations += other.organizations;
        self.packages += other.packages;
        self.versions += other.versions;
        self.references += other.references;
        self.documents += other.documents;
        self.archives += other.archives;
        self.archive_bytes += other.archive_bytes;
        self.blobs += other.blobs;
        self.mirrors += other.mirrors;
        self.jobs += other.jobs;
        self.changes += other.changes;
        self.secrets += other.secrets;
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is, for scripts.
    pub kind: Kind,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// What is wrong.
    pub finding: String,
    /// What to do.
    pub advice: String,
}

impl Finding {
    pub(super) fn new(
        kind: Kind,
        about: About,
        finding: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            about,
            finding: finding.into(),
            advice: advice.into(),
        }
    }
}

/// What a finding is about, as far as that applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// The organization's name in URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The package's name, or its repository as long as it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// A version at that reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The blob's SHA-256, or the file in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// The document's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<i64>,
}

impl About {
    pub(super) fn version(self, version: Option<&str>) -> Self {
        let version = version.map(str::to_owned);
        Self { version, ..self }
    }

    pub(super) fn reference(self, reference: &str) -> Self {
        let reference = Some(reference.to_owned());
        Self { reference, ..self }
    }

    pub(super) fn blob(self, sha256: &[u8]) -> Self {
        let blob = Some(hex::encode(sha256));
        Self { blob, ..self }
    }

    pub(super) fn document(self, path: &str) -> Self {
        let document = Some(path.to_owned());
        Self { document, ..self }
    }
}

impl Report {
    /// Whether nothing is broken.
    pub fn is_sound(&self) -> bool {
        self.broken.is_empty()
    }

    pub(super) fn add(&mut self, severity: Severity, finding: Finding) {
        let listed = self.listed.entry((severity, finding.kind)).or_default();
        *listed += 1;
        let is_listed = *listed <= LISTED;
        match severity {
            Severity::Broken if is_listed => self.broken.push(finding),
            Severity::Broken => self.unlisted.broken += 1,
            Severity::Note if is_listed => self.notes.push(finding),
            Severity::Note => self.unlisted.notes += 1,
        }
    }
}

/// Makes the enumeration and the codes of its members.
macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+ $kind:ident = $code:literal,)+) => {
        /// What a finding is. The code is what scripts see.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[doc = $meaning])+ $kind,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The code.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code),+
                }
            }
        }
    };
}

kinds! {
    /// A file in an archive is not what its version was published with.
    ArchiveDiffers = "archive_differs",
    /// An archive cannot be opened although its bytes are those that were stored.
    ArchiveUnreadable = "archive_unreadable",
    /// An archive has no composer.json.
    ArchiveWithoutManifest = "archive_without_manifest",
    /// Something refers to a blob that is being deleted.
    BlobCondemned = "blob_condemned",
    /// A blob's bytes are not those that were stored.
    BlobDamaged = "blob_damaged",
    /// A blob's bytes are gone.
    BlobMissing = "blob_missing",
    /// A file in the store that no row knows.
    BlobUnknown = "blob_unknown",
    /// A file that was never finished.
    BlobUnfinished = "blob_unfinished",
    /// A blob's bytes cannot be read.
    BlobUnreadable = "blob_unreadable",
    /// A blob that nothing refers to.
    BlobUnused = "blob_unused",
    /// A published commit that is in no archive and not in the mirror.
    CommitLost = "commit_lost",
    /// A dist's checksum or size is not that of its bytes.
    DistChecksum = "dist_checksum",
    /// A published commit without an archive, and nobody is going to build it.
    DistMissing = "dist_missing",
    /// A published commit of which no archive could be built, with the reason.
    DistUnbuilt = "dist_unbuilt",
    /// A document's date is from the future.
    DocumentAhead = "document_ahead",
    /// A document cannot be unpacked, or its two forms say different things.
    DocumentDamaged = "document_damaged",
    /// A document does not say what the rows say.
    DocumentDiffers = "document_differs",
    /// A document's row is gone, and with it its date.
    DocumentMissing = "document_missing",
    /// A document of a package that is not there.
    DocumentOrphaned = "document_orphaned",
    /// Whoever follows the changes does not know of a document.
    DocumentUnannounced = "document_unannounced",
    /// A job whose worker gave no sign of life for too long.
    JobAbandoned = "job_abandoned",
    /// Something kept changing while it was looked at.
    KeptChanging = "kept_changing",
    /// A mirror is damaged.
    MirrorDamaged = "mirror_damaged",
    /// A mirror lacks published commits whose archives are built.
    MirrorIncomplete = "mirror_incomplete",
    /// There is no mirror on this machine.
    MirrorMissing = "mirror_missing",
    /// A purged commit is still kept.
    PurgedKept = "purged_kept",
    /// A ref is taken for published and is not.
    RefUnpublished = "ref_unpublished",
    /// A live version whose commit is not among the published ones.
    ReferenceUnknown = "reference_unknown",
    /// A secret that our key does not open.
    SecretUnreadable = "secret_unreadable",
    /// The change sequence is ahead of the clock.
    SequenceAhead = "sequence_ahead",
    /// A change came in behind a newer one.
    SequenceDisordered = "sequence_disordered",
    /// The published checksum is not that of the dist.
    ShasumDiffers = "shasum_differs",
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
