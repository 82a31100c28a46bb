//! `[secrets]`: the key that encrypts stored secrets.

use std::path::PathBuf;

use secrecy::SecretString;

use super::section::section;

section! {
    /// The key that encrypts the credentials in the database. Without it they cannot be read: keep a copy of it.
    secrets: Secrets {
        /// The key itself, 64 hexadecimal digits. Every process on one database needs the same. Several, with commas in between: the
        /// first encrypts, each of them decrypts.
        key: Option<SecretString> = None,
        /// The file that holds the key; made at the first start. Without it: `secret.key` in the data folder.
        key_file: Option<PathBuf> = None,
    }
}
