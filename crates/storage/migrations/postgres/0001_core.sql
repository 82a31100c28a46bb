-- Times are milliseconds since 1970 (UTC) from the caller's clock. 

CREATE TABLE organizations (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug            TEXT    NOT NULL UNIQUE,              -- lower case, in URLs
    name            TEXT    NOT NULL,
    hook_secret     BYTEA    NOT NULL,                     -- encrypted
    created_at      BIGINT  NOT NULL
);

CREATE TABLE users (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email           TEXT    NOT NULL UNIQUE,              -- lower case
    created_at      BIGINT  NOT NULL
);

CREATE TABLE teams (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    name            TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE TABLE team_members (
    team_id         BIGINT  NOT NULL REFERENCES teams (id),
    user_id         BIGINT  NOT NULL REFERENCES users (id),
    created_at      BIGINT  NOT NULL,
    PRIMARY KEY (team_id, user_id)
);

-- Keys of the management API. The secret signs requests, so it is encrypted, not hashed.
CREATE TABLE api_keys (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    key             TEXT    NOT NULL UNIQUE,
    secret          BYTEA    NOT NULL,
    description     TEXT    NOT NULL,
    access          TEXT    NOT NULL,                     -- 'read' or 'admin'
    created_at      BIGINT  NOT NULL,
    last_used_at    BIGINT
);

-- Composer tokens: others' way to reach us.
CREATE TABLE tokens (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    hash            BYTEA    NOT NULL UNIQUE,              -- SHA-256 of the token
    hint            TEXT    NOT NULL,                     -- its last four characters
    description     TEXT    NOT NULL,
    access          TEXT    NOT NULL,                     -- 'read' or 'update'
    created_at      BIGINT  NOT NULL,
    expires_at      BIGINT,
    last_used_at    BIGINT
);
CREATE INDEX tokens_by_organization ON tokens (organization_id, id);

-- Credentials: our way to reach others.
CREATE TABLE credentials (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    kind            TEXT    NOT NULL,                     -- 'http-basic', 'token' or 'ssh-key'
    host            TEXT    NOT NULL,                     -- lower case, with ':port' when it has one
    username        TEXT    NOT NULL,
    secret          BYTEA    NOT NULL,                     -- encrypted
    description     TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL
);
CREATE INDEX credentials_by_host ON credentials (organization_id, host);

CREATE TABLE ssh_host_keys (
    host            TEXT    NOT NULL,                     -- as in known_hosts: 'host' or '[host]:port'
    algorithm       TEXT    NOT NULL,
    public_key      TEXT    NOT NULL,                     -- base64
    accepted_at     BIGINT  NOT NULL,
    PRIMARY KEY (host, algorithm)
);

CREATE TABLE packages (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    name            TEXT,                                 -- lower case; NULL until the first synchronization
    kind            TEXT    NOT NULL,                     -- 'vcs'
    origin          TEXT    NOT NULL,                     -- 'private'
    repository_url  TEXT    NOT NULL,                     -- without credentials
    repository_key  TEXT    NOT NULL,                     -- 'host/path' for finding it from a hook
    credential_id   BIGINT  REFERENCES credentials (id),
    default_branch  TEXT,
    description     TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    abandoned       TEXT,                                 -- NULL: no; '': yes; else the replacement
    sync_error      TEXT,                                 -- of the last synchronization, NULL: it went well
    synced_at       BIGINT,
    created_at      BIGINT  NOT NULL,
    revision        BIGINT  NOT NULL DEFAULT 0,           -- grows with each publication: an optimistic lock
    removed_at      BIGINT                                -- tombstone: hidden, can be restored
);
CREATE UNIQUE INDEX packages_by_name ON packages (organization_id, name) WHERE removed_at IS NULL AND name IS NOT NULL;
CREATE UNIQUE INDEX packages_by_repository ON packages (organization_id, repository_key) WHERE removed_at IS NULL;
CREATE INDEX packages_by_key ON packages (repository_key);

-- What the last synchronization saw upstream.
CREATE TABLE package_refs (
    package_id      BIGINT  NOT NULL REFERENCES packages (id),
    name            TEXT    NOT NULL,                     -- 'refs/tags/1.0.0', 'refs/heads/main'
    commit_id       TEXT    NOT NULL,                     -- peeled
    error           TEXT,                                 -- why this ref gives no version
    PRIMARY KEY (package_id, name)
);

CREATE TABLE versions (
    id                 BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    package_id         BIGINT  NOT NULL REFERENCES packages (id),
    version            TEXT    NOT NULL,
    version_normalized TEXT    NOT NULL,
    stability          TEXT    NOT NULL,                  -- 'stable', 'RC', 'beta', 'alpha', 'dev'
    ref_name           TEXT    NOT NULL,                  -- where it came from: 'refs/tags/1.0.0'
    reference          TEXT    NOT NULL,                  -- commit id
    manifest           TEXT    NOT NULL,                  -- composer.json as committed
    default_branch     BOOLEAN NOT NULL,
    released_at        BIGINT  NOT NULL,                  -- commit date
    published_at       BIGINT  NOT NULL,                  -- when we first saw it
    updated_at         BIGINT  NOT NULL,
    removed_at         BIGINT                             -- tombstone
);
CREATE UNIQUE INDEX versions_live ON versions (package_id, version_normalized) WHERE removed_at IS NULL;
CREATE INDEX versions_by_package ON versions (package_id, id);

-- Every (package, commit) that was ever published: its dist may be asked for for ever.
CREATE TABLE package_references (
    package_id      BIGINT  NOT NULL REFERENCES packages (id),
    reference       TEXT    NOT NULL,
    published_at    BIGINT  NOT NULL,
    purged_at       BIGINT,                               -- refused for ever
    PRIMARY KEY (package_id, reference)
);

CREATE TABLE blobs (
    sha256          BYTEA    PRIMARY KEY,
    size            BIGINT  NOT NULL,
    state           TEXT    NOT NULL,                     -- 'live' or 'deleting'
    touched_at      BIGINT  NOT NULL
);

CREATE TABLE dists (
    package_id      BIGINT  NOT NULL REFERENCES packages (id),
    reference       TEXT    NOT NULL,
    sha256          BYTEA    NOT NULL REFERENCES blobs (sha256),
    sha1            TEXT    NOT NULL,                     -- hexadecimal: Composer's shasum
    size            BIGINT  NOT NULL,
    has_submodules  BOOLEAN NOT NULL,
    has_lfs         BOOLEAN NOT NULL,
    created_at      BIGINT  NOT NULL,
    PRIMARY KEY (package_id, reference)
);
CREATE INDEX dists_by_blob ON dists (sha256);

-- Names that a package's versions provide or replace.
CREATE TABLE provided_names (
    package_id      BIGINT  NOT NULL REFERENCES packages (id),
    name            TEXT    NOT NULL,
    PRIMARY KEY (package_id, name)
);
CREATE INDEX provided_names_by_name ON provided_names (name);

-- Finished answers: derived data. A deleted document stays as a row without bodies, so that its date never goes back.
CREATE TABLE documents (
    organization_id BIGINT  NOT NULL REFERENCES organizations (id),
    path            TEXT    NOT NULL,                     -- 'packages.json', 'p2/acme/lib.json', 'p2/acme/lib~dev.json'
    base_url        TEXT    NOT NULL,                     -- public URL that its links were made for
    gzip            BYTEA,
    zstd            BYTEA,
    last_modified   BIGINT  NOT NULL,                     -- seconds; strictly increasing per row
    PRIMARY KEY (organization_id, path)
);

-- The truth between processes. `seq` is max(previous + 1, milliseconds * 10).
CREATE TABLE changes (
    seq             BIGINT  PRIMARY KEY,
    organization_id BIGINT  NOT NULL,
    subject         TEXT    NOT NULL,                     -- 'package', 'token', 'organization'
    action          TEXT    NOT NULL,                     -- 'update' or 'delete'
    name            TEXT    NOT NULL                      -- package name (with '~dev'), token id, slug
);
CREATE INDEX changes_by_organization ON changes (organization_id, seq);

CREATE TABLE jobs (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            TEXT    NOT NULL,
    payload         TEXT    NOT NULL,                     -- JSON
    organization_id BIGINT,
    package_id      BIGINT,
    state           TEXT    NOT NULL,                     -- 'queued', 'running', 'success', 'error', 'cancelled'
    exclusive_key   TEXT,                                 -- one queued and one running job per key
    priority        BIGINT  NOT NULL,                     -- 0: somebody waits; 1: routine; 2: can wait
    attempt         BIGINT  NOT NULL,
    max_attempts    BIGINT  NOT NULL,
    run_at          BIGINT  NOT NULL,
    owner           TEXT,                                 -- node that runs it
    lease_until     BIGINT,
    cancel_requested BOOLEAN NOT NULL,
    progress_done   BIGINT  NOT NULL,
    progress_total  BIGINT  NOT NULL,
    message         TEXT    NOT NULL,                     -- for people
    created_at      BIGINT  NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT
);
CREATE INDEX jobs_to_run ON jobs (priority, run_at, id) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE UNIQUE INDEX jobs_one_queued ON jobs (exclusive_key) WHERE state = 'queued';
CREATE UNIQUE INDEX jobs_one_running ON jobs (exclusive_key) WHERE state = 'running';
CREATE INDEX jobs_by_package ON jobs (package_id, id);
CREATE INDEX jobs_by_organization ON jobs (organization_id, id);

CREATE TABLE job_log (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id          BIGINT  NOT NULL REFERENCES jobs (id),
    logged_at       BIGINT  NOT NULL,
    line            TEXT    NOT NULL
);
CREATE INDEX job_log_by_job ON job_log (job_id, id);

CREATE TABLE schedules (
    name            TEXT    PRIMARY KEY,
    next_run_at     BIGINT  NOT NULL
);

-- Servers and workers that are alive.
CREATE TABLE nodes (
    name            TEXT    PRIMARY KEY,
    kind            TEXT    NOT NULL,                     -- 'serve' or 'worker'
    started_at      BIGINT  NOT NULL,
    seen_at         BIGINT  NOT NULL
);

CREATE TABLE install_statistics (
    package_id         BIGINT NOT NULL REFERENCES packages (id),
    version_normalized TEXT   NOT NULL,
    day                BIGINT NOT NULL,                   -- days since 1970
    installs           BIGINT NOT NULL,
    PRIMARY KEY (package_id, version_normalized, day)
);

CREATE TABLE audit (
    id              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id BIGINT,
    at              BIGINT  NOT NULL,
    actor           TEXT    NOT NULL,                     -- 'cli', 'hook:github', 'token:12', 'job:SyncPackage'
    action          TEXT    NOT NULL,                     -- 'package.add'
    subject         TEXT    NOT NULL,                     -- 'acme/lib'
    detail          TEXT    NOT NULL                      -- JSON without secrets
);
CREATE INDEX audit_by_organization ON audit (organization_id, id);

-- Small facts of this installation, such as the public URL it was last served under.
CREATE TABLE facts (
    name            TEXT    PRIMARY KEY,
    value           TEXT    NOT NULL
);
