//! `[api]`: the management API.

use super::section::section;

section! {
    /// The management API.
    api: Api {
        /// Accept requests that are signed in the first, weaker form, as clients before 1.41.0 do: it leaves out the query.
        accept_signature_v1: bool = false,
        /// Accept `Authorization: PACKAGIST-TOKEN KEY` for requests that only read, as Private Packagist does: whoever sees the
        /// key may then read everything with it.
        accept_packagist_token: bool = false,
    }
}
