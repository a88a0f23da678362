-- How many of the business's messages were sent and delivered, by half hours since 1970. Nothing here
-- belongs to a customer.
CREATE TABLE counts (
  period    INTEGER PRIMARY KEY,
  sent      INTEGER NOT NULL,
  delivered INTEGER NOT NULL
);
