SELECT pg_advisory_xact_lock(hashtext('tombolo'), hashtext('schema'));
-- Whoever writes in the ERP waits behind whoever waits for a lock on the log.
SET LOCAL lock_timeout = '250ms';

-- `CREATE SCHEMA IF NOT EXISTS` wants the right to create one even when it is there.
DO $$
BEGIN
    IF to_regnamespace('tombolo') IS NULL THEN
        CREATE SCHEMA tombolo;
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS tombolo.change_log (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    relation text NOT NULL,
    operation "char" NOT NULL,
    old jsonb,
    new jsonb,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text,
    origin text
);
COMMENT ON TABLE tombolo.change_log IS
    'Changes of rows, written in the transactions that made them. Do not change.';
CREATE INDEX IF NOT EXISTS change_log_relation_xid ON tombolo.change_log (relation, xid);
-- What was written by anybody but dual-write: little, where much is being copied.
CREATE INDEX IF NOT EXISTS change_log_own ON tombolo.change_log (relation, xid) WHERE origin IS NULL;
-- What was written with `tombolo.skip_business_events`: to be counted.
CREATE INDEX IF NOT EXISTS change_log_skipped ON tombolo.change_log (relation, xid) WHERE origin = 'skipped';

CREATE TABLE IF NOT EXISTS tombolo.change_log_relation (
    relation text PRIMARY KEY,
    oid oid NOT NULL,
    installed_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    wanted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tombolo.change_log_relation IS
    'Tables whose changes are captured, and since which transaction.';

CREATE TABLE IF NOT EXISTS tombolo.change_log_mark (
    at timestamptz NOT NULL DEFAULT now(),
    snapshot pg_snapshot NOT NULL DEFAULT pg_current_snapshot()
);
COMMENT ON TABLE tombolo.change_log_mark IS
    'Moments, so that old entries can be told. Behind the first one the log is whole.';

CREATE TABLE IF NOT EXISTS tombolo.change_log_identity (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    home text NOT NULL
);
COMMENT ON TABLE tombolo.change_log_identity IS
    'Which log this is. Transaction ids of another server mean nothing here.';

-- The side's part in dual-write, beside the rows that it shares: who reads the log for it must know it in
-- the same transaction.
CREATE TABLE IF NOT EXISTS tombolo.dual_write_map (
    map text PRIMARY KEY,
    epoch bigint NOT NULL,
    link text NOT NULL,
    phase smallint NOT NULL,
    definition bytea NOT NULL,
    relations text[] NOT NULL,
    acknowledged text,
    acknowledged_at timestamptz,
    acknowledged_snapshot pg_snapshot
);
COMMENT ON TABLE tombolo.dual_write_map IS
    'Maps that share rows of this database, and up to where the other side has taken its changes.';
-- For people: nothing is decided by it.
ALTER TABLE tombolo.dual_write_map
    ADD COLUMN IF NOT EXISTS number bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN IF NOT EXISTS shown jsonb NOT NULL DEFAULT '{}';

CREATE OR REPLACE VIEW tombolo.dualwriteprojectconfiguration AS
SELECT map AS projectname,
       shown ->> 'external_entity' AS externalentityname,
       shown ->> 'entity' AS internalentityname,
       shown ->> 'external_environment' AS externalenvironmenturl,
       phase::integer AS status,
       -- All lookups of a batch are looked up together.
       1 AS enablebatchlookup,
       shown ->> 'companies' AS partitionmap,
       shown ->> 'filter' AS queryfilterexpression,
       shown ->> 'key' AS integrationkey,
       NULL::integer AS isdelete,
       (shown -> 'debug')::boolean::integer AS isdebugmode,
       epoch AS recversion,
       NULL::bigint AS partition,
       number AS recid
FROM tombolo.dual_write_map;
COMMENT ON VIEW tombolo.dualwriteprojectconfiguration IS
    'The maps of dual_write_map, with the columns that dual-write is known for.';

CREATE TABLE IF NOT EXISTS tombolo.dual_write_shared (
    xid xid8 NOT NULL,
    map text NOT NULL,
    up_to bigint NOT NULL,
    PRIMARY KEY (xid, map)
);
COMMENT ON TABLE tombolo.dual_write_shared IS
    'Transactions whose entries, up to a number, were shared before they were committed.';

CREATE TABLE IF NOT EXISTS tombolo.dual_write_heard (
    map text NOT NULL,
    record_id uuid NOT NULL,
    snapshot pg_snapshot NOT NULL,
    PRIMARY KEY (map, record_id)
);
COMMENT ON TABLE tombolo.dual_write_heard IS
    'Rows that the other side has as of a snapshot, behind what it has acknowledged of the whole map.';

CREATE TABLE IF NOT EXISTS tombolo.dual_write_conflict (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map text NOT NULL,
    record_id uuid NOT NULL,
    occur_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    winner bytea NOT NULL,
    loser bytea NOT NULL,
    incoming_won boolean NOT NULL
);
COMMENT ON TABLE tombolo.dual_write_conflict IS
    'What both sides changed at the same time, until dual-write has collected it.';

-- A map, what the other side has acknowledged of it unless it is said what it knows, the present, and whether anything
-- waits that it does not know: neither applied nor shared before its commit. A statement that locks rows calls it behind its
-- locks, and says how many they are: it sees what was committed while they were waited for, which the statement's own
-- snapshot does not. From here on a statement of the transaction may take `patience` milliseconds: what waits for it may
-- wait longer than for others.
CREATE OR REPLACE FUNCTION tombolo.dual_write_look(
    sought text, known pg_snapshot, patience text, locks bigint,
    OUT since text, OUT present text, OUT waits boolean, OUT definition bytea
)
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('statement_timeout', patience, true);
    SELECT it.behind::text, pg_current_snapshot()::text, EXISTS (
            SELECT FROM tombolo.change_log AS entry
            WHERE entry.relation = ANY(map.relations) AND entry.origin IS NULL
                AND entry.xid >= pg_snapshot_xmin(it.behind)
                AND NOT pg_visible_in_snapshot(entry.xid, it.behind)
                AND NOT EXISTS (
                    SELECT FROM tombolo.dual_write_shared AS shared
                    WHERE shared.xid = entry.xid AND shared.map = map.map AND entry.seq <= shared.up_to
                )
        ), map.definition
    INTO since, present, waits, definition
    FROM tombolo.dual_write_map AS map
    CROSS JOIN LATERAL (SELECT coalesce(known, map.acknowledged_snapshot)) AS it(behind)
    WHERE map.map = sought;
END
$$;
REVOKE ALL ON FUNCTION tombolo.dual_write_look(text, pg_snapshot, text, bigint) FROM PUBLIC;

-- Fails where the transaction has changed rows that live maps of the link share, and nobody has taken all of it.
CREATE OR REPLACE FUNCTION tombolo.dual_write_nothing_left(pair text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM tombolo.dual_write_map AS map
        WHERE map.link = pair AND map.phase = 1 AND EXISTS (
            SELECT FROM tombolo.change_log AS entry
            WHERE entry.relation = ANY(map.relations) AND entry.origin IS NULL
                AND entry.xid = pg_current_xact_id_if_assigned()
                AND NOT EXISTS (
                    SELECT FROM tombolo.dual_write_shared AS shared
                    WHERE shared.xid = entry.xid AND shared.map = map.map AND entry.seq <= shared.up_to
                )
        )
    ) THEN
        RAISE EXCEPTION 'the transaction has changed more than it has shared' USING ERRCODE = 'TBS01';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION tombolo.dual_write_nothing_left(text) FROM PUBLIC;

-- The server and the database that transaction ids belong to.
CREATE OR REPLACE FUNCTION tombolo.change_log_home() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
    FROM pg_control_system()
$$;
REVOKE ALL ON FUNCTION tombolo.change_log_home() FROM PUBLIC;

-- The trigger's arguments: the relation's name, which a partition's own name is not, and the columns
-- whose values are left out. It names no column, so that no change of a table can break it.
CREATE OR REPLACE FUNCTION tombolo.capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET "TimeZone" = 'UTC'
SET extra_float_digits = 1
AS $$
DECLARE
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- Image by image: equal values that are written differently are a change.
        IF OLD *= NEW THEN
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        before := to_jsonb(OLD) - TG_ARGV[1:];
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        after := to_jsonb(NEW) - TG_ARGV[1:];
    END IF;
    INSERT INTO tombolo.change_log (relation, operation, old, new, actor, origin)
    VALUES (
        TG_ARGV[0],
        left(TG_OP, 1)::"char",
        before,
        after,
        nullif(current_setting('tombolo.user', true), ''),
        -- Who skips events skips those of what triggers write as well. What the ERP's own rules make of an
        -- applied change was not applied.
        CASE
            WHEN lower(current_setting('tombolo.skip_business_events', true)) IN ('on', 'true', 'yes', '1')
                THEN 'skipped'
            WHEN pg_trigger_depth() = 1 THEN nullif(current_setting('tombolo.origin', true), '')
        END
    );
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tombolo.capture() FROM PUBLIC;

-- A copy of another server's log speaks of transactions that this one does not know.
DO $$
BEGIN
    IF EXISTS (SELECT FROM tombolo.change_log_identity WHERE home <> tombolo.change_log_home()) THEN
        DELETE FROM tombolo.change_log_identity;
        DELETE FROM tombolo.change_log_mark;
        DELETE FROM tombolo.change_log_relation;
        TRUNCATE tombolo.change_log, tombolo.dual_write_shared, tombolo.dual_write_heard;
        UPDATE tombolo.dual_write_map
        SET acknowledged = NULL, acknowledged_at = NULL, acknowledged_snapshot = NULL;
    END IF;
END
$$;
INSERT INTO tombolo.change_log_identity (home) VALUES (tombolo.change_log_home())
ON CONFLICT DO NOTHING;
INSERT INTO tombolo.change_log_mark (at)
SELECT now() WHERE NOT EXISTS (SELECT FROM tombolo.change_log_mark);
