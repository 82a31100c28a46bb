//! Secrets at rest: XChaCha20-Poly1305, bound to the table, column and row that hold them.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use kapelle_failpoint::reach;
use secrecy::{ExposeSecret, SecretString};

use crate::random::Random;

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;
/// First byte of every sealed secret, so that a later format can be told apart.
const FORMAT: u8 = 1;

/// Why a secret could not be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The key file is not what we wrote.
    #[error("the key file {path} is not 64 hexadecimal digits; restore it from your backup")]
    KeyFile {
        /// Where the key was looked for.
        path: String,
    },
    /// The key given by configuration is not usable.
    #[error("the configured secrets key is not 64 hexadecimal digits")]
    Key,
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

/// Seals and opens secrets with the installation's key.
#[derive(Clone)]
pub struct Secrets {
    cipher: XChaCha20Poly1305,
    random: Random,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets")
    }
}

impl Secrets {
    /// Uses a key given as 64 hexadecimal digits.
    pub fn from_hex(key: &SecretString, random: Random) -> Result<Self, SecretsError> {
        let key = parse_key(key.expose_secret()).ok_or(SecretsError::Key)?;
        Ok(Self {
            cipher: XChaCha20Poly1305::new(&key.into()),
            random,
        })
    }

    /// Reads the key file, or makes one (readable by its owner only) where there is none.
    pub fn from_file(path: &Path, random: Random) -> Result<Self, SecretsError> {
        let io = |source| SecretsError::Io {
            path: path.display().to_string(),
            source,
        };
        if !path.exists() {
            make_key_file(path, &random).map_err(io)?;
        }
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(1024).read_to_string(&mut text))
            .map_err(io)?;
        let key = parse_key(text.trim()).ok_or_else(|| SecretsError::KeyFile {
            path: path.display().to_string(),
        })?;
        Ok(Self {
            cipher: XChaCha20Poly1305::new(&key.into()),
            random,
        })
    }

    /// Encrypts `secret` for `place` (`table/column/row`), which must be given again to open it.
    pub fn seal(&self, place: &str, secret: &SecretString) -> Vec<u8> {
        let nonce = self.random.bytes::<NONCE_LENGTH>();
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("XChaCha20-Poly1305 fails only above 256 GiB");
        [&[FORMAT][..], &nonce, &sealed].concat()
    }

    /// Decrypts what [`seal`](Self::seal) made for the same place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<SecretString, SecretsError> {
        let refused = || SecretsError::Sealed {
            place: place.to_owned(),
        };
        let (header, body) = sealed
            .split_at_checked(1 + NONCE_LENGTH)
            .ok_or_else(refused)?;
        let nonce: [u8; NONCE_LENGTH] = header[1..].try_into().map_err(|_| refused())?;
        if header[0] != FORMAT {
            return Err(refused());
        }
        let payload = Payload {
            msg: body,
            aad: place.as_bytes(),
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(nonce), payload)
            .map_err(|_| refused())?;
        String::from_utf8(plain)
            .map(Into::into)
            .map_err(|_| refused())
    }
}

/// The file is there with its key in it or not at all, whenever this is cut short: without its key everything that was
/// sealed is lost. Of several processes that start at once, one makes it.
fn make_key_file(path: &Path, random: &Random) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".secret.key-")
        .tempfile_in(folder)?;
    file.write_all(random.hex::<KEY_LENGTH>().as_bytes())?;
    file.as_file().sync_all()?;
    reach("before the key file is renamed");
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(failed.error);
        }
        _ => {}
    }
    reach("after the key file is renamed");
    File::open(folder)?.sync_all()
}

fn parse_key(text: &str) -> Option<[u8; KEY_LENGTH]> {
    hex::decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_in_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let secrets = Secrets::from_file(&path, Random::seeded(1)).unwrap();
        let sealed = secrets.seal("credentials/secret/a", &"hunter2".into());
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
