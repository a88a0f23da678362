-- Which sessions customers began: the HMAC of each base key, for as long as there is the
-- signed pre-key that it was used with.
CREATE TABLE bases (
  hash   BLOB    PRIMARY KEY,
  signed INTEGER NOT NULL -- the signed pre-key's id
) WITHOUT ROWID;
CREATE INDEX bases_signed ON bases (signed);
