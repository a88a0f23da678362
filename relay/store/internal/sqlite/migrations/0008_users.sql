-- The HMAC of a customer's user id, in the epoch of their row; NULL in rows that were not written since.
ALTER TABLE customers ADD COLUMN user BLOB;
CREATE INDEX customers_user ON customers (user) WHERE user IS NOT NULL;
