INSERT INTO erp.vendtable (recid, dataareaid, accountnum, party, vendgroup, currency, paymtermid, blocked, creditmax, vatnum,
                           preferred, createddatetime, modifieddatetime)
SELECT 5637144576 + v, erp_gen.company((v % 4)::integer), 'V-' || erp_gen.digits(v / 4 + 1, 6), 5637144576 + 17 + 2 * v,
       (ARRAY['10', '20', '30', '40'])[1 + erp_gen.pick(v, 171, 4)],
       (ARRAY['USD', 'USD', 'EUR', 'GBP'])[v % 4 + 1],
       (ARRAY['Net30', 'Net10', 'Net60', NULL])[1 + erp_gen.pick(v, 172, 4)],
       (ARRAY[0, 0, 0, 0, 0, 0, 0, 0, 2, 3])[1 + erp_gen.pick(v, 173, 10)],
       erp_gen.pick(v, 174, 4) * 25000,
       CASE WHEN erp_gen.pick(v, 175, 2) = 0 THEN (ARRAY['US', 'US', 'DE', 'GB'])[v % 4 + 1] || erp_gen.digits(erp_gen.hash(v, 176), 10) ELSE '' END,
       erp_gen.pick(v, 177, 5) = 0,
       erp_gen.moment(v, 178), erp_gen.moment(v, 178) + make_interval(secs => erp_gen.pick(v, 179, 8000000))
FROM generate_series($1::bigint, $2::bigint - 1) v
