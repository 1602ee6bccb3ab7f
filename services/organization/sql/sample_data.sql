-- Rows to try things with. Their ids are functions of their numbers, so that they are made once.
-- The account numbers are those of the demo ERP's first customers of USMF; every fifth is written in
-- lower case, as a person would.
WITH given AS (
    SELECT i, md5('sample account ' || i)::uuid AS id,
           -- The first ten lead groups; the others belong to one, or to one of its members.
           CASE WHEN i <= 10 THEN NULL WHEN i <= 60 THEN (i - 1) % 10 + 1 WHEN i <= 100 THEN i - 50 END
               AS parent
    FROM generate_series(1, 120) i
)
INSERT INTO account (accountid, name, accountnumber, accountcategorycode, industrycode, emailaddress1,
                     telephone1, websiteurl, description, revenue, creditlimit, creditonhold,
                     numberofemployees, address1_line1, address1_city, address1_postalcode,
                     address1_country, parentaccountid, ownerid, statecode, statuscode, createdon,
                     modifiedon)
SELECT id,
       (ARRAY['Contoso', 'contoso', 'Fabrikam', 'Adventure Works', 'Litware', 'Müller', 'Łódź Meble',
              '東京商事', 'Café Olé', 'O''Brien'])[1 + i % 10]
           || ' ' || (ARRAY['Retail', 'Wholesale', 'Europe', 'GmbH', 'Inc.', '100%'])[1 + i % 6],
       CASE WHEN i % 5 = 0 THEN lower('US-' || lpad(i::text, 6, '0'))
            ELSE 'US-' || lpad(i::text, 6, '0') END,
       (ARRAY[1, 2, NULL])[1 + i % 3],
       (ARRAY[1, 2, 3, 4, 5, 6, 7, 8, NULL])[1 + i % 9],
       CASE WHEN i % 4 <> 0 THEN 'info' || i || '@' || (ARRAY['contoso.example', 'Fabrikam.example'])[1 + i % 2] END,
       CASE WHEN i % 6 <> 0 THEN '+1 425 555 ' || lpad(i::text, 4, '0') END,
       CASE WHEN i % 3 = 0 THEN 'https://sample' || i || '.example' END,
       CASE i % 7 WHEN 0 THEN E'Two\nlines & "quotes"' WHEN 1 THEN '' END,
       CASE WHEN i % 8 <> 0 THEN (i * 12345.6789)::numeric(23, 4) END,
       CASE WHEN i % 3 <> 0 THEN (i % 20 * 5000)::numeric(23, 4) END,
       i % 11 = 0,
       CASE WHEN i % 5 <> 0 THEN i * 7 % 1000 END,
       i || ' Main Street',
       (ARRAY['Seattle', 'seattle', 'Berlin', 'London', 'Zürich', NULL])[1 + i % 6],
       lpad((98000 + i)::text, 5, '0'),
       (ARRAY['USA', 'USA', 'Germany', 'UK', 'Switzerland', NULL])[1 + i % 6],
       md5('sample account ' || parent)::uuid,
       (SELECT systemuserid FROM systemuser ORDER BY domainname OFFSET i % greatest((SELECT count(*) FROM systemuser), 1) LIMIT 1),
       CASE WHEN i % 13 = 0 THEN 1 ELSE 0 END,
       CASE WHEN i % 13 = 0 THEN 2 ELSE 1 END,
       timestamp '2024-01-01 08:30' + make_interval(days => i * 8, mins => i * 13),
       timestamp '2026-01-01 23:45' + make_interval(days => i, mins => i * 7)
FROM given
ON CONFLICT DO NOTHING;

INSERT INTO contact (contactid, firstname, lastname, jobtitle, emailaddress1, telephone1, birthdate,
                     donotemail, familystatuscode, address1_city, address1_country, parentcustomerid,
                     ownerid, createdon, modifiedon)
SELECT md5('sample contact ' || i)::uuid,
       (ARRAY['Nancy', 'nancy', 'Zoë', 'Ægir', 'Maria', NULL, '健'])[1 + i % 7],
       (ARRAY['Anderson', 'anderson', 'Núñez', 'Sørensen', 'Smith'])[1 + i % 5] || ' ' || i,
       (ARRAY['Buyer', 'CEO', NULL])[1 + i % 3],
       CASE WHEN i % 3 <> 0 THEN 'contact' || i || '@sample.example' END,
       CASE WHEN i % 4 <> 0 THEN '+1 425 556 ' || lpad(i::text, 4, '0') END,
       CASE WHEN i % 6 <> 0 THEN date '1960-02-29' + i * 97 END,
       i % 9 = 0,
       (ARRAY[1, 2, 3, 4, NULL])[1 + i % 5],
       (ARRAY['Seattle', 'Berlin', NULL])[1 + i % 3],
       (ARRAY['USA', 'Germany', NULL])[1 + i % 3],
       -- Some accounts have several, some none, and some contacts belong to nobody.
       CASE WHEN i % 10 <> 0 THEN md5('sample account ' || (i * 7 % 90 + 1))::uuid END,
       (SELECT systemuserid FROM systemuser ORDER BY domainname LIMIT 1),
       timestamp '2024-06-01 10:00' + make_interval(days => i * 4),
       timestamp '2026-02-01 10:00' + make_interval(days => i)
FROM generate_series(1, 150) i
ON CONFLICT DO NOTHING;

-- The moment is a function of the row's, so that it is the same every time.
UPDATE account SET primarycontactid = first.contactid, modifiedon = modifiedon + interval '1 minute'
FROM (
    SELECT DISTINCT ON (parentcustomerid) parentcustomerid, contactid
    FROM contact ORDER BY parentcustomerid, contactid
) first
WHERE first.parentcustomerid = accountid AND primarycontactid IS NULL AND accountid IN (
    SELECT md5('sample account ' || i)::uuid FROM generate_series(1, 120) i
);

INSERT INTO savedquery (savedqueryid, name, returnedtypecode, fetchxml)
VALUES
    (md5('sample view 1')::uuid, 'Active Accounts', 'account',
     '<fetch><entity name="account"><attribute name="name"/><attribute name="accountnumber"/><order attribute="name"/><filter><condition attribute="statecode" operator="eq" value="0"/></filter></entity></fetch>'),
    (md5('sample view 2')::uuid, 'Active Contacts', 'contact',
     '<fetch><entity name="contact"><attribute name="fullname"/><attribute name="emailaddress1"/><order attribute="fullname"/><filter><condition attribute="statecode" operator="eq" value="0"/></filter></entity></fetch>')
ON CONFLICT DO NOTHING;

INSERT INTO userquery (userqueryid, name, returnedtypecode, fetchxml, ownerid)
SELECT md5('sample user view ' || systemuserid)::uuid, 'My Accounts', 'account',
       '<fetch><entity name="account"><attribute name="name"/><filter><condition attribute="ownerid" operator="eq-userid"/></filter></entity></fetch>',
       systemuserid
FROM systemuser
ON CONFLICT DO NOTHING;

-- The contact is the buyer of US-000002, one of the demo ERP's accounts of its user `portal`.
INSERT INTO msdyn_externalportalusermapping (msdyn_externalportalusermappingid, msdyn_name, msdyn_contactid,
                                             msdyn_financeandoperationsuser)
SELECT md5('sample portal user 1')::uuid, contact.fullname, contactid, 'portal'
FROM contact
WHERE contactid = md5('sample contact 13')::uuid AND EXISTS (SELECT FROM systemuser WHERE domainname = 'usmf-portal')
ON CONFLICT DO NOTHING;
