-- Whatever was changed before it has reached the other side, or is a failed change, by direction.
ALTER TABLE map_report DROP COLUMN heartbeat_time,
    ADD COLUMN to_platform_heartbeat_time timestamptz,
    ADD COLUMN to_finance_and_operations_heartbeat_time timestamptz;
