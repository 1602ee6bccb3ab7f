CREATE FUNCTION erp.default_party() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(NEW.partynumber, '') = '' THEN
        NEW.partynumber := 'P-' || lpad(nextval('erp.partynumber')::text, 9, '0');
    END IF;
    IF NEW.namealias = '' THEN
        NEW.namealias := left(NEW.name, 20);
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER default_party BEFORE INSERT ON erp.dirpartytable
    FOR EACH ROW EXECUTE FUNCTION erp.default_party();

-- A party owns its primary address and contacts, whichever of the two was there first.
CREATE FUNCTION erp.own_primary_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE erp.logisticspostaladdress SET party = NEW.recid
        WHERE recid = NEW.primarypostaladdress AND party IS NULL;
    UPDATE erp.logisticselectronicaddress SET party = NEW.recid
        WHERE recid IN (NEW.primaryemail, NEW.primaryphone) AND party IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER own_primary_contacts
    AFTER INSERT OR UPDATE OF primarypostaladdress, primaryemail, primaryphone ON erp.dirpartytable
    FOR EACH ROW EXECUTE FUNCTION erp.own_primary_contacts();

-- 1 phone, 2 e-mail, 3 web page.
CREATE FUNCTION erp.check_contact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.type = 0 THEN
        NEW.type := CASE WHEN NEW.locator LIKE '%@%' THEN 2 WHEN NEW.locator LIKE '%://%' THEN 3 ELSE 1 END;
    END IF;
    IF NEW.type = 2 AND NEW.locator <> '' AND NEW.locator !~ '^[^@\s]+@[^@\s]+$' THEN
        RAISE EXCEPTION 'E-mail address % is not valid.', NEW.locator;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER check_contact BEFORE INSERT OR UPDATE ON erp.logisticselectronicaddress
    FOR EACH ROW EXECUTE FUNCTION erp.check_contact();
