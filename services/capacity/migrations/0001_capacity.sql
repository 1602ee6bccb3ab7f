-- Amounts are arrays of five: database, file, log, operations database, operations file, in bytes.

-- What is decided one after the other (reservations, notices) locks this row first.
CREATE TABLE decision (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    -- When environments were last listed completely, and when sampling last began.
    listed_at timestamptz,
    sampled_at timestamptz,
    thinned_at timestamptz
);
INSERT INTO decision DEFAULT VALUES;

CREATE TABLE accrual (
    id text PRIMARY KEY COLLATE "C",
    display_name text NOT NULL,
    kind smallint NOT NULL,
    tenant_amounts bigint[] NOT NULL CHECK (cardinality(tenant_amounts) = 5),
    unit_amounts bigint[] NOT NULL CHECK (cardinality(unit_amounts) = 5),
    permits_setup boolean NOT NULL,
    source text NOT NULL,
    -- An administrator's row is not overwritten by the table that comes with a release.
    administered boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE licence (
    id text PRIMARY KEY COLLATE "C",
    accrual text NOT NULL REFERENCES accrual,
    quantity bigint NOT NULL CHECK (quantity > 0),
    start_time timestamptz NOT NULL,
    end_time timestamptz CHECK (end_time > start_time),
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE assignment (
    licence text NOT NULL COLLATE "C" REFERENCES licence,
    -- Users are told apart without regard to case.
    user_key text NOT NULL COLLATE "C",
    user_name text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (licence, user_key)
);
CREATE INDEX assignment_user ON assignment (user_key);

-- The environments of the newest listing, with what was measured last.
CREATE TABLE environment (
    name text PRIMARY KEY COLLATE "C",
    kind smallint NOT NULL,
    has_database boolean NOT NULL,
    amounts bigint[] CHECK (cardinality(amounts) = 5),
    -- When the measurement was begun, by this database's clock.
    measured_at timestamptz,
    CHECK ((amounts IS NULL) = (measured_at IS NULL))
);

CREATE TABLE table_size (
    environment text NOT NULL COLLATE "C" REFERENCES environment ON DELETE CASCADE,
    schema_name text NOT NULL COLLATE "C",
    table_name text NOT NULL COLLATE "C",
    pool smallint NOT NULL,
    size_bytes bigint NOT NULL,
    row_count bigint NOT NULL,
    PRIMARY KEY (environment, schema_name, table_name)
);
CREATE INDEX table_size_largest
    ON table_size (environment, size_bytes DESC, schema_name, table_name);

-- History. The empty environment is the whole tenant, as counted; the others are as measured.
CREATE TABLE sample (
    environment text NOT NULL COLLATE "C",
    taken_at timestamptz NOT NULL,
    amounts bigint[] NOT NULL CHECK (cardinality(amounts) = 5),
    PRIMARY KEY (environment, taken_at)
);
CREATE INDEX sample_age ON sample (taken_at);

CREATE TABLE reservation (
    id uuid PRIMARY KEY,
    holder text NOT NULL,
    environment text NOT NULL COLLATE "C",
    operation smallint NOT NULL,
    amounts bigint[] NOT NULL CHECK (cardinality(amounts) = 5),
    state text NOT NULL CHECK (state IN ('held', 'committed', 'released', 'expired')),
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    -- When it was committed, released or found expired.
    end_time timestamptz,
    CHECK ((state = 'held') = (end_time IS NULL))
);
CREATE UNIQUE INDEX reservation_holder ON reservation (holder)
    WHERE state IN ('held', 'committed');
CREATE INDEX reservation_newest ON reservation (create_time DESC, id);

CREATE TABLE notice (
    id uuid PRIMARY KEY,
    pool smallint NOT NULL,
    kind smallint NOT NULL,
    message text NOT NULL,
    begin_time timestamptz NOT NULL,
    end_time timestamptz,
    last_told timestamptz NOT NULL
);
-- The most urgent of a pool holds, and no other.
CREATE UNIQUE INDEX notice_holds ON notice (pool) WHERE end_time IS NULL;
CREATE INDEX notice_newest ON notice (begin_time DESC, id);

CREATE TABLE idempotency (
    caller text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    answer bytea,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_age ON idempotency (create_time);
