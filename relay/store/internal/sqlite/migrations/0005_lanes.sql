-- A customer's jobs in one queue, in the order in which they are done. It also finds all
-- that a customer has, as the index that it replaces did.
DROP INDEX jobs_customer;
CREATE INDEX jobs_lane ON jobs (customer, queue, not_before, id) WHERE customer IS NOT NULL;
