//! Fetches a commit that no branch or tag leads to any more, by its object name.

use crate::error::VcsError;
use crate::fetch::{Fetched, kept};
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
        if self.has(oid).await? {
            return Ok(true);
        }
        let refspec = format!("+{oid}:{}\n", kept(oid));
        let mut fetched = Fetched::default();
        match self.receive(access, &refspec, &lock, &mut fetched).await {
            Ok(()) => self.has(oid).await,
            Err(VcsError::Changed { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }
}
