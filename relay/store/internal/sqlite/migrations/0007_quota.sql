-- Whose file it is, where it came from a customer or is for one alone: it counts towards
-- what that customer may use. Files of before are nobody's. The customer's row may be gone.
ALTER TABLE media ADD COLUMN customer INTEGER;
CREATE INDEX media_customer ON media (customer) WHERE customer IS NOT NULL;
