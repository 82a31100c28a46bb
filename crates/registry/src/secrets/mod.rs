//! Secrets at rest: XChaCha20-Poly1305, bound to the table, column and row that hold them.

mod key_file;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};

use crate::random::Random;

const KEY_LENGTH: usize = 32;
/// Keys that may be in use at once.
const KEYS: usize = 8;
const NONCE_LENGTH: usize = 24;
/// First byte of every sealed secret, so that a later format can be told apart.
const FORMAT: u8 = 1;

/// Why a secret could not be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The key file is not what we wrote.
    #[error(
        "the key file {path} has no key of 64 hexadecimal digits on each line; restore it from your backup"
    )]
    KeyFile {
        /// Where the key was looked for.
        path: String,
    },
    /// The key given by configuration is not usable.
    #[error(
        "the configured secrets key is not 64 hexadecimal digits (or several of those, with commas)"
    )]
    Key,
    /// The keys are in the configuration, which we do not write.
    #[error(
        "the key is in the configuration: docs/operations.md says how a new one is put in front of it, and when the old one \
         may be left out"
    )]
    Configured,
    /// Somebody else is changing the key.
    #[error(
        "another process is changing the key at this moment: wait for it, and give this command again"
    )]
    Held,
    /// Too many keys.
    #[error("there are {KEYS} keys already: `kapelle keys retire` drops the old ones")]
    Many,
    /// The file system refused.
    #[error("the key file {path} cannot be used: {source}")]
    Io {
        /// Where the key was looked for.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The stored bytes were not written with this key, or belong to another row.
    #[error("the stored secret of {place} cannot be decrypted; was the key file replaced?")]
    Sealed {
        /// Table, column and row.
        place: String,
    },
}

impl SecretsError {
    fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.display().to_string(),
            source,
        }
    }
}

type Key = [u8; KEY_LENGTH];

/// Seals and opens secrets with the installation's keys: the first seals, each of them opens. Clones share them.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    keys: ArcSwap<Vec<XChaCha20Poly1305>>,
    /// Where they came from, if not from the configuration.
    file: Option<PathBuf>,
    random: Random,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets")
    }
}

impl Secrets {
    /// Uses keys given as 64 hexadecimal digits each, with commas in between.
    pub fn from_hex(keys: &SecretString, random: Random) -> Result<Self, SecretsError> {
        let keys = key_file::parse(keys.expose_secret()).ok_or(SecretsError::Key)?;
        Ok(Self::with(&keys, None, random))
    }

    /// Reads the key file, or makes one (readable by its owner only) where there is none.
    pub fn from_file(path: &Path, random: Random) -> Result<Self, SecretsError> {
        if !path.exists() {
            let made = key_file::make(path, &random);
            made.map_err(|source| SecretsError::io(path, source))?;
        }
        let keys = key_file::read(path)?;
        Ok(Self::with(&keys, Some(path.to_owned()), random))
    }

    fn with(keys: &[Key], file: Option<PathBuf>, random: Random) -> Self {
        Self(Arc::new(Inner {
            keys: ArcSwap::from_pointee(ciphers(keys)),
            file,
            random,
        }))
    }

    /// Encrypts `secret` for `place` (`table/column/row`), which must be given again to open it. Fails while the key file cannot
    /// be read: another process may have put a newer key in front, and dropped ours.
    pub fn seal(&self, place: &str, secret: &SecretString) -> Result<Vec<u8>, SecretsError> {
        self.read_again()?;
        let nonce = self.0.random.bytes::<NONCE_LENGTH>();
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self.0.keys.load()[0]
            .encrypt(&XNonce::from(nonce), payload)
            .expect("XChaCha20-Poly1305 fails only above 256 GiB");
        Ok([&[FORMAT][..], &nonce, &sealed].concat())
    }

    /// Decrypts what [`seal`](Self::seal) made for the same place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<SecretString, SecretsError> {
        let opened = || open(&self.0.keys.load(), place, sealed);
        let opened = opened().or_else(|| {
            if let Err(error) = self.read_again() {
                tracing::warn!(%error, "the key file could not be read again");
            }
            opened()
        });
        opened.ok_or_else(|| SecretsError::Sealed {
            place: place.to_owned(),
        })
    }

    /// Whether the newest key sealed this.
    pub(crate) fn is_newest(&self, place: &str, sealed: &[u8]) -> bool {
        open(&self.0.keys.load()[..1], place, sealed).is_some()
    }

    /// Whether the keys are configured, and not in a file of ours.
    pub(crate) fn is_configured(&self) -> bool {
        self.0.file.is_none()
    }

    /// Whether there are older keys beside the newest one.
    pub(crate) fn has_older(&self) -> bool {
        self.0.keys.load().len() > 1
    }

    /// Keeps other processes on this key file from changing it until this is dropped; nothing where the keys are configured.
    pub(crate) fn hold(&self) -> Result<Option<File>, SecretsError> {
        let Some(path) = &self.0.file else {
            return Ok(None);
        };
        let lock = key_file::lock(path)?;
        self.read_again()?;
        Ok(Some(lock))
    }

    /// Puts a new key in front of the others in the key file; from then on every process seals with it. Only for who
    /// [`hold`](Self::hold)s it.
    pub(crate) fn add_key(&self) -> Result<(), SecretsError> {
        let fresh = self.0.random.bytes::<KEY_LENGTH>();
        self.change(|keys| keys.insert(0, fresh))
    }

    /// Drops all keys but the newest from the key file. Only for who [`hold`](Self::hold)s it.
    pub(crate) fn drop_older(&self) -> Result<(), SecretsError> {
        self.change(|keys| keys.truncate(1))
    }

    /// Writes the key file anew.
    fn change(&self, change: impl FnOnce(&mut Vec<Key>)) -> Result<(), SecretsError> {
        let path = self.0.file.as_deref().ok_or(SecretsError::Configured)?;
        let mut keys = key_file::read(path)?;
        change(&mut keys);
        if keys.len() > KEYS {
            return Err(SecretsError::Many);
        }
        let replaced = key_file::replace(path, &keys);
        replaced.map_err(|source| SecretsError::io(path, source))?;
        self.0.keys.store(Arc::new(ciphers(&keys)));
        Ok(())
    }

    fn read_again(&self) -> Result<(), SecretsError> {
        if let Some(path) = &self.0.file {
            let keys = key_file::read(path)?;
            self.0.keys.store(Arc::new(ciphers(&keys)));
        }
        Ok(())
    }
}

