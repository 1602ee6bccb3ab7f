-- Which ERP user stands behind a portal contact.
CREATE TABLE msdyn_externalportalusermapping (
    msdyn_externalportalusermappingid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_name text,
    msdyn_contactid uuid NOT NULL UNIQUE REFERENCES contact ON DELETE CASCADE,
    -- The ERP's own user id.
    msdyn_financeandoperationsuser text NOT NULL CHECK (msdyn_financeandoperationsuser <> ''),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE TRIGGER stamp_row BEFORE UPDATE ON msdyn_externalportalusermapping
    FOR EACH ROW EXECUTE FUNCTION organization.stamp_row();

-- Counts the changes of the mappings. A notification would not do: a transaction that sent one cannot be
-- prepared.
CREATE TABLE portal_mapping_revision (
    -- There is one.
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO portal_mapping_revision (revision) VALUES (1);

CREATE FUNCTION count_portal_mapping_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE organization.portal_mapping_revision SET revision = revision + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_change
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON msdyn_externalportalusermapping
    FOR EACH STATEMENT EXECUTE FUNCTION organization.count_portal_mapping_change();
