-- Comparisons of both sides, and what they found.

CREATE TABLE reconciliation (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    id text COLLATE "C" NOT NULL,
    state integer NOT NULL,
    -- Those that are compared, in order; a map without companies has one, which is empty.
    companies text[] NOT NULL,
    -- As they were asked for.
    asked_companies text[] NOT NULL,
    compared_row_count bigint NOT NULL DEFAULT 0,
    total_row_count bigint NOT NULL DEFAULT 0,
    difference_count bigint NOT NULL DEFAULT 0,
    failure bytea,
    start_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    end_time timestamptz,
    -- The next range: whose rows are gone through, in which company, and behind which key.
    source integer NOT NULL,
    company_index integer NOT NULL DEFAULT 0,
    after_key bytea,
    UNIQUE (map, id)
);
CREATE UNIQUE INDEX reconciliation_under_way ON reconciliation (map) WHERE end_time IS NULL;

CREATE TABLE difference (
    reconciliation bigint NOT NULL REFERENCES reconciliation ON DELETE CASCADE,
    number bigint NOT NULL,
    kind integer NOT NULL,
    -- What rows are listed by.
    company text COLLATE "C" NOT NULL,
    key_text text COLLATE "C" NOT NULL,
    -- A message Difference without its name.
    content bytea NOT NULL,
    -- Keys of both sides, and hashes of both images, where there are any.
    erp_key bytea,
    platform_key bytea,
    erp_hash bytea,
    platform_hash bytea,
    repaired boolean NOT NULL DEFAULT false,
    PRIMARY KEY (reconciliation, number)
);
CREATE INDEX difference_by_key ON difference (reconciliation, company, key_text, number);
