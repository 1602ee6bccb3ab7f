-- Names that are in use, and those of what is deleted for a while longer: whoever writes a row here first has
-- the name.
CREATE TABLE name_claim (
    -- finance_and_operations (its id), finance_and_operations_url, finance_and_operations_database, host,
    -- unified_name
    kind text NOT NULL,
    name text NOT NULL,
    environment uuid NOT NULL,
    -- Free from then on; absent while in use.
    expire_time timestamptz,
    PRIMARY KEY (kind, name)
);

-- Rows outlive their environments, for what refers to them.
CREATE TABLE finance_and_operations_environment (
    environment_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- Last part of the name, and first label of the host.
    id text NOT NULL,
    display_name text NOT NULL,
    type text NOT NULL,
    state text NOT NULL,
    url text NOT NULL,
    tenant_id uuid NOT NULL,
    region text NOT NULL,
    administrator text NOT NULL,
    version text NOT NULL,
    database text NOT NULL,
    -- Was there before, and stays.
    adopted boolean NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    delete_time timestamptz,
    revision bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX finance_and_operations_environment_name ON finance_and_operations_environment (id)
    WHERE delete_time IS NULL;

CREATE TABLE platform_environment (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    display_name text NOT NULL,
    type text NOT NULL,
    state text NOT NULL,
    location text NOT NULL,
    region text NOT NULL,
    tenant_id uuid NOT NULL,
    -- All of these, or none: the Dataverse database.
    host_name text,
    url text,
    organization_id uuid UNIQUE,
    language text,
    currency_code text,
    d365_apps_enabled boolean NOT NULL DEFAULT false,
    database text UNIQUE,
    -- Owner of the database; empty where it was there before.
    database_role text NOT NULL DEFAULT '',
    -- Made with this ERP, and still connected to it.
    initial_of uuid UNIQUE REFERENCES finance_and_operations_environment,
    -- Was made with an ERP, whatever it is connected to now: gets a database by a setup only.
    initial boolean NOT NULL DEFAULT false,
    -- Finance and operations is, or was, an app of it.
    unified boolean NOT NULL DEFAULT false,
    -- The app that has to be there before finance and operations.
    platform_tools boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    delete_time timestamptz,
    -- When its database was dropped for good.
    purge_time timestamptz,
    revision bigint NOT NULL DEFAULT 1
);

CREATE UNIQUE INDEX platform_environment_host ON platform_environment (host_name) WHERE delete_time IS NULL;

-- Each half once: the unique constraints are what makes a link one-to-one.
CREATE TABLE link (
    id text PRIMARY KEY,
    finance_and_operations_environment uuid NOT NULL UNIQUE REFERENCES finance_and_operations_environment,
    platform_environment uuid NOT NULL UNIQUE REFERENCES platform_environment,
    template text NOT NULL,
    dual_write_status text NOT NULL,
    dual_write_platform_environment uuid REFERENCES platform_environment,
    operation uuid,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant_settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    disable_environment_creation_by_non_admin_users boolean NOT NULL DEFAULT false,
    disable_trial_environment_creation_by_non_admin_users boolean NOT NULL DEFAULT false,
    country_code text NOT NULL DEFAULT 'US',
    revision bigint NOT NULL DEFAULT 1
);
INSERT INTO tenant_settings DEFAULT VALUES;

CREATE TABLE backup (
    id uuid PRIMARY KEY,
    -- Of one half.
    platform_environment uuid REFERENCES platform_environment,
    finance_and_operations_environment uuid REFERENCES finance_and_operations_environment,
    label text NOT NULL,
    system boolean NOT NULL,
    -- In the backups' directory.
    file text NOT NULL UNIQUE,
    -- Of the database, when it was written.
    size_bytes bigint NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz NOT NULL,
    CHECK (num_nonnulls(platform_environment, finance_and_operations_environment) = 1)
);
CREATE INDEX backup_expiry ON backup (expire_time);

CREATE TABLE add_in_installation (
    platform_environment uuid NOT NULL REFERENCES platform_environment,
    add_in text NOT NULL,
    version text NOT NULL,
    state text NOT NULL,
    parameters jsonb NOT NULL,
    status_text text NOT NULL DEFAULT '',
    operation uuid NOT NULL,
    install_time timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (platform_environment, add_in)
);

-- What takes long. Rows of ended operations are history, and what time left is estimated from.
CREATE TABLE operation (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind text NOT NULL,
    -- pending, running, succeeded, failed, cancelling, cancelled
    state text NOT NULL DEFAULT 'pending',
    -- What was asked for, as its workflow reads it.
    request jsonb NOT NULL,
    -- What its stages have to remember, by name.
    notes jsonb NOT NULL DEFAULT '{}',
    user_name text NOT NULL,
    targets text[] NOT NULL,
    warnings text[] NOT NULL DEFAULT '{}',
    -- Why it stands still.
    failure jsonb,
    -- Somebody let it go on after a failure: what was checked at its beginning is checked again.
    resumed boolean NOT NULL DEFAULT false,
    -- The point of no return is passed.
    irrevocable boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    end_time timestamptz,
    revision bigint NOT NULL DEFAULT 1
);
CREATE INDEX operation_open ON operation (create_time) WHERE state IN ('pending', 'running', 'cancelling');
CREATE INDEX operation_newest ON operation (create_time, id);

-- Whoever runs or watches operations hears of every change that was committed.
CREATE FUNCTION tell_of_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('lifecycle_operation', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON operation FOR EACH ROW EXECUTE FUNCTION tell_of_operation();

CREATE TABLE operation_stage (
    operation uuid NOT NULL REFERENCES operation ON DELETE CASCADE,
    position integer NOT NULL,
    stage text NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    progress_percent integer NOT NULL DEFAULT 0,
    status_text text NOT NULL DEFAULT '',
    attempt_count integer NOT NULL DEFAULT 0,
    start_time timestamptz,
    end_time timestamptz,
    PRIMARY KEY (operation, position)
);

-- An environment is changed by one operation at a time, also by one that waits for somebody.
CREATE TABLE operation_hold (
    target text PRIMARY KEY,
    operation uuid NOT NULL REFERENCES operation ON DELETE CASCADE
);

-- Repeating a request with the same key has one effect and the same answer (proto/README.md).
CREATE TABLE idempotency (
    caller text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    answer bytea,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
