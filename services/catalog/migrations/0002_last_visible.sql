-- An entity that leaves the model and comes back is as visible as it was.
ALTER TABLE entity_identity ADD COLUMN last_visible boolean;
