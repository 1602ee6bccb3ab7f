-- Rules, the failures that they count, what they did about them, and who has to be told.

CREATE TABLE alert_rule (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    -- Empty: all of them.
    maps text[] NOT NULL,
    error_kinds integer[] NOT NULL,
    error_count integer NOT NULL CHECK (error_count > 0),
    span_milliseconds bigint NOT NULL CHECK (span_milliseconds > 0),
    action integer NOT NULL,
    mail_recipients text[] NOT NULL,
    webhook_url text NOT NULL,
    probe_milliseconds bigint CHECK (probe_milliseconds > 0),
    -- What failed before is not held against anybody.
    hold_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Of the last day.
CREATE TABLE failure (
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    kind integer NOT NULL,
    occur_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX failure_in_time ON failure (map, occur_time);
CREATE INDEX failure_age ON failure (occur_time);

-- Stays when its rule is deleted: it happened.
CREATE TABLE alert (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text COLLATE "C" NOT NULL,
    map text NOT NULL REFERENCES map (name) ON DELETE CASCADE,
    error_count integer NOT NULL,
    last_error bytea NOT NULL,
    -- What the rule wants; what was done is unknown until it is.
    wanted_action integer NOT NULL,
    action integer,
    fire_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    auto_resume_time timestamptz
);
CREATE INDEX alert_of_rule ON alert (rule, map, number);
CREATE INDEX alert_to_act ON alert (number) WHERE action IS NULL;

CREATE TABLE alert_delivery (
    alert bigint NOT NULL REFERENCES alert ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('mail', 'webhook')),
    recipient text NOT NULL,
    attempt_count integer NOT NULL DEFAULT 0,
    -- Null: it is delivered, or given up.
    next_time timestamptz DEFAULT clock_timestamp(),
    -- Null: nothing is wrong.
    failure text,
    PRIMARY KEY (alert, channel, recipient)
);
CREATE INDEX alert_delivery_due ON alert_delivery (next_time) WHERE next_time IS NOT NULL;

-- Paused maps of which one change is tried after a while.
CREATE TABLE probe (
    map text PRIMARY KEY REFERENCES map (name) ON DELETE CASCADE,
    -- Null: no rule paused the map, but a side that was away.
    alert bigint REFERENCES alert ON DELETE CASCADE,
    delay_milliseconds bigint NOT NULL CHECK (delay_milliseconds > 0),
    next_time timestamptz NOT NULL
);
