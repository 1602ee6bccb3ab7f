CREATE TABLE organization (
    organizationid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- There is one.
    only_row boolean NOT NULL UNIQUE DEFAULT true CHECK (only_row),
    name text NOT NULL,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE businessunit (
    businessunitid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE systemuser (
    systemuserid uuid PRIMARY KEY,
    domainname text NOT NULL,
    fullname text NOT NULL,
    azureactivedirectoryobjectid uuid NOT NULL UNIQUE,
    isdisabled boolean NOT NULL DEFAULT false,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX systemuser_domainname ON systemuser (lower(domainname));

CREATE TABLE cdm_company (
    cdm_companyid uuid PRIMARY KEY,
    cdm_companycode text NOT NULL CHECK (cdm_companycode <> ''),
    cdm_name text NOT NULL,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX cdm_company_code ON cdm_company (lower(cdm_companycode));

INSERT INTO organization (name) VALUES ('Tombolo');
INSERT INTO businessunit (name) VALUES ('Tombolo');
