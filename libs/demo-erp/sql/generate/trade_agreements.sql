-- One customer in four has a price of their own for one item.
INSERT INTO erp.pricedisctable (recid, dataareaid, itemrelation, accountrelation, fromdate, todate, quantityamountfrom, amount,
                                currency, createddatetime, modifieddatetime)
SELECT 5637144576 + i, erp_gen.company(erp_gen.customer_company(i)), erp_gen.item(p), erp_gen.customer_account(i),
       date '2024-01-01' + erp_gen.pick(i, 221, 365),
       CASE WHEN erp_gen.pick(i, 222, 2) = 0 THEN date '1900-01-01' ELSE date '2026-01-01' + erp_gen.pick(i, 223, 365) END,
       (ARRAY[0, 0, 5, 10])[1 + erp_gen.pick(i, 224, 4)], round(erp_gen.price(p) * 0.9, 6),
       (ARRAY['USD', 'USD', 'EUR', 'GBP'])[erp_gen.customer_company(i) + 1],
       erp_gen.moment(i, 225), erp_gen.moment(i, 225)
FROM (SELECT i, erp_gen.pick(i, 226, 80)::bigint * 6 AS p FROM generate_series($1::bigint, $2::bigint - 1) i) s
WHERE erp_gen.pick(i, 227, 4) = 0
