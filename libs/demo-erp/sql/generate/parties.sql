INSERT INTO erp.dirpartytable (recid, partynumber, partytype, name, namealias, languageid,
                               primarypostaladdress, primaryphone, primaryemail, createddatetime, modifieddatetime)
SELECT 5637144576 + slot, 'P-' || erp_gen.digits(slot, 9),
       CASE WHEN is_person THEN 'Person' ELSE 'Organization' END,
       erp_gen.awkward(plain_name, slot), left(plain_name, 20),
       (ARRAY['en-us', 'de', 'en-gb', 'fr', 'ja'])[country + 1],
       CASE WHEN erp_gen.pick(slot, 122, 10) > 0 THEN 5637144576 + slot END,
       CASE WHEN erp_gen.pick(slot, 135, 6) > 0 THEN 5637144576 + 2 * slot END,
       CASE WHEN erp_gen.pick(slot, 136, 6) > 0 THEN 5637144576 + 2 * slot + 1 END,
       erp_gen.moment(slot, 141),
       erp_gen.moment(slot, 141) + make_interval(secs => erp_gen.pick(slot, 142, 8000000))
FROM (SELECT slot, country, is_person,
             CASE WHEN is_person THEN erp_gen.person_name(slot, country) ELSE erp_gen.organization_name(slot, country) END AS plain_name
      FROM erp_gen.party WHERE slot >= $1 AND slot < $2) p
ORDER BY slot
