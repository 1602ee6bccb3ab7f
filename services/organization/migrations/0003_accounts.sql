ALTER TABLE organization
    -- 0 is Sunday.
    ADD COLUMN weekstartdaycode integer NOT NULL DEFAULT 0 CHECK (weekstartdaycode BETWEEN 0 AND 6),
    -- Its year does not count.
    ADD COLUMN fiscalcalendarstart date NOT NULL DEFAULT DATE '2000-01-01',
    ADD COLUMN fiscalperiodtype integer NOT NULL DEFAULT 2002
        CHECK (fiscalperiodtype BETWEEN 2000 AND 2003);

-- The contacts follow, and each of the two tables refers to the other.
CREATE TABLE account (
    accountid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    accountnumber text,
    accountcategorycode integer,
    industrycode integer,
    emailaddress1 text,
    telephone1 text,
    websiteurl text,
    description text,
    revenue numeric(23, 4),
    creditlimit numeric(23, 4),
    creditonhold boolean NOT NULL DEFAULT false,
    numberofemployees integer,
    address1_line1 text,
    address1_city text,
    address1_postalcode text,
    address1_country text,
    parentaccountid uuid REFERENCES account,
    primarycontactid uuid,
    ownerid uuid REFERENCES systemuser,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX account_accountnumber ON account (lower(accountnumber));
CREATE INDEX account_parentaccountid ON account (parentaccountid);
CREATE INDEX account_primarycontactid ON account (primarycontactid);
CREATE INDEX account_ownerid ON account (ownerid);

CREATE TABLE contact (
    contactid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    fullname text NOT NULL
        GENERATED ALWAYS AS (CASE WHEN firstname IS NULL THEN lastname
                                  ELSE firstname || ' ' || lastname END) STORED,
    firstname text,
    lastname text NOT NULL,
    jobtitle text,
    emailaddress1 text,
    telephone1 text,
    birthdate date,
    donotemail boolean NOT NULL DEFAULT false,
    familystatuscode integer,
    description text,
    address1_line1 text,
    address1_city text,
    address1_postalcode text,
    address1_country text,
    parentcustomerid uuid REFERENCES account,
    ownerid uuid REFERENCES systemuser,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX contact_parentcustomerid ON contact (parentcustomerid);
CREATE INDEX contact_ownerid ON contact (ownerid);

ALTER TABLE account ADD FOREIGN KEY (primarycontactid) REFERENCES contact;

-- Views that everybody may run, and those of one user.
CREATE TABLE savedquery (
    savedqueryid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    returnedtypecode text NOT NULL,
    fetchxml text NOT NULL,
    description text,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE userquery (
    userqueryid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    returnedtypecode text NOT NULL,
    fetchxml text NOT NULL,
    description text,
    ownerid uuid NOT NULL REFERENCES systemuser,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX userquery_ownerid ON userquery (ownerid);

CREATE INDEX systemuser_businessunitid ON systemuser (businessunitid);
