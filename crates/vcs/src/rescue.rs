//! Fetches a commit that no branch or tag leads to any more, by its object name.

use std::collections::BTreeSet;

use crate::error::VcsError;
use crate::fetch::Fetched;
use crate::git::Access;
use crate::mirror::Mirror;
use crate::refname;

impl Mirror {
    /// Fetches one commit, and keeps it for ever. `false`: upstream no longer has it, or does not give it away by its
    /// name alone. Waits while another process fetches.
    pub async fn fetch_commit(&self, access: &Access<'_>, oid: &str) -> Result<bool, VcsError> {
        refname::check_oid(oid)?;
        let lock = self.lock().await?;
        self.prepare().await?;
        if !self.has(oid).await? {
            let mut fetched = Fetched::default();
            let objects = BTreeSet::from([oid]);
            match self.receive(access, &objects, &lock, &mut fetched).await {
                Ok(()) if self.has(oid).await? => {}
                Ok(()) | Err(VcsError::Changed { .. }) => return Ok(false),
                Err(other) => return Err(other),
            }
        }
        let mut refs = self.read_refs().await?;
        refs.keep(oid);
        self.write_refs(refs).await?;
        Ok(true)
    }
}
