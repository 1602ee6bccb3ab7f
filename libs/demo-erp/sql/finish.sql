-- New records go on where the generated ones end.

DO $$
DECLARE
    it regclass;
    first bigint;
BEGIN
    FOR it IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'erp'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('SELECT coalesce(max(recid) + 1, 5637144576) FROM %s', it) INTO first;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN recid RESTART WITH %s', it, first);
    END LOOP;
END
$$;

-- Numbers of parties follow their slots; those of orders and lots continue over all companies.
SELECT setval('erp.partynumber', (SELECT max(recid) - 5637144575 FROM erp.dirpartytable), false);
SELECT setval(counter::regclass, (SELECT count(*) + 1 FROM erp.salestable), false)
    FROM erp.numbersequencetable WHERE numbersequence = 'SALES';
SELECT setval(counter::regclass, (SELECT coalesce(max(recid) - 5637144575, 1) FROM erp.salesline), false)
    FROM erp.numbersequencetable WHERE numbersequence = 'LOT';

DROP SCHEMA erp_gen CASCADE;
