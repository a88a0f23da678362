-- What the engine knows about the database, in one row. The table stays as it is: an older build
-- must be able to read that a newer one was here.

CREATE TABLE engine (
  one     BOOLEAN     PRIMARY KEY DEFAULT TRUE CHECK (one),
  owner   BYTEA       NOT NULL,
  version INTEGER     NOT NULL, -- how many migrations have run
  term    BIGINT      NOT NULL, -- of the process that may write; each opening begins another
  groups  BIGINT      NOT NULL, -- how many groups of changes were committed in this term
  pid     INTEGER     NOT NULL, -- of the writer's session; 0: none
  started TIMESTAMPTZ NOT NULL, -- when that session began
  renewed TIMESTAMPTZ NOT NULL, -- when the writer was last seen
  place   TEXT        NOT NULL, -- where the database lay; empty: it was put in place by hand
  birth   BIGINT      NOT NULL  -- random, another one in another place
) WITH (fillfactor = 10);

-- How many groups former terms committed: for a writer that did not hear how its last one ended.
CREATE TABLE terms (
  term   BIGINT PRIMARY KEY,
  groups BIGINT NOT NULL
);
