INSERT INTO erp.logisticspostaladdress (recid, party, description, street, zipcode, city, state, countryregionid,
                                        latitude, longitude, createddatetime, modifieddatetime)
SELECT 5637144576 + slot, 5637144576 + slot,
       (ARRAY['Delivery', 'Business', 'Invoice', ''])[1 + erp_gen.pick(slot, 111, 4)],
       CASE country
           WHEN 1 THEN (ARRAY['Hauptstraße', 'Königsallee', 'Am Mühlbach', 'Goethestr.'])[1 + erp_gen.pick(slot, 112, 4)] || ' ' || number
           WHEN 3 THEN number || (ARRAY[' rue de la Paix', ' avenue Foch', ' quai d''Orsay', ' boulevard Voltaire'])[1 + erp_gen.pick(slot, 112, 4)]
           WHEN 4 THEN (ARRAY['丸の内', '銀座', '梅田', '天神'])[1 + erp_gen.pick(slot, 112, 4)] || number || '番地'
           ELSE number || (ARRAY[' Main Street', ' Oak Avenue', ' Lake Rd.', ' King''s Way'])[1 + erp_gen.pick(slot, 112, 4)]
                || CASE WHEN erp_gen.pick(slot, 113, 5) = 0 THEN E'\nSuite ' || erp_gen.pick(slot, 114, 900) ELSE '' END
       END,
       CASE country
           WHEN 2 THEN (ARRAY['SW', 'EC', 'M', 'B', 'EH', 'CF'])[city] || erp_gen.pick(slot, 115, 20) + 1 || ' ' || erp_gen.pick(slot, 116, 9) + 1 || 'AB'
           WHEN 4 THEN erp_gen.digits(erp_gen.pick(slot, 115, 999) + 1, 3) || '-' || erp_gen.digits(erp_gen.pick(slot, 116, 10000), 4)
           ELSE erp_gen.digits(erp_gen.pick(slot, 115, 99000) + 1000, 5)
       END,
       CASE country
           WHEN 1 THEN (ARRAY['München', 'Köln', 'Berlin', 'Düsseldorf', 'Hamburg', 'Görlitz'])[city]
           WHEN 2 THEN (ARRAY['London', 'london', 'Manchester', 'Birmingham', 'Edinburgh', 'Cardiff'])[city]
           WHEN 3 THEN (ARRAY['Paris', 'Lyon', 'Besançon', 'Orléans', 'Nîmes', 'L''Haÿ-les-Roses'])[city]
           WHEN 4 THEN (ARRAY['東京', '大阪', '札幌', '福岡', '京都', '名古屋'])[city]
           ELSE (ARRAY['Seattle', 'New York', 'Chicago', 'Coeur d''Alene', 'San José', 'Winston-Salem'])[city]
       END,
       CASE country
           WHEN 0 THEN (ARRAY['WA', 'NY', 'IL', 'ID', 'CA', 'NC'])[city]
           WHEN 1 THEN (ARRAY['BY', 'NW', 'BE', 'NW', 'HH', 'SN'])[city]
           ELSE ''
       END,
       (ARRAY['USA', 'DEU', 'GBR', 'FRA', 'JPN'])[country + 1],
       (ARRAY[40, 51, 52, 46, 35])[country + 1] + erp_gen.pick(slot, 117, 1000000) / 1000000.0,
       (ARRAY[-100, 9, -2, 2, 138])[country + 1] + erp_gen.pick(slot, 118, 1000000) / 1000000.0,
       erp_gen.moment(slot, 119), erp_gen.moment(slot, 119)
FROM (SELECT slot, country, 1 + erp_gen.pick(slot, 120, 6) AS city, 1 + erp_gen.pick(slot, 121, 399) AS number
      FROM erp_gen.party WHERE slot >= $1 AND slot < $2) p
-- One party in ten has no address.
WHERE erp_gen.pick(slot, 122, 10) > 0
ORDER BY slot
