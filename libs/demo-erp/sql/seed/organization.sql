-- Four legal entities and the rows that every scale has.

INSERT INTO erp.currency (currencycode, txt, symbol, roundingprecision)
VALUES ('USD', 'US Dollar', '$', 0.01), ('EUR', 'Euro', '€', 0.01), ('GBP', 'Pound Sterling', '£', 0.01),
       ('JPY', 'Japanese Yen', '¥', 1), ('CHF', 'Swiss Franc', 'Fr.', 0.05), ('CAD', 'Canadian Dollar', 'C$', 0.01);

INSERT INTO erp.logisticsaddresscountryregion (countryregionid, isocode, shortname)
VALUES ('USA', 'US', 'United States'), ('DEU', 'DE', 'Germany'), ('GBR', 'GB', 'United Kingdom'),
       ('FRA', 'FR', 'France'), ('JPN', 'JP', 'Japan'), ('CHE', 'CH', 'Switzerland'),
       ('CAN', 'CA', 'Canada'), ('CIV', 'CI', 'Côte d''Ivoire');

INSERT INTO erp.unitofmeasure (symbol, description, decimalprecision)
VALUES ('ea', 'Each', 0), ('pcs', 'Pieces', 0), ('box', 'Box', 0), ('kg', 'Kilogram', 3), ('m', 'Metre', 2), ('h', 'Hour', 2);

INSERT INTO erp.logisticspostaladdress (recid, party, description, street, zipcode, city, state, countryregionid)
VALUES (5637144576, 5637144576, 'Head office', '123 Coffee Street', '98052', 'Redmond', 'WA', 'USA'),
       (5637144577, 5637144577, 'Head office', '17 Market Square', '60601', 'Chicago', 'IL', 'USA'),
       (5637144578, 5637144578, 'Zentrale', 'Bahnhofstraße 5', '80335', 'München', 'BY', 'DEU'),
       (5637144579, 5637144579, 'Head office', '27 King William St', 'EC4N 7BE', 'London', '', 'GBR');

INSERT INTO erp.dirpartytable (recid, partynumber, partytype, name, namealias, languageid, primarypostaladdress)
VALUES (5637144576, 'P-000000000', 'LegalEntity', 'Contoso Entertainment System USA', 'USMF', 'en-us', 5637144576),
       (5637144577, 'P-000000001', 'LegalEntity', 'Contoso Retail USA', 'USRT', 'en-us', 5637144577),
       (5637144578, 'P-000000002', 'LegalEntity', 'Contoso Entertainment System Deutschland', 'DEMF', 'de', 5637144578),
       (5637144579, 'P-000000003', 'LegalEntity', 'Contoso Großbritannien & Ireland Ltd', 'GBSI', 'en-gb', 5637144579);

INSERT INTO erp.companyinfo (dataarea, party, currencycode, coregnum, languageid)
VALUES ('USMF', 5637144576, 'USD', '1234123400', 'en-us'), ('USRT', 5637144577, 'USD', '1234123401', 'en-us'),
       ('DEMF', 5637144578, 'EUR', 'HRB 4711', 'de'), ('GBSI', 5637144579, 'GBP', '02233445', 'en-gb');

INSERT INTO erp.paymterm (dataareaid, paymtermid, description, numofdays, cash)
SELECT c.dataarea, t.id, t.description, t.days, t.cash
FROM erp.companyinfo c
CROSS JOIN (VALUES (1, 'Cash', 'Cash on delivery', 0, 1), (2, 'Net10', 'Net 10 days', 10, 0), (3, 'Net30', 'Net 30 days', 30, 0),
                   (4, 'Net60', 'Net 60 days', 60, 0)) t (n, id, description, days, cash)
ORDER BY c.recid, t.n;

INSERT INTO erp.custgroup (dataareaid, custgroup, name, paymtermid, priceincludesalestax)
SELECT c.dataarea, g.id, g.name, g.terms, g.tax
FROM erp.companyinfo c
CROSS JOIN (VALUES (1, '10', 'Wholesale customers', 'Net30', 0), (2, '20', 'Major customers', 'Net60', 0),
                   (3, '30', 'Retail customers', 'Net10', 1), (4, '40', 'Internet customers', 'Cash', 1),
                   (5, '80', 'Other customers', NULL, 0), (6, '90', 'Intercompany customers', 'Net30', 0)) g (n, id, name, terms, tax)
ORDER BY c.recid, g.n;

INSERT INTO erp.vendgroup (dataareaid, vendgroup, name, paymtermid)
SELECT c.dataarea, g.id, g.name, g.terms
FROM erp.companyinfo c
CROSS JOIN (VALUES (1, '10', 'Parts vendors', 'Net30'), (2, '20', 'Services vendors', 'Net10'),
                   (3, '30', 'Tax authorities', 'Cash'), (4, '40', 'Other vendors', NULL)) g (n, id, name, terms)
ORDER BY c.recid, g.n;

INSERT INTO erp.numbersequencetable (dataareaid, numbersequence, txt, prefix, digits, counter)
SELECT c.dataarea, s.code, s.txt, s.prefix, s.digits, 'erp.' || lower(s.code || '_' || c.dataarea)
FROM erp.companyinfo c
CROSS JOIN (VALUES (1, 'CUST', 'Customer account', 'C-', 6), (2, 'VEND', 'Vendor account', 'W-', 6),
                   (3, 'SALES', 'Sales order', 'SO-', 7), (4, 'LOT', 'Inventory lot', 'LOT-', 9)) s (n, code, txt, prefix, digits)
ORDER BY c.recid, s.n;

UPDATE erp.currency SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.logisticsaddresscountryregion SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.unitofmeasure SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.logisticspostaladdress SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.dirpartytable SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.companyinfo SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.paymterm SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.custgroup SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.vendgroup SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
UPDATE erp.numbersequencetable SET createddatetime = '2020-01-01', modifieddatetime = '2020-01-01';
