-- The pair. There is one.
CREATE TABLE link (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    finance_and_operations_environment text NOT NULL,
    platform_environment text NOT NULL,
    companies text[] NOT NULL,
    -- Name of each company's team when it was linked: what a later check compares with.
    teams jsonb NOT NULL DEFAULT '{}',
    consent_user text NOT NULL,
    consent_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL DEFAULT 1
);

CREATE TABLE map (
    name text PRIMARY KEY CHECK (name LIKE 'maps/_%'),
    display_name text NOT NULL,
    finance_and_operations_entity text NOT NULL,
    platform_table text NOT NULL,
    active_version text NOT NULL,
    state text NOT NULL DEFAULT 'NOT_RUNNING' CHECK (state IN (
        'NOT_RUNNING', 'INITIALIZING', 'RUNNING', 'PAUSING', 'PAUSED', 'RESUMING', 'STOPPING')),
    -- Grows with every change of state or definition, also over a map of the same name that was
    -- deleted: never less than the milliseconds of the change.
    epoch bigint NOT NULL,
    sync_mode text NOT NULL DEFAULT 'LIVE'
        CHECK (sync_mode IN ('LIVE', 'LIVE_OR_QUEUE', 'ASYNCHRONOUS')),
    primary_side text NOT NULL DEFAULT 'PLATFORM'
        CHECK (primary_side IN ('FINANCE_AND_OPERATIONS', 'PLATFORM')),
    company_specific boolean NOT NULL,
    owning_team text NOT NULL DEFAULT '',
    peer_timeout_milliseconds bigint CHECK (peer_timeout_milliseconds BETWEEN 1 AND 300000),
    debug boolean NOT NULL DEFAULT false,
    coalesce_queue boolean NOT NULL DEFAULT false,
    import_task_count integer NOT NULL DEFAULT 0 CHECK (import_task_count >= 0),
    import_threshold_row_count integer NOT NULL DEFAULT 0 CHECK (import_threshold_row_count >= 0),
    state_change_time timestamptz NOT NULL DEFAULT now(),
    create_time timestamptz NOT NULL DEFAULT now(),
    revision bigint NOT NULL DEFAULT 1
);

CREATE TABLE map_version (
    name text PRIMARY KEY,
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    version text NOT NULL,
    publisher text NOT NULL,
    content_hash text NOT NULL,
    -- `MapVersion`.
    definition bytea NOT NULL,
    -- Name of the solution that it came with; null: made here.
    solution text,
    managed boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (map, version, publisher)
);
ALTER TABLE map ADD FOREIGN KEY (active_version) REFERENCES map_version (name)
    DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX ON map_version (map, create_time);

-- How far the log of a side has been taken for a map.
CREATE TABLE map_position (
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    side text NOT NULL CHECK (side IN ('FINANCE_AND_OPERATIONS', 'PLATFORM')),
    position text NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (map, side)
);

-- What a side may hold of a map: there from before it is told to until it is known to have forgotten.
-- Outlives the map. The row is also the lock under which the side is told.
CREATE TABLE map_configuration (
    map text NOT NULL,
    side text NOT NULL CHECK (side IN ('FINANCE_AND_OPERATIONS', 'PLATFORM')),
    -- What it acknowledged; 0: nothing yet.
    epoch bigint NOT NULL DEFAULT 0,
    -- `MapSide` that it was given.
    map_side bytea NOT NULL DEFAULT '',
    PRIMARY KEY (map, side)
);

-- What changes all the time, apart from the map that everybody watches.
CREATE TABLE map_report (
    map text PRIMARY KEY REFERENCES map (name) ON DELETE CASCADE,
    to_platform_count bigint NOT NULL DEFAULT 0,
    to_finance_and_operations_count bigint NOT NULL DEFAULT 0,
    queued_record_count bigint NOT NULL DEFAULT 0,
    -- When the oldest change was made that has not reached the other side; null: there is none.
    to_platform_waiting_since timestamptz,
    to_finance_and_operations_waiting_since timestamptz,
    heartbeat_time timestamptz,
    -- `SyncError`.
    last_error bytea
);

CREATE TABLE solution (
    name text PRIMARY KEY,
    publisher text NOT NULL,
    version text NOT NULL,
    managed boolean NOT NULL,
    content bytea NOT NULL,
    import_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE activity (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Empty: of the link.
    map text NOT NULL,
    kind text NOT NULL,
    message text NOT NULL,
    actor text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    occur_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON activity (map, id);

CREATE TABLE idempotency (
    caller text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    answer bytea,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);

-- What the last scheduled checks found, so that only what is new is told.
CREATE TABLE health (
    code text NOT NULL,
    side text NOT NULL,
    passed boolean NOT NULL,
    message text NOT NULL,
    check_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (code, side)
);

CREATE FUNCTION tell_of_maps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('dual_write_maps', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON map
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_maps();
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON link
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_maps();
