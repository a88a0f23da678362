-- Requests of the business that are to be done once, and what they were answered with. The oldest go first.
CREATE TABLE requests (
  row     INTEGER PRIMARY KEY, -- grows
  epoch   INTEGER NOT NULL,
  lookup  BLOB    NOT NULL UNIQUE, -- HMAC of the request's key
  created INTEGER NOT NULL,
  sealed  BLOB    NOT NULL
);
