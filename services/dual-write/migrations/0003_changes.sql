-- Changes that were committed on one side and have not reached the other. Sides, states, origins and kinds
-- are the numbers of the contract's enums.

-- Retries that somebody asked for, done in this order.
CREATE TABLE retry_request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX retry_request_of_map ON retry_request (map, id);

CREATE TABLE failed_change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    -- That was written.
    side smallint NOT NULL,
    -- Number of the change in that side's log; of a conflict, its number on the side that met it.
    position bigint NOT NULL,
    record_id bytea NOT NULL,
    -- Digest of company and key: a row that was deleted and created anew is the same row.
    row_key bytea NOT NULL,
    origin smallint NOT NULL,
    kind smallint NOT NULL,
    retry_state smallint NOT NULL,
    -- The request that it waits for.
    retry bigint REFERENCES retry_request (id) ON DELETE SET NULL,
    commit_time timestamptz NOT NULL,
    -- A PendingChange and a SyncError.
    change bytea NOT NULL,
    error bytea NOT NULL,
    -- Of a conflict: a FailedChange with nothing but the winner.
    winner bytea,
    complete_time timestamptz
);
-- A conflict (10) is not a change of its own.
CREATE UNIQUE INDEX failed_change_once ON failed_change (map, side, position) WHERE kind <> 10;
-- What later changes of the same row wait behind: not completed (3).
CREATE INDEX failed_change_record ON failed_change (map, side, record_id)
    WHERE retry_state <> 3 AND kind <> 10;
CREATE INDEX failed_change_key ON failed_change (map, side, row_key)
    WHERE retry_state <> 3 AND kind <> 10;
CREATE INDEX failed_change_listed ON failed_change (map, id);
CREATE INDEX failed_change_retry ON failed_change (retry, id) WHERE retry IS NOT NULL;

-- Conflicts of each side that are among the failed changes.
CREATE TABLE conflict_progress (
    side smallint PRIMARY KEY,
    after_id bigint NOT NULL
);

-- How far a queue has been replayed change by change, within one stretch of the log.
CREATE TABLE replay (
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    side smallint NOT NULL,
    after_position text NOT NULL,
    until_position text NOT NULL,
    done_change bigint NOT NULL DEFAULT 0,
    begin_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What comes behind it until the map runs goes over as it is.
    end_time timestamptz,
    PRIMARY KEY (map, side)
);

-- The last initial sync whose catch-up is over: rows that were just copied need no history.
CREATE TABLE caught_up (
    map text PRIMARY KEY REFERENCES map (name) ON DELETE CASCADE,
    initial_sync bigint NOT NULL
);
