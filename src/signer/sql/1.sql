-- Private keys that only a key-encryption key opens; used_at is -1 until something was signed.
CREATE TABLE sealed_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    gun TEXT NOT NULL,
    role TEXT NOT NULL,
    key_type TEXT NOT NULL,
    public_key TEXT NOT NULL,
    alias TEXT NOT NULL,
    sealed {bytes} NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX sealed_keys_by_purpose ON sealed_keys (gun, role);
CREATE INDEX sealed_keys_by_alias ON sealed_keys (alias, key_id);
