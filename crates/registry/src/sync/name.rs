//! A package's name: what composer.json says on the default branch.

use kapelle_composer::PackageName;
use kapelle_storage::db::packages::Package;

use super::observe::Observation;
use crate::jobs::JobError;

impl Observation {
    /// The package's name: what composer.json says on the default branch; only where that says nothing, what the
    /// newest tag says that says something (Composer's rule for VCS repositories).
    pub(super) fn name(&self, package: &Package) -> Result<PackageName, JobError> {
        let said = match &self.root_name {
            Some(Ok(Some(name))) => Some(name.clone()),
            _ => package.name.clone().or_else(|| self.name_of_some_ref()),
        };
        let branch = self
            .default_branch
            .as_deref()
            .unwrap_or("the default branch");
        let Some(said) = said else {
            let reason = match &self.root_name {
                Some(Err(reason)) => format!("on {branch}: {reason}"),
                None if self.changed.is_empty() => "it has no branches and tags".to_owned(),
                _ => format!("composer.json on {branch} has no name"),
            };
            return Err(JobError::Fail(format!(
                "no package name was found in {}: {reason}. Commit a composer.json with a \"name\" and synchronize again",
                package.repository_url
            )));
        };
        let name = PackageName::parse(&said).map_err(|error| {
            JobError::Fail(format!(
                "composer.json on {branch} names the package {said:?}: {error}"
            ))
        })?;
        match &package.name {
            Some(known) if known != name.as_str() => Err(JobError::Fail(format!(
                "composer.json on {branch} now names the package {name}, but it is published as {known}. \
                 Everything published stays. Change the name back, or remove {known} and add the repository again"
            ))),
            _ => Ok(name),
        }
    }

    fn name_of_some_ref(&self) -> Option<String> {
        self.changed
            .iter()
            .filter_map(|observed| {
                let name = observed.declares.as_ref().ok()?.as_ref()?;
                Some((observed.committed_at, &observed.name, name))
            })
            .max()
            .map(|(_, _, name)| name.clone())
    }
}
