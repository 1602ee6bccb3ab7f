-- 1 phone, 2 e-mail; a party has both, either or none.
INSERT INTO erp.logisticselectronicaddress (recid, party, type, locator, description, createddatetime, modifieddatetime)
SELECT 5637144576 + 2 * slot + type - 1, 5637144576 + slot, type,
       CASE type
           WHEN 1 THEN (ARRAY['+1 425 555 ', '+49 89 5550', '+44 20 7946 ', '+33 1 99 00 ', '+81 3 5555 '])[country + 1]
               || erp_gen.digits(erp_gen.pick(slot, 131, 10000), 4)
           ELSE (ARRAY['info', 'Sales', 'accounts.payable', 'office+erp', 'o''neil', 'KONTAKT'])[1 + erp_gen.pick(slot, 132, 6)]
               || slot || '@' || (ARRAY['contoso.com', 'fabrikam.example', 'Adatum.Example', 'bücher.example'])[1 + erp_gen.pick(slot, 133, 4)]
       END,
       CASE type WHEN 1 THEN 'Phone' ELSE 'E-mail' END,
       erp_gen.moment(slot, 134), erp_gen.moment(slot, 134)
FROM erp_gen.party CROSS JOIN generate_series(1, 2) type
WHERE slot >= $1 AND slot < $2 AND erp_gen.pick(slot, 134 + type, 6) > 0
ORDER BY slot, type
