-- The hashes of the relay's log, at the places that golang.org/x/mod/sumdb/tlog gives them. They stay.
CREATE TABLE log_hashes (
  place INTEGER PRIMARY KEY,
  hash  BLOB    NOT NULL
);

-- The log's entries, which go when their time is over.
CREATE TABLE log_entries (
  place   INTEGER PRIMARY KEY, -- the entry's index in the log
  created INTEGER NOT NULL,
  epoch   INTEGER NOT NULL REFERENCES settings_keys (id),
  sealed  BLOB    NOT NULL
);
