//! `[blobs]`: where archives are.

use secrecy::SecretString;

use super::engine_url::EngineUrl;
use super::section::section;

section! {
    /// Where the archives of packages are kept.
    blobs: Blobs {
        /// `file:PATH` for a folder, or `s3://bucket/prefix`. Without it: the folder `blobs` in the data folder.
        ///
        /// S3 takes parameters: `?region=eu-central-1`, and for services other than Amazon's
        /// `endpoint=https://minio.example.com:9000`, `path_style=true`, `allow_http=true`.
        url: Option<EngineUrl> = None,
        /// The id of the key for S3. Without one the machine's own role is asked for.
        access_key_id: Option<String> = None,
        /// The secret of the key for S3.
        secret_access_key: Option<SecretString> = None,
    }
}
