-- What is asked often must not look at every row.

-- Dists and purges look for packages of a name or a repository whether they are removed or not.
CREATE INDEX packages_by_any_name ON packages (organization_id, name);
CREATE INDEX packages_by_any_repository ON packages (repository_key, organization_id);
DROP INDEX packages_by_key;
-- Pages of an organization's packages.
CREATE INDEX packages_by_organization ON packages (organization_id, id);
-- The packages that were not looked at for the longest time.
CREATE INDEX packages_by_sync ON packages ((COALESCE(synced_at, created_at))) WHERE removed_at IS NULL;
-- Packages that a credential which is to be deleted is used for.
CREATE INDEX packages_by_credential ON packages (credential_id, organization_id) WHERE credential_id IS NOT NULL;
-- Queued jobs by their time, whatever their priority.
CREATE INDEX jobs_by_time ON jobs (run_at) WHERE state = 'queued';
-- Jobs that can be forgotten.
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
