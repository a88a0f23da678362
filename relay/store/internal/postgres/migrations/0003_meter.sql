-- How much the business uses (../../sqlite/migrations/0011).
CREATE TABLE meter_hours (
  hour      BIGINT NOT NULL,
  direction TEXT COLLATE "C" NOT NULL,
  kind      TEXT COLLATE "C" NOT NULL,
  count     BIGINT NOT NULL,
  bytes     BIGINT NOT NULL,
  PRIMARY KEY (hour, direction, kind)
);
CREATE TABLE meter_days (
  day       BIGINT NOT NULL,
  direction TEXT COLLATE "C" NOT NULL,
  kind      TEXT COLLATE "C" NOT NULL,
  count     BIGINT NOT NULL,
  bytes     BIGINT NOT NULL,
  PRIMARY KEY (day, direction, kind)
);
