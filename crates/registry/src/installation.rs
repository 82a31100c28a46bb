//! What belongs to the installation as a whole: its encryption key.

use kapelle_storage::db::{changes, facts};
use kapelle_storage::{Database, StorageError};
use secrecy::SecretString;

use crate::secrets::{Secrets, SecretsError};

/// The fact that only the right key opens.
const KEY_CHECK: &str = "secrets_key_check";
/// What it holds, sealed.
const KEY_CHECK_TEXT: &str = "the key of this installation";

/// Why an installation must not be opened.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The key in hand is not the one that sealed this database's secrets.
    #[error(
        "this database was made with another key: put that key file back (secret.key in the data folder, \
         or secrets.key), or its credentials and hook secrets are lost"
    )]
    WrongKey,
    /// The key file failed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Seals the fact that tells the right key with the newest one.
pub(crate) async fn seal_key_check(
    database: &Database,
    secrets: &Secrets,
) -> Result<(), InstallationError> {
    let mut transaction = database.write().await?;
    changes::hold(&mut transaction).await?;
    let sealed = secrets.seal(KEY_CHECK, &SecretString::from(KEY_CHECK_TEXT))?;
    facts::set(&mut transaction, KEY_CHECK, &hex::encode(sealed)).await?;
    Ok(transaction.commit().await?)
}

/// Makes sure that `secrets` has the key of this database; the first key that comes is its key from then on.
pub async fn confirm_key(database: &Database, secrets: &Secrets) -> Result<(), InstallationError> {
    let mut transaction = database.write().await?;
    // Two processes may start at once, each with a key of its own: one of them is the first.
    changes::hold(&mut transaction).await?;
    if let Some(stored) = facts::get(&mut transaction, KEY_CHECK).await? {
        let sealed = hex::decode(stored).map_err(|_| InstallationError::WrongKey)?;
        let opened = secrets.open(KEY_CHECK, &sealed);
        return opened.map(|_| ()).map_err(|_| InstallationError::WrongKey);
    }
    let sealed = secrets.seal(KEY_CHECK, &SecretString::from(KEY_CHECK_TEXT))?;
    facts::set(&mut transaction, KEY_CHECK, &hex::encode(sealed)).await?;
    Ok(transaction.commit().await?)
}
