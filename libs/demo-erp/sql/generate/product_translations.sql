-- Every product has an English name; two in three a German one.
INSERT INTO erp.ecoresproducttranslation (recid, product, languageid, name, description, createddatetime, modifieddatetime)
SELECT 5637144576 + 2 * p + l, 5637144576 + p, (ARRAY['en-us', 'de'])[l + 1],
       CASE l WHEN 0 THEN erp_gen.product_name(p) ELSE erp_gen.product_name(p) || ' (für Österreich & Süddeutschland)' END,
       CASE erp_gen.pick(p, 191, 3) WHEN 0 THEN '' ELSE (ARRAY['Long-lasting and reliable.', 'Langlebig und zuverlässig.'])[l + 1] END,
       erp_gen.moment(p, 192), erp_gen.moment(p, 192)
FROM generate_series($1::bigint, $2::bigint - 1) p CROSS JOIN generate_series(0, 1) l
WHERE l = 0 OR erp_gen.pick(p, 193, 3) > 0
ORDER BY p, l
