-- Sales order lines: defaults from the item, amounts, totals of the header.

-- The price agreed with the customer, or the item's own.
CREATE FUNCTION erp.sales_price(company text, item text, customer text, quantity numeric) RETURNS numeric STABLE LANGUAGE sql AS $$
    SELECT coalesce(
        (SELECT amount FROM erp.pricedisctable
         WHERE dataareaid = company AND itemrelation = item AND accountrelation = customer AND quantityamountfrom <= quantity
           AND fromdate <= current_date AND (todate = '1900-01-01' OR todate >= current_date)
         ORDER BY fromdate DESC LIMIT 1),
        (SELECT price FROM erp.inventtablemodule WHERE dataareaid = company AND itemid = item AND moduletype = 2),
        0)
$$;

CREATE FUNCTION erp.default_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sales_order erp.salestable;
    item erp.inventtable;
BEGIN
    -- The lock orders the lines of one order, so that no two get the same number.
    SELECT * INTO sales_order FROM erp.salestable
        WHERE dataareaid = NEW.dataareaid AND salesid = NEW.salesid FOR NO KEY UPDATE;
    SELECT * INTO item FROM erp.inventtable WHERE dataareaid = NEW.dataareaid AND itemid = NEW.itemid;
    IF sales_order.recid IS NULL THEN
        RAISE EXCEPTION 'Sales order % does not exist in company %.', NEW.salesid, NEW.dataareaid
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF item.recid IS NULL THEN
        RAISE EXCEPTION 'Item % is not released in company %.', NEW.itemid, NEW.dataareaid
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF item.stoppedforsales = 1 THEN
        RAISE EXCEPTION 'Item % is stopped for sales in company %.', NEW.itemid, NEW.dataareaid;
    END IF;
    IF coalesce(NEW.inventtransid, '') = '' THEN
        NEW.inventtransid := erp.next_number(NEW.dataareaid, 'LOT');
    END IF;
    IF coalesce(NEW.linenum, 0) = 0 THEN
        SELECT coalesce(max(linenum), 0) + 1 INTO NEW.linenum FROM erp.salesline
            WHERE dataareaid = NEW.dataareaid AND salesid = NEW.salesid;
    END IF;
    NEW.salesprice := coalesce(NEW.salesprice, erp.sales_price(NEW.dataareaid, NEW.itemid, sales_order.custaccount, NEW.salesqty));
    NEW.salesunit := coalesce(nullif(NEW.salesunit, ''),
        (SELECT unitid FROM erp.inventtablemodule WHERE dataareaid = NEW.dataareaid AND itemid = NEW.itemid AND moduletype = 2), 'ea');
    NEW.name := coalesce(nullif(NEW.name, ''), nullif(item.namealias, ''), item.itemid);
    RETURN NEW;
END
$$;

CREATE TRIGGER a_default_line BEFORE INSERT ON erp.salesline
    FOR EACH ROW EXECUTE FUNCTION erp.default_line();

CREATE FUNCTION erp.check_line_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    line erp.salesline;
    status integer;
BEGIN
    IF TG_OP = 'DELETE' THEN
        line := OLD;
    ELSE
        line := NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.salesid <> OLD.salesid THEN
        RAISE EXCEPTION 'A line of sales order % cannot be moved to sales order %.', OLD.salesid, NEW.salesid;
    END IF;
    SELECT salesstatus INTO status FROM erp.salestable WHERE dataareaid = line.dataareaid AND salesid = line.salesid;
    IF status = 3 THEN
        RAISE EXCEPTION 'Sales order % is invoiced and its lines cannot be changed.', line.salesid;
    ELSIF status = 4 AND TG_OP <> 'DELETE' THEN
        RAISE EXCEPTION 'Sales order % is canceled and its lines cannot be changed.', line.salesid;
    END IF;
    RETURN line;
END
$$;

CREATE TRIGGER b_check_line_order BEFORE INSERT OR UPDATE OR DELETE ON erp.salesline
    FOR EACH ROW EXECUTE FUNCTION erp.check_line_order();

CREATE FUNCTION erp.calculate_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.lineamount := round(NEW.salesqty * NEW.salesprice * (1 - NEW.linepercent / 100) - NEW.linedisc, 6);
    IF NEW.lineamount < 0 THEN
        RAISE EXCEPTION 'The discount of line % of sales order % is greater than its amount.', NEW.linenum, NEW.salesid;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER c_calculate_line BEFORE INSERT OR UPDATE ON erp.salesline
    FOR EACH ROW EXECUTE FUNCTION erp.calculate_line();

-- Differences, not sums over the lines: right also when two lines change at the same time.
CREATE FUNCTION erp.total_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    difference numeric := 0;
    lines integer := 0;
    line erp.salesline;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        line := OLD;
        difference := difference - OLD.lineamount;
        lines := lines - 1;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        line := NEW;
        difference := difference + NEW.lineamount;
        lines := lines + 1;
    END IF;
    UPDATE erp.salestable SET ordertotal = ordertotal + difference, linecount = linecount + lines
        WHERE dataareaid = line.dataareaid AND salesid = line.salesid AND (difference <> 0 OR lines <> 0);
    RETURN NULL;
END
$$;

CREATE TRIGGER total_order AFTER INSERT OR UPDATE OR DELETE ON erp.salesline
    FOR EACH ROW EXECUTE FUNCTION erp.total_order();
