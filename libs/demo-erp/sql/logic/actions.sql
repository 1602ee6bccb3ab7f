-- What users do besides writing rows. The first argument of an action of a row is its record id.

-- Whoever acts: the user that the caller speaks for, or the one who is signed in.
CREATE FUNCTION erp.acting_user() RETURNS text STABLE LANGUAGE sql AS $$
    SELECT coalesce(nullif(current_setting('tombolo.user', true), ''), session_user)
$$;

-- A line of a log that is kept in a memo, the newest first.
CREATE FUNCTION erp.logged(happened text, memo text) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT concat_ws(E'\n',
        to_char(now() AT TIME ZONE 'utc', 'YYYY-MM-DD HH24:MI') || ' ' || erp.acting_user() || ': ' || happened,
        nullif(memo, ''))
$$;

CREATE FUNCTION erp.hold_customer(customer bigint, reason text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    held erp.custtable;
BEGIN
    SELECT * INTO STRICT held FROM erp.custtable WHERE recid = customer FOR NO KEY UPDATE;
    IF held.blocked = 2 THEN
        RAISE EXCEPTION 'Customer % of company % is on hold already.', held.accountnum, held.dataareaid;
    END IF;
    IF btrim(reason) = '' THEN
        RAISE EXCEPTION 'Say why customer % of company % is put on hold.', held.accountnum, held.dataareaid;
    END IF;
    UPDATE erp.custtable SET blocked = 2, memo = erp.logged('put on hold: ' || reason, held.memo)
        WHERE recid = customer;
END
$$;

-- Whether there was anything to release.
CREATE FUNCTION erp.release_customer(customer bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE erp.custtable SET blocked = 0, memo = erp.logged('released', memo)
        WHERE recid = customer AND blocked <> 0;
    RETURN FOUND;
END
$$;

-- The moment of the confirmation. Without a day the order ships when it was asked for.
CREATE FUNCTION erp.confirm_sales_order(sales_order bigint, shipping_date date) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    confirmed erp.salestable;
BEGIN
    SELECT * INTO STRICT confirmed FROM erp.salestable WHERE recid = sales_order FOR NO KEY UPDATE;
    IF confirmed.salesstatus <> 1 THEN
        RAISE EXCEPTION 'Sales order % is not open and cannot be confirmed.', confirmed.salesid;
    END IF;
    IF confirmed.linecount = 0 THEN
        RAISE EXCEPTION 'Sales order % has no lines and cannot be confirmed.', confirmed.salesid;
    END IF;
    UPDATE erp.salesline SET shippingdaterequested = shipping_date
        WHERE dataareaid = confirmed.dataareaid AND salesid = confirmed.salesid AND shipping_date IS NOT NULL;
    UPDATE erp.salestable
        SET shippingdaterequested = coalesce(shipping_date, confirmed.shippingdaterequested),
            notes = erp.logged('confirmed', confirmed.notes)
        WHERE recid = sales_order;
    RETURN date_trunc('milliseconds', now());
END
$$;

-- The amount that will not be invoiced.
CREATE FUNCTION erp.cancel_sales_order(sales_order bigint, reason text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    canceled erp.salestable;
BEGIN
    SELECT * INTO STRICT canceled FROM erp.salestable WHERE recid = sales_order FOR NO KEY UPDATE;
    IF canceled.salesstatus <> 1 THEN
        RAISE EXCEPTION 'Sales order % is not open and cannot be canceled.', canceled.salesid;
    END IF;
    UPDATE erp.salestable
        SET salesstatus = 4,
            notes = erp.logged(concat_ws(': ', 'canceled', nullif(btrim(reason), '')), canceled.notes)
        WHERE recid = sales_order;
    RETURN canceled.ordertotal;
END
$$;

-- Whether the acting user may see rows of a company: those that the caller names for it, `*` for all of them.
-- Whoever speaks for nobody is the ERP itself.
CREATE FUNCTION erp.may_see(company text) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT coalesce(current_setting('tombolo.user', true), '') = ''
        OR upper(company) = ANY (string_to_array(upper(current_setting('tombolo.companies', true)), ','))
        OR current_setting('tombolo.companies', true) = '*'
$$;

-- Amount of the open orders of a group's customers, of the companies that the acting user may see.
CREATE FUNCTION erp.open_orders_of_group(customer_group text, company text) RETURNS numeric STABLE LANGUAGE sql AS $$
    SELECT coalesce(sum(o.ordertotal), 0)
    FROM erp.salestable o JOIN erp.custtable c ON c.dataareaid = o.dataareaid AND c.accountnum = o.custaccount
    WHERE o.salesstatus = 1 AND c.custgroup = upper(customer_group) AND o.dataareaid = coalesce(upper(company), o.dataareaid)
      AND o.dataareaid IN (SELECT dataarea FROM erp.companyinfo WHERE erp.may_see(dataarea))
$$;

CREATE FUNCTION erp.current_moment() RETURNS timestamptz VOLATILE LANGUAGE sql AS $$
    SELECT date_trunc('milliseconds', clock_timestamp())
$$;
