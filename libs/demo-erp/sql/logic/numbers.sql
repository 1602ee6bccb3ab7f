-- Number sequences. Like the non-continuous ones of an ERP they may leave gaps and never make anyone wait.

DO $$
DECLARE
    it record;
BEGIN
    FOR it IN SELECT counter FROM erp.numbersequencetable LOOP
        EXECUTE format('CREATE SEQUENCE %s', it.counter);
    END LOOP;
END
$$;

CREATE FUNCTION erp.next_number(company text, code text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    format erp.numbersequencetable;
    number text;
BEGIN
    SELECT * INTO format FROM erp.numbersequencetable WHERE dataareaid = company AND numbersequence = code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Company % has no number sequence %.', company, code;
    END IF;
    number := nextval(format.counter::regclass)::text;
    RETURN format.prefix || lpad(number, greatest(format.digits, length(number)), '0');
END
$$;
