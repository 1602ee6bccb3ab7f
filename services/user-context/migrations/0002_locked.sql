-- Disabled by an administrator: what the user's source says does not enable it.
ALTER TABLE directory_user ADD COLUMN locked boolean NOT NULL DEFAULT false;
