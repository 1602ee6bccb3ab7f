INSERT INTO erp_gen.party (slot, country, is_person)
SELECT 16 + 2 * i, erp_gen.country(erp_gen.customer_company(i), i), erp_gen.pick(i, 101, 6) = 0
FROM generate_series($1::bigint, $2::bigint - 1) i
WHERE erp_gen.customer_party(i) = 16 + 2 * i
