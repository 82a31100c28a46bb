//! `[api]`: the management API.

use super::section::section;

section! {
    /// The management API. It is not served yet; its settings are known so that scripts can set them.
    api: Api {
        /// Accept requests that are signed in the first, weaker form.
        accept_signature_v1: bool = false,
    }
}
