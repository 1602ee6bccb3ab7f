-- What the platform's rows do by themselves. Names are qualified: whoever writes need not have this schema
-- in the search path.

-- Every change of a row moves `modifiedon`; `createdon` is for ever.
CREATE FUNCTION stamp_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.createdon := OLD.createdon;
    -- Whoever says the moment itself knows it.
    IF NEW.modifiedon = OLD.modifiedon THEN
        NEW.modifiedon := now() AT TIME ZONE 'UTC';
    END IF;
    RETURN NEW;
END
$$;

-- Who writes, if it is a user that the platform knows.
CREATE FUNCTION acting_user() RETURNS uuid STABLE LANGUAGE sql AS $$
    SELECT systemuserid FROM organization.systemuser
    WHERE systemuserid::text = lower(current_setting('tombolo.systemuser', true))
$$;

CREATE FUNCTION own_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.ownerid := organization.acting_user();
    RETURN NEW;
END
$$;

-- A status reason belongs to a status: 1 to active (0), 2 to inactive (1).
CREATE FUNCTION follow_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- The default of the column, beside a status that was given.
        IF NEW.statecode = 1 AND NEW.statuscode = 1 THEN
            NEW.statuscode := 2;
        END IF;
    ELSIF NEW.statecode <> OLD.statecode AND NEW.statuscode = OLD.statuscode THEN
        NEW.statuscode := NEW.statecode + 1;
    END IF;
    IF NEW.statuscode <> NEW.statecode + 1 THEN
        RAISE EXCEPTION '% is not a valid status code for state code % on %', NEW.statuscode,
            CASE NEW.statecode WHEN 0 THEN 'Active' ELSE 'Inactive' END, TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;

DO $$
DECLARE
    it text;
BEGIN
    FOREACH it IN ARRAY ARRAY['account', 'contact', 'savedquery', 'userquery', 'systemuser', 'cdm_company'] LOOP
        EXECUTE format('CREATE TRIGGER stamp_row BEFORE UPDATE ON organization.%I
                        FOR EACH ROW EXECUTE FUNCTION organization.stamp_row()', it);
    END LOOP;
    FOREACH it IN ARRAY ARRAY['account', 'contact', 'userquery'] LOOP
        EXECUTE format('CREATE TRIGGER own_row BEFORE INSERT ON organization.%I FOR EACH ROW
                        WHEN (NEW.ownerid IS NULL) EXECUTE FUNCTION organization.own_row()', it);
    END LOOP;
    FOREACH it IN ARRAY ARRAY['account', 'contact'] LOOP
        EXECUTE format('CREATE TRIGGER follow_state BEFORE INSERT OR UPDATE OF statecode, statuscode
                        ON organization.%I FOR EACH ROW EXECUTE FUNCTION organization.follow_state()', it);
    END LOOP;
END
$$;

-- What a deleted row leaves, as on the platform: a customer's contacts go with it; an account loses the
-- parent or the primary contact that is gone; users, who own rows, stay.
ALTER TABLE account
    DROP CONSTRAINT account_parentaccountid_fkey,
    DROP CONSTRAINT account_primarycontactid_fkey,
    ADD CONSTRAINT account_parentaccountid_fkey
        FOREIGN KEY (parentaccountid) REFERENCES account ON DELETE SET NULL,
    ADD CONSTRAINT account_primarycontactid_fkey
        FOREIGN KEY (primarycontactid) REFERENCES contact ON DELETE SET NULL,
    ADD CONSTRAINT account_not_its_own_parent CHECK (parentaccountid <> accountid);
ALTER TABLE contact
    DROP CONSTRAINT contact_parentcustomerid_fkey,
    ADD CONSTRAINT contact_parentcustomerid_fkey
        FOREIGN KEY (parentcustomerid) REFERENCES account ON DELETE CASCADE;
