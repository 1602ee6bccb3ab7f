ALTER TABLE systemuser
    -- Not known to whoever imports users yet.
    ADD COLUMN internalemailaddress text,
    ADD COLUMN businessunitid uuid REFERENCES businessunit;
UPDATE systemuser SET businessunitid = (
    SELECT businessunitid FROM businessunit ORDER BY createdon, businessunitid LIMIT 1
);
ALTER TABLE systemuser ALTER COLUMN businessunitid SET NOT NULL;
