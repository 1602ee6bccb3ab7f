-- Number, currency and terms of payment of a new customer or vendor.

CREATE FUNCTION erp.default_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(NEW.accountnum, '') = '' THEN
        NEW.accountnum := erp.next_number(NEW.dataareaid, 'CUST');
    END IF;
    IF coalesce(NEW.currency, '') = '' THEN
        SELECT currencycode INTO NEW.currency FROM erp.companyinfo WHERE dataarea = NEW.dataareaid;
    END IF;
    IF NEW.paymtermid IS NULL THEN
        SELECT paymtermid INTO NEW.paymtermid FROM erp.custgroup
            WHERE dataareaid = NEW.dataareaid AND custgroup = NEW.custgroup;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER default_customer BEFORE INSERT ON erp.custtable
    FOR EACH ROW EXECUTE FUNCTION erp.default_customer();

CREATE FUNCTION erp.default_vendor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(NEW.accountnum, '') = '' THEN
        NEW.accountnum := erp.next_number(NEW.dataareaid, 'VEND');
    END IF;
    IF coalesce(NEW.currency, '') = '' THEN
        SELECT currencycode INTO NEW.currency FROM erp.companyinfo WHERE dataarea = NEW.dataareaid;
    END IF;
    IF NEW.paymtermid IS NULL THEN
        SELECT paymtermid INTO NEW.paymtermid FROM erp.vendgroup
            WHERE dataareaid = NEW.dataareaid AND vendgroup = NEW.vendgroup;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER default_vendor BEFORE INSERT ON erp.vendtable
    FOR EACH ROW EXECUTE FUNCTION erp.default_vendor();
