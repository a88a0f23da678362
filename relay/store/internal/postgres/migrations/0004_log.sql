-- The relay's log (../../sqlite/migrations/0012).
CREATE TABLE log_hashes (
  place BIGINT PRIMARY KEY,
  hash  BYTEA  NOT NULL
);

CREATE TABLE log_entries (
  place   BIGINT PRIMARY KEY, -- the entry's index in the log
  created BIGINT NOT NULL,
  epoch   BIGINT NOT NULL REFERENCES settings_keys (id),
  sealed  BYTEA  NOT NULL
);

ALTER TABLE log_entries ALTER COLUMN sealed SET STORAGE EXTERNAL;
