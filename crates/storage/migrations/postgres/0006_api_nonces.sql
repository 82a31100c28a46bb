-- What signed requests that change something were sent with: none is accepted twice.
CREATE TABLE api_nonces (
    api_key_id      BIGINT  NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    cnonce          TEXT    NOT NULL,
    seen_at         BIGINT  NOT NULL,
    PRIMARY KEY (api_key_id, cnonce)
);
CREATE INDEX api_nonces_by_time ON api_nonces (seen_at);
