-- An entity that leaves the model and comes back is tracked as it was; before, no entity could be tracked,
-- so that what the model says may still be taken over.
ALTER TABLE entity_identity ADD COLUMN last_tracked boolean;
-- Set by the model when the row is made, then by administrators only.
ALTER TABLE data_entity ADD COLUMN tracking_decided boolean NOT NULL DEFAULT false;
