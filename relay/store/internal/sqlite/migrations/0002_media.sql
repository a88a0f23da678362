-- Files, in pieces. A piece is bound to its file and its place in it, and the file's
-- own sealed value says how long it is.

CREATE TABLE media (
  id       INTEGER PRIMARY KEY, -- random
  epoch    INTEGER NOT NULL REFERENCES epochs (id),
  complete INTEGER NOT NULL,
  created  INTEGER NOT NULL,
  sealed   BLOB    NOT NULL
);
CREATE INDEX media_epoch ON media (epoch);

CREATE TABLE media_chunks (
  id     INTEGER PRIMARY KEY,
  media  INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
  place  INTEGER NOT NULL, -- 0 and up
  sealed BLOB    NOT NULL,
  UNIQUE (media, place)
);
