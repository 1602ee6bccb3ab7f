-- What an environment is set up with.
ALTER TABLE organization
    -- LCID.
    ADD COLUMN languagecode integer NOT NULL DEFAULT 1033,
    ADD COLUMN baseisocurrencycode text NOT NULL DEFAULT 'USD' CHECK (baseisocurrencycode ~ '^[A-Z]{3}$');

-- Of a person, none.
ALTER TABLE systemuser ADD COLUMN applicationid uuid;
CREATE INDEX systemuser_applicationid ON systemuser (applicationid);

-- What is installed. A package's tables are shown once its solution is here.
CREATE TABLE solution (
    solutionid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    uniquename text NOT NULL UNIQUE,
    friendlyname text NOT NULL,
    version text NOT NULL,
    publisheridname text NOT NULL,
    description text,
    ismanaged boolean NOT NULL DEFAULT true,
    installedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE FUNCTION keep_managed_solution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'solution % is managed and cannot be deleted', OLD.uniquename;
END
$$;
CREATE TRIGGER keep_managed BEFORE DELETE ON solution
    FOR EACH ROW WHEN (OLD.ismanaged) EXECUTE FUNCTION organization.keep_managed_solution();

-- Of MicrosoftOperationsVEAnchor: to which ERP the virtual entities lead.
CREATE TABLE msdyn_financeandoperationsvirtualentity (
    msdyn_financeandoperationsvirtualentityid uuid PRIMARY KEY
        DEFAULT '47c40dcb-35d6-e911-a95e-000d3a110bbd',
    -- There is one at most.
    only_row boolean NOT NULL UNIQUE DEFAULT true CHECK (only_row),
    msdyn_name text NOT NULL DEFAULT 'Finance and Operations',
    msdyn_targeturl text NOT NULL,
    msdyn_oauthurl text NOT NULL DEFAULT 'https://login.windows.net/',
    -- A domain or a GUID.
    msdyn_tenantid text NOT NULL,
    msdyn_aadapplicationid uuid,
    msdyn_aadresource uuid NOT NULL DEFAULT '00000015-0000-0000-c000-000000000000',
    tombolo_environmentid uuid,
    tombolo_isautomatic boolean NOT NULL DEFAULT false,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- Of MsDyn_FnOIntegrationMDLApp_Anchor: installed add-ins, and what they are configured with.
CREATE TABLE tombolo_addin (
    tombolo_addinid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tombolo_name text NOT NULL UNIQUE CHECK (tombolo_name <> ''),
    tombolo_displayname text NOT NULL,
    tombolo_version text NOT NULL,
    tombolo_state text NOT NULL,
    tombolo_parameters text NOT NULL,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- Of DualWriteCoreAnchor.
CREATE TABLE msdyn_dualwriteruntimeconfig (
    msdyn_dualwriteruntimeconfigid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_name text NOT NULL,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE TABLE msdyn_dualwriteentitymap (
    msdyn_dualwriteentitymapid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_name text NOT NULL,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

DO $$
DECLARE
    it text;
BEGIN
    FOREACH it IN ARRAY ARRAY['solution', 'msdyn_financeandoperationsvirtualentity', 'tombolo_addin',
                              'msdyn_dualwriteruntimeconfig', 'msdyn_dualwriteentitymap'] LOOP
        EXECUTE format('CREATE TRIGGER stamp_row BEFORE UPDATE ON organization.%I
                        FOR EACH ROW EXECUTE FUNCTION organization.stamp_row()', it);
    END LOOP;
END
$$;
