-- What every record has: version, moments of creation and change, a company it stays in.

CREATE FUNCTION erp.stamp_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.modifieddatetime := date_trunc('milliseconds', clock_timestamp() AT TIME ZONE 'utc');
    IF TG_OP = 'INSERT' THEN
        NEW.recversion := 1;
        NEW.createddatetime := NEW.modifieddatetime;
    ELSE
        NEW.recversion := OLD.recversion + 1;
        NEW.createddatetime := OLD.createddatetime;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION erp.keep_company() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A record of company % cannot be moved to company %.', OLD.dataareaid, NEW.dataareaid;
END
$$;

-- The name puts it behind the triggers that fill in values, which run in order of their names.
DO $$
DECLARE
    it record;
BEGIN
    FOR it IN SELECT c.oid::regclass AS name,
                     EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'dataareaid') AS has_company
              FROM pg_class c WHERE c.relnamespace = 'erp'::regnamespace AND c.relkind = 'r'
    LOOP
        EXECUTE format('CREATE TRIGGER stamp_record BEFORE INSERT OR UPDATE ON %s
                        FOR EACH ROW EXECUTE FUNCTION erp.stamp_record()', it.name);
        IF it.has_company THEN
            EXECUTE format('CREATE TRIGGER keep_company BEFORE UPDATE OF dataareaid ON %s FOR EACH ROW
                            WHEN (OLD.dataareaid <> NEW.dataareaid) EXECUTE FUNCTION erp.keep_company()', it.name);
        END IF;
    END LOOP;
END
$$;
