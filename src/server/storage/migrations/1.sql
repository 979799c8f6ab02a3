-- A repository's row is also its lock.
CREATE TABLE repositories (
    id {identity},
    gun TEXT NOT NULL UNIQUE,
    changed_at BIGINT NOT NULL
);

-- Every version of every file; times are milliseconds since 1970.
CREATE TABLE files (
    id {identity},
    repository BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    sha256 {bytes} NOT NULL,
    content {bytes} NOT NULL,
    expires_at BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    replaced_at BIGINT
);
CREATE INDEX files_by_hash ON files (repository, sha256);
CREATE INDEX files_by_version ON files (repository, role, version);
CREATE INDEX files_expiring ON files (role, expires_at) WHERE replaced_at IS NULL;
CREATE INDEX files_replaced ON files (replaced_at) WHERE replaced_at IS NOT NULL;

-- Which of them is each role's newest.
CREATE TABLE current_files (
    repository BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    file BIGINT NOT NULL,
    PRIMARY KEY (repository, role)
);

-- What happened, in the order in which it was committed. A deletion has neither version nor hash.
CREATE TABLE changes (
    id {identity},
    gun TEXT NOT NULL,
    version BIGINT NOT NULL,
    sha256 {bytes},
    happened_at BIGINT NOT NULL
);
CREATE INDEX changes_by_gun ON changes (gun, id);

-- Public keys that this server signs with. They outlive the repository, as the signer's do.
CREATE TABLE signing_keys (
    id {identity},
    gun TEXT NOT NULL,
    role TEXT NOT NULL,
    key_id TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (gun, role, key_id)
);
