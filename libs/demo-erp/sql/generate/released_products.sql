INSERT INTO erp.inventtable (recid, dataareaid, itemid, product, namealias, netweight, stoppedforsales, createddatetime, modifieddatetime)
SELECT 5637144576 + 4 * p + c, erp_gen.company(c), erp_gen.item(p), 5637144576 + p,
       left(erp_gen.product_name(p), 60), erp_gen.pick(p, 201, 1000000) / 7000.0,
       -- Some items that no generated order asks for are stopped.
       CASE WHEN c > 0 AND p % 6 = 5 THEN 1 ELSE 0 END,
       erp_gen.moment(p, 202), erp_gen.moment(p, 202)
FROM generate_series($1::bigint, $2::bigint - 1) p CROSS JOIN generate_series(0, 3) c
WHERE erp_gen.is_released(p, c)
ORDER BY p, c
