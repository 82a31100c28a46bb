//! One TLS provider for the whole process.

/// Makes aws-lc-rs the process's TLS provider. Called first in `main` and by tests; calling it again changes nothing.
pub fn install_crypto_provider() {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        tracing::trace!("a TLS provider is already installed");
    }
}
