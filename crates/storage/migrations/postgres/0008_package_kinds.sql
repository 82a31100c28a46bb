-- Packages that come from elsewhere than a git repository, and credentials that are used only where they are chosen.

ALTER TABLE packages ADD COLUMN repository_type TEXT NOT NULL DEFAULT 'vcs';       -- as it was asked for: 'git', 'github', 'svn', ...
ALTER TABLE packages ADD COLUMN suborganization_access TEXT NOT NULL DEFAULT '';   -- '' or what new suborganizations may do with it

-- A custom or artifact package has no repository.
DROP INDEX packages_by_repository;
CREATE UNIQUE INDEX packages_by_repository ON packages (organization_id, repository_key)
    WHERE removed_at IS NULL AND repository_key <> '';

-- What a custom package was defined by.
CREATE TABLE definitions (
    package_id      BIGINT  PRIMARY KEY REFERENCES packages (id),
    json            TEXT    NOT NULL
);

-- Archives that were uploaded. One without a package is dropped after a day.
CREATE TABLE artifacts (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    package_id      BIGINT  REFERENCES packages (id),
    file_name       TEXT    NOT NULL,
    extension       TEXT    NOT NULL,                     -- 'zip', 'tar', 'tar.gz', 'tar.bz2'
    name            TEXT    NOT NULL,                     -- in its composer.json, as are the next three
    version         TEXT    NOT NULL,
    version_normalized TEXT NOT NULL,
    manifest        TEXT    NOT NULL,                     -- its composer.json
    sha256          BYTEA   NOT NULL REFERENCES blobs (sha256),
    sha1            TEXT    NOT NULL,                     -- hexadecimal
    size            BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    free_since      BIGINT                                -- NULL: it has a package
);
CREATE INDEX artifacts_by_package ON artifacts (package_id, id);
CREATE UNIQUE INDEX artifacts_by_version ON artifacts (package_id, version_normalized);
CREATE INDEX artifacts_by_blob ON artifacts (sha256);
CREATE INDEX artifacts_free ON artifacts (free_since) WHERE free_since IS NOT NULL;

ALTER TABLE dists ADD COLUMN extension TEXT NOT NULL DEFAULT 'zip';

-- Whether it is used for every repository of its host, and not only for packages that name it.
ALTER TABLE credentials ADD COLUMN automatic BOOLEAN NOT NULL DEFAULT TRUE;

-- Names that a package's versions stand in for, or need.
CREATE TABLE linked_names (
    package_id      BIGINT  NOT NULL REFERENCES packages (id),
    relation        TEXT    NOT NULL,                     -- 'provides' (or replaces), 'requires'
    name            TEXT    NOT NULL,
    PRIMARY KEY (package_id, relation, name)
);
INSERT INTO linked_names (package_id, relation, name) SELECT package_id, 'provides', name FROM provided_names;
CREATE INDEX linked_names_by_name ON linked_names (name, relation);
DROP TABLE provided_names;

-- What is to be looked at for security advisories.
CREATE TABLE security_monitoring (
    package_id      BIGINT  PRIMARY KEY REFERENCES packages (id),
    all_branches    BOOLEAN NOT NULL,
    branches        TEXT    NOT NULL                      -- JSON list of versions, such as 'dev-main'
);

CREATE TABLE mirrored_repositories (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    name            TEXT    NOT NULL,
    url             TEXT    NOT NULL,
    behavior        TEXT    NOT NULL,                     -- 'add_on_use', 'add_by_name', 'add_by_admin', 'disabled'
    credential_id   BIGINT  REFERENCES credentials (id),
    created_at      BIGINT  NOT NULL
);
CREATE INDEX mirrored_repositories_by_organization ON mirrored_repositories (organization_id, id);
CREATE UNIQUE INDEX mirrored_repositories_by_url ON mirrored_repositories (organization_id, url);
