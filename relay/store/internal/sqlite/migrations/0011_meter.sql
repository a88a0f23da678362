-- How much the business uses. Nothing here belongs to a customer.

-- What was counted by the hour (since 1970) and is not published yet; at hour 0 what was left.
CREATE TABLE meter_hours (
  hour      INTEGER NOT NULL,
  direction TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  count     INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  PRIMARY KEY (hour, direction, kind)
) WITHOUT ROWID;

-- What is published, by days since 1970; at day 0 the sum of those that are no longer kept.
CREATE TABLE meter_days (
  day       INTEGER NOT NULL,
  direction TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  count     INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  PRIMARY KEY (day, direction, kind)
) WITHOUT ROWID;
