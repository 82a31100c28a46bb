-- What is asked of every package of an organization is answered by indexes: rows are large, and lie far apart.

-- Whether it has a live version.
DROP INDEX versions_by_package;
CREATE INDEX versions_by_package ON versions (package_id, id, removed_at);
-- Its name.
DROP INDEX packages_by_organization;
CREATE INDEX packages_by_organization ON packages (organization_id, id, removed_at, name);
