-- Changes that were neither shared nor followed, because whoever wrote them said so.
ALTER TABLE map_report ADD COLUMN skipped_count bigint NOT NULL DEFAULT 0;
