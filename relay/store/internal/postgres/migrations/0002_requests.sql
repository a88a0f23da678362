-- Requests of the business that are to be done once (../../sqlite/migrations/0010).
CREATE TABLE requests (
  "row"   BIGINT PRIMARY KEY, -- grows
  epoch   BIGINT NOT NULL,
  lookup  BYTEA  NOT NULL UNIQUE, -- HMAC of the request's key
  created BIGINT NOT NULL,
  sealed  BYTEA  NOT NULL
);