fn ciphers(keys: &[Key]) -> Vec<XChaCha20Poly1305> {
    keys.iter()
        .map(|key| XChaCha20Poly1305::new(&(*key).into()))
        .collect()
}

fn open(keys: &[XChaCha20Poly1305], place: &str, sealed: &[u8]) -> Option<SecretString> {
    let (header, body) = sealed.split_at_checked(1 + NONCE_LENGTH)?;
    let nonce: [u8; NONCE_LENGTH] = header[1..].try_into().ok()?;
    if header[0] != FORMAT {
        return None;
    }
    let payload = || Payload {
        msg: body,
        aad: place.as_bytes(),
    };
    let plain = keys
        .iter()
        .find_map(|key| key.decrypt(&XNonce::from(nonce), payload()).ok())?;
    String::from_utf8(plain).map(Into::into).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_secret_opens_only_in_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let secrets = Secrets::from_file(&path, Random::seeded(1)).unwrap();
        let sealed = secrets
            .seal("credentials/secret/a", &"hunter2".into())
            .unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));

        let again = Secrets::from_file(&path, Random::seeded(2)).unwrap();
        assert_eq!(
            again
                .open("credentials/secret/a", &sealed)
                .unwrap()
                .expose_secret(),
            "hunter2"
        );
        assert!(again.open("credentials/secret/b", &sealed).is_err());
        assert!(again.open("credentials/secret/a", &sealed[..10]).is_err());
    }

    #[test]
    fn a_new_key_seals_from_then_on_and_the_old_one_opens_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let one = Secrets::from_file(&path, Random::seeded(1)).unwrap();
        let other = Secrets::from_file(&path, Random::seeded(2)).unwrap();
        let old = one.seal("place", &"hunter2".into()).unwrap();
        let held = one.hold().unwrap();
        assert!(matches!(other.hold(), Err(SecretsError::Held)));
        std::fs::write(folder.path().join(".secret.key-left"), "of who was killed").unwrap();
        one.add_key().unwrap();
        assert!(!folder.path().join(".secret.key-left").exists());
        assert!(one.has_older() && !one.is_newest("place", &old));
        // Another process notices when it seals, and when it cannot open.
        let new = other.seal("place", &"hunter3".into()).unwrap();
        assert!(one.is_newest("place", &new));
        let third = Secrets::from_file(&path, Random::seeded(3)).unwrap();
        assert_eq!(
            third.open("place", &old).unwrap().expose_secret(),
            "hunter2"
        );
        one.drop_older().unwrap();
        drop(held);
        assert!(other.hold().is_ok());
        assert!(!one.has_older());
        let modes = ["secret.key", "secret.lock"]
            .map(|name| folder.path().join(name).metadata().unwrap().mode() & 0o777);
        assert_eq!(modes, [0o600, 0o600]);
        assert!(
            Secrets::from_file(&path, Random::seeded(4))
                .unwrap()
                .open("place", &old)
                .is_err()
        );
        assert_eq!(
            other.open("place", &new).unwrap().expose_secret(),
            "hunter3"
        );
    }

    #[test]
    fn nothing_is_sealed_with_a_key_that_may_be_gone_and_there_are_never_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let secrets = Secrets::from_file(&path, Random::seeded(1)).unwrap();
        for _ in 1..KEYS {
            secrets.add_key().unwrap();
        }
        assert!(matches!(secrets.add_key(), Err(SecretsError::Many)));
        assert!(Secrets::from_file(&path, Random::seeded(1)).is_ok());
        std::fs::remove_file(&path).unwrap();
        assert!(secrets.seal("place", &"hunter2".into()).is_err());
    }

    #[test]
    fn several_configured_keys_open_and_are_not_written() {
        let (old, new) = ("a".repeat(64), "b".repeat(64));
        let secrets = Secrets::from_hex(&old.clone().into(), Random::seeded(1)).unwrap();
        let sealed = secrets.seal("place", &"hunter2".into()).unwrap();
        let both = Secrets::from_hex(&format!("{new}, {old}").into(), Random::seeded(1)).unwrap();
        assert!(both.open("place", &sealed).is_ok() && both.has_older());
        assert!(matches!(both.add_key(), Err(SecretsError::Configured)));
        for wrong in ["", ",", "ab", &format!("{new},x")] {
            assert!(Secrets::from_hex(&wrong.to_owned().into(), Random::seeded(1)).is_err());
        }
    }

    #[test]
    fn a_damaged_key_file_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        std::fs::write(&path, "short").unwrap();
        let error = Secrets::from_file(&path, Random::seeded(1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("secret.key"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short");
    }
}
