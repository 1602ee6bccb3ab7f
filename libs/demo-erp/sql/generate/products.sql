INSERT INTO erp.ecoresproduct (recid, displayproductnumber, searchname, producttype, systemlanguage, discontinued, productkey,
                               createddatetime, modifieddatetime)
SELECT 5637144576 + p, erp_gen.item(p), left(replace(erp_gen.product_name(p), ' ', ''), 60),
       CASE WHEN erp_gen.pick(p, 181, 12) = 0 THEN 2 ELSE 1 END,
       CASE WHEN erp_gen.pick(p, 182, 10) = 0 THEN 'de' ELSE 'en-us' END,
       erp_gen.pick(p, 183, 15) = 0,
       md5('product ' || p)::uuid,
       erp_gen.moment(p, 184), erp_gen.moment(p, 184)
FROM generate_series($1::bigint, $2::bigint - 1) p
