-- Settings are what the business itself wants kept: they have a data key of their
-- own, which outlives every epoch. Of a build before this one nothing is carried over
-- (it was never released): the relay makes its own settings anew.

CREATE TABLE settings_keys (
  id      INTEGER PRIMARY KEY,
  wrapped TEXT    NOT NULL,
  created INTEGER NOT NULL
);

DROP TABLE settings;

CREATE TABLE settings (
  name   TEXT PRIMARY KEY,
  epoch  INTEGER NOT NULL REFERENCES settings_keys (id),
  sealed BLOB    NOT NULL
) WITHOUT ROWID;
