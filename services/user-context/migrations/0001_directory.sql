-- Names are told apart without regard to case: `key` is the name in lower case. `source` is who says
-- what stands in a row: the model, the ERP, or, where empty, an administrator.
CREATE TABLE privilege (
    key text PRIMARY KEY,
    name text NOT NULL,
    display_name text NOT NULL,
    source text NOT NULL CHECK (source IN ('', 'model', 'erp')),
    grants jsonb NOT NULL
);

CREATE TABLE duty (
    key text PRIMARY KEY,
    name text NOT NULL,
    display_name text NOT NULL,
    source text NOT NULL CHECK (source IN ('', 'model', 'erp'))
);

CREATE TABLE role (
    key text PRIMARY KEY,
    name text NOT NULL,
    display_name text NOT NULL,
    source text NOT NULL CHECK (source IN ('', 'model', 'erp'))
);

CREATE TABLE directory_user (
    key text PRIMARY KEY,
    name text NOT NULL,
    display_name text NOT NULL,
    system_user_id uuid NOT NULL UNIQUE,
    object_id uuid NOT NULL,
    erp_user text NOT NULL,
    -- `*` alone: all of them.
    companies text[] NOT NULL,
    -- The application that the user stands for; empty: a person.
    application_id text NOT NULL,
    disabled boolean NOT NULL,
    acts_on_behalf boolean NOT NULL,
    serves_portal boolean NOT NULL,
    time_zone text NOT NULL,
    language integer NOT NULL,
    source text NOT NULL CHECK (source IN ('', 'model', 'erp')),
    -- Looked at when the change is whole: users may trade their ids.
    CONSTRAINT directory_user_object_id UNIQUE (object_id) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE duty_privilege (
    duty_key text NOT NULL REFERENCES duty ON DELETE CASCADE,
    privilege_key text NOT NULL REFERENCES privilege ON DELETE CASCADE,
    PRIMARY KEY (duty_key, privilege_key)
);

CREATE TABLE role_duty (
    role_key text NOT NULL REFERENCES role ON DELETE CASCADE,
    duty_key text NOT NULL REFERENCES duty ON DELETE CASCADE,
    PRIMARY KEY (role_key, duty_key)
);

CREATE TABLE role_privilege (
    role_key text NOT NULL REFERENCES role ON DELETE CASCADE,
    privilege_key text NOT NULL REFERENCES privilege ON DELETE CASCADE,
    PRIMARY KEY (role_key, privilege_key)
);

CREATE TABLE user_role (
    user_key text NOT NULL REFERENCES directory_user ON DELETE CASCADE,
    role_key text NOT NULL REFERENCES role ON DELETE CASCADE,
    PRIMARY KEY (user_key, role_key)
);

-- Assertions of these users that were made at a lower revision are not believed any more. Kept for
-- as long as there can be such assertions.
CREATE TABLE revocation (
    system_user_id uuid PRIMARY KEY,
    revision bigint NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT now()
);

-- What a source said last, so that a restart does not say it again over what was changed since.
CREATE TABLE source_digest (
    source text PRIMARY KEY,
    digest text NOT NULL
);

-- One row, locked by whoever changes the directory.
CREATE TABLE revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number bigint NOT NULL
);
INSERT INTO revision (number) VALUES (0);
