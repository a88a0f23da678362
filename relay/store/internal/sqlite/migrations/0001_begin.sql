-- Only sealed values and random identifiers; see the package's documentation for
-- what is readable without a key. Times are milliseconds since 1970.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE epochs (
  id      INTEGER PRIMARY KEY,
  wrapped TEXT    NOT NULL,
  created INTEGER NOT NULL
);

CREATE TABLE customers (
  id     INTEGER PRIMARY KEY, -- random
  epoch  INTEGER NOT NULL REFERENCES epochs (id),
  lookup BLOB    NOT NULL UNIQUE, -- HMAC of the number
  sealed BLOB    NOT NULL
);
CREATE INDEX customers_epoch ON customers (epoch);

-- A device's ID is public at the carrier beside its owner's number, so it is sealed too.
CREATE TABLE devices (
  id       INTEGER PRIMARY KEY,
  customer INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  epoch    INTEGER NOT NULL REFERENCES epochs (id),
  lookup   BLOB    NOT NULL, -- HMAC of customer and device ID
  sealed   BLOB    NOT NULL,
  UNIQUE (customer, lookup)
);
CREATE INDEX devices_epoch ON devices (epoch);

CREATE TABLE sessions (
  id       INTEGER PRIMARY KEY,
  customer INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  epoch    INTEGER NOT NULL REFERENCES epochs (id),
  lookup   BLOB    NOT NULL, -- HMAC of customer and device ID
  sealed   BLOB    NOT NULL,
  UNIQUE (customer, lookup)
);
CREATE INDEX sessions_epoch ON sessions (epoch);

CREATE TABLE prekeys (
  kind    INTEGER NOT NULL, -- 1 signed, 2 one-time
  id      INTEGER NOT NULL,
  epoch   INTEGER NOT NULL REFERENCES epochs (id),
  created INTEGER NOT NULL,
  sealed  BLOB    NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE messages (
  row       INTEGER PRIMARY KEY, -- grows, so that the oldest epochs come first: no index on them
  id        TEXT    NOT NULL UNIQUE,
  epoch     INTEGER NOT NULL,
  customer  INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  direction INTEGER NOT NULL,
  state     TEXT    NOT NULL,
  created   INTEGER NOT NULL,
  updated   INTEGER NOT NULL,
  carrier   BLOB, -- HMAC of the carrier's ID
  sealed    BLOB    NOT NULL
);
CREATE INDEX messages_customer ON messages (customer, direction, created);
CREATE INDEX messages_carrier ON messages (carrier) WHERE carrier IS NOT NULL;

CREATE TABLE seen (
  row   INTEGER PRIMARY KEY, -- grows, as in messages
  epoch INTEGER NOT NULL,
  hash  BLOB    NOT NULL UNIQUE -- HMAC of a ciphertext's hash
);

CREATE TABLE jobs (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  epoch      INTEGER NOT NULL REFERENCES epochs (id),
  queue      TEXT    NOT NULL,
  customer   INTEGER REFERENCES customers (id) ON DELETE CASCADE,
  message    TEXT    NOT NULL,
  not_before INTEGER NOT NULL,
  attempts   INTEGER NOT NULL,
  created    INTEGER NOT NULL,
  sealed     BLOB    NOT NULL
);
CREATE INDEX jobs_due ON jobs (queue, not_before, id);
CREATE INDEX jobs_customer ON jobs (customer) WHERE customer IS NOT NULL;

CREATE TABLE settings (
  name   TEXT PRIMARY KEY,
  epoch  INTEGER NOT NULL REFERENCES epochs (id),
  sealed BLOB    NOT NULL
) WITHOUT ROWID;
