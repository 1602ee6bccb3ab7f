INSERT INTO erp_gen.party (slot, country, is_person)
SELECT 17 + 2 * v, erp_gen.country((v % 4)::integer, v), false
FROM generate_series($1::bigint, $2::bigint - 1) v
