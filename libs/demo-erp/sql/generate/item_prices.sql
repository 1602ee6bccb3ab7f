-- One item in eight has no sales price of its own.
INSERT INTO erp.inventtablemodule (recid, dataareaid, itemid, moduletype, unitid, price, pricedate, createddatetime, modifieddatetime)
SELECT 5637144576 + 12 * p + 3 * c + m, erp_gen.company(c), erp_gen.item(p), m,
       (ARRAY['ea', 'ea', 'pcs', 'box', 'm'])[1 + erp_gen.pick(p, 211, 5)],
       round(erp_gen.price(p) * (ARRAY[0.55, 0.6, 1])[m + 1], 6),
       CASE WHEN erp_gen.pick(p, 212, 4) = 0 THEN date '1900-01-01' ELSE date '2024-01-01' + erp_gen.pick(p, 213, 500) END,
       erp_gen.moment(p, 214), erp_gen.moment(p, 214)
FROM generate_series($1::bigint, $2::bigint - 1) p CROSS JOIN generate_series(0, 3) c CROSS JOIN generate_series(0, 2) m
WHERE erp_gen.is_released(p, c) AND (m < 2 OR p % 8 <> 7)
ORDER BY p, c, m
