-- Copies of the rows that were there before a map went live. States, modes and sides are the numbers of
-- the contract's enums.

CREATE TABLE initial_sync (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    name text NOT NULL UNIQUE,
    state smallint NOT NULL,
    mode smallint NOT NULL,
    master smallint NOT NULL,
    -- Those that were linked, or fewer.
    companies text[] NOT NULL,
    -- Where each side's log was when the copy began: what comes behind it is the follower's.
    finance_and_operations_position text,
    platform_position text,
    -- Of the map, when the run was asked for.
    version text NOT NULL DEFAULT '',
    -- Of an incremental run: the run whose positions it counts from, and whose failed rows it copies.
    previous bigint REFERENCES initial_sync (id) ON DELETE SET NULL,
    -- Legs are there, positions noted.
    prepared boolean NOT NULL DEFAULT false,
    -- Taken as good in spite of its errors.
    accepted boolean NOT NULL DEFAULT false,
    warnings text[] NOT NULL DEFAULT '{}',
    -- A SyncError.
    failure bytea,
    actor text NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    start_time timestamptz,
    end_time timestamptz
);

-- At most one run of a map is under way.
CREATE UNIQUE INDEX initial_sync_open ON initial_sync (map) WHERE state IN (1, 2, 3);
CREATE INDEX initial_sync_of_map ON initial_sync (map, id);

CREATE TABLE initial_sync_leg (
    run bigint NOT NULL REFERENCES initial_sync (id) ON DELETE CASCADE,
    number integer NOT NULL,
    project uuid NOT NULL,
    company text NOT NULL,
    source smallint NOT NULL,
    state smallint NOT NULL,
    -- Of an incremental run: where its list of changed rows ends.
    until_position text NOT NULL DEFAULT '',
    total_count bigint NOT NULL,
    exported_count bigint NOT NULL DEFAULT 0,
    inserted_count bigint NOT NULL DEFAULT 0,
    updated_count bigint NOT NULL DEFAULT 0,
    unchanged_count bigint NOT NULL DEFAULT 0,
    error_count bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run, number)
);

-- A leg, cut into ranges as it is read. One that is not done is repeated after a crash.
CREATE TABLE initial_sync_range (
    run bigint NOT NULL,
    leg integer NOT NULL,
    number bigint NOT NULL,
    -- Where it ends, and the next begins.
    until_cursor bytea NOT NULL,
    row_count bigint NOT NULL,
    -- Row ids of what is about to be created and changed on the other side, 16 bytes each: a repetition, which
    -- finds these rows equal, counts them as what they were.
    creating bytea,
    changing bytea,
    done_time timestamptz,
    PRIMARY KEY (run, leg, number),
    FOREIGN KEY (run, leg) REFERENCES initial_sync_leg (run, number) ON DELETE CASCADE
);
CREATE INDEX initial_sync_range_done ON initial_sync_range (run, done_time);

-- Lookups that found no row in the first phase.
CREATE TABLE initial_sync_lookup (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run bigint NOT NULL,
    leg integer NOT NULL,
    record_id bytea NOT NULL,
    columns text[] NOT NULL,
    FOREIGN KEY (run, leg) REFERENCES initial_sync_leg (run, number) ON DELETE CASCADE
);
CREATE INDEX initial_sync_lookup_of_run ON initial_sync_lookup (run, leg, id);

CREATE TABLE initial_sync_error (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run bigint NOT NULL,
    leg integer NOT NULL,
    record_id bytea NOT NULL,
    company text NOT NULL,
    -- A Record and a SyncError.
    record bytea NOT NULL,
    error bytea NOT NULL,
    kind smallint NOT NULL,
    retryable boolean NOT NULL,
    retry_state smallint NOT NULL DEFAULT 1,
    FOREIGN KEY (run, leg) REFERENCES initial_sync_leg (run, number) ON DELETE CASCADE
);
CREATE INDEX initial_sync_error_of_run ON initial_sync_error (run, id);
CREATE INDEX initial_sync_error_of_leg ON initial_sync_error (run, leg, id);
CREATE INDEX initial_sync_error_queued ON initial_sync_error (run, id) WHERE retry_state = 2;
