-- Sales order headers. Status: 1 open, 2 delivered, 3 invoiced, 4 canceled.

CREATE FUNCTION erp.default_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    customer erp.custtable;
    party erp.dirpartytable;
BEGIN
    SELECT * INTO customer FROM erp.custtable WHERE dataareaid = NEW.dataareaid AND accountnum = NEW.custaccount;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Customer % does not exist in company %.', NEW.custaccount, NEW.dataareaid
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF customer.blocked IN (2, 5) THEN
        RAISE EXCEPTION 'Customer % of company % is blocked for new sales orders.', NEW.custaccount, NEW.dataareaid;
    END IF;
    IF NEW.salesstatus <> 1 THEN
        RAISE EXCEPTION 'A new sales order must be open.';
    END IF;
    SELECT * INTO party FROM erp.dirpartytable WHERE recid = customer.party;
    IF coalesce(NEW.salesid, '') = '' THEN
        NEW.salesid := erp.next_number(NEW.dataareaid, 'SALES');
    END IF;
    NEW.invoiceaccount := coalesce(nullif(NEW.invoiceaccount, ''), customer.invoiceaccount, customer.accountnum);
    NEW.salesname := coalesce(nullif(NEW.salesname, ''), party.name);
    NEW.currencycode := coalesce(nullif(NEW.currencycode, ''), customer.currency);
    NEW.paymtermid := coalesce(NEW.paymtermid, customer.paymtermid);
    NEW.deliverypostaladdress := coalesce(NEW.deliverypostaladdress, party.primarypostaladdress);
    NEW.ordertotal := 0;
    NEW.linecount := 0;
    RETURN NEW;
END
$$;

CREATE TRIGGER default_order BEFORE INSERT ON erp.salestable
    FOR EACH ROW EXECUTE FUNCTION erp.default_order();

CREATE FUNCTION erp.check_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.salesstatus = 3 THEN
        RAISE EXCEPTION 'Sales order % is invoiced and cannot be changed.', OLD.salesid;
    END IF;
    IF OLD.salesstatus = 4 AND NEW.salesstatus <> 4 THEN
        RAISE EXCEPTION 'Sales order % is canceled and cannot be opened again.', OLD.salesid;
    END IF;
    IF NEW.custaccount <> OLD.custaccount AND OLD.linecount > 0 THEN
        RAISE EXCEPTION 'The customer of sales order % cannot be changed: it has lines.', OLD.salesid;
    END IF;
    IF NEW.salesstatus = 3 AND EXISTS (SELECT FROM erp.custtable WHERE dataareaid = NEW.dataareaid
                                       AND accountnum = NEW.invoiceaccount AND blocked IN (1, 2)) THEN
        RAISE EXCEPTION 'Customer % of company % is blocked for invoicing.', NEW.invoiceaccount, NEW.dataareaid;
    END IF;
    -- Totals belong to the lines, whose trigger runs one level deeper than anybody's own update.
    IF pg_trigger_depth() < 2 THEN
        NEW.ordertotal := OLD.ordertotal;
        NEW.linecount := OLD.linecount;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER check_order BEFORE UPDATE ON erp.salestable
    FOR EACH ROW EXECUTE FUNCTION erp.check_order();

CREATE FUNCTION erp.check_order_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.salesstatus IN (2, 3) THEN
        RAISE EXCEPTION 'Sales order % is delivered or invoiced and cannot be deleted.', OLD.salesid;
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER check_order_deletion BEFORE DELETE ON erp.salestable
    FOR EACH ROW EXECUTE FUNCTION erp.check_order_deletion();

-- The open orders of a customer may not exceed the credit limit; zero is no limit.
CREATE FUNCTION erp.check_credit_limit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    credit numeric;
    open_orders numeric;
BEGIN
    -- The lock makes two orders of one customer wait for each other, or both would fit on their own.
    SELECT creditmax INTO credit FROM erp.custtable
        WHERE dataareaid = NEW.dataareaid AND accountnum = NEW.custaccount AND creditmax > 0 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(sum(ordertotal), 0) INTO open_orders FROM erp.salestable
        WHERE dataareaid = NEW.dataareaid AND custaccount = NEW.custaccount AND salesstatus = 1;
    IF open_orders > credit THEN
        RAISE EXCEPTION 'Credit limit of customer % of company % exceeded: open orders % of %.',
            NEW.custaccount, NEW.dataareaid, trim_scale(open_orders), trim_scale(credit);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER check_credit_limit AFTER UPDATE ON erp.salestable
    FOR EACH ROW WHEN (NEW.salesstatus = 1 AND (NEW.ordertotal > OLD.ordertotal OR OLD.salesstatus <> 1))
    EXECUTE FUNCTION erp.check_credit_limit();
