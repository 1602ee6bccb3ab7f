-- Foreign keys that no business key begins with.
CREATE INDEX ON erp.logisticspostaladdress (party);
CREATE INDEX ON erp.logisticspostaladdress (countryregionid);
CREATE INDEX ON erp.logisticselectronicaddress (party);
CREATE INDEX ON erp.dirpartytable (primarypostaladdress);
CREATE INDEX ON erp.dirpartytable (primaryemail);
CREATE INDEX ON erp.dirpartytable (primaryphone);
CREATE INDEX ON erp.custtable (party);
CREATE INDEX ON erp.custtable (dataareaid, custgroup);
CREATE INDEX ON erp.custtable (dataareaid, paymtermid);
CREATE INDEX ON erp.custtable (dataareaid, invoiceaccount);
CREATE INDEX ON erp.vendtable (party);
CREATE INDEX ON erp.vendtable (dataareaid, vendgroup);
CREATE INDEX ON erp.vendtable (dataareaid, paymtermid);
CREATE INDEX ON erp.inventtable (product);
CREATE INDEX ON erp.pricedisctable (dataareaid, accountrelation);
CREATE INDEX ON erp.salestable (dataareaid, custaccount);
CREATE INDEX ON erp.salestable (dataareaid, invoiceaccount);
CREATE INDEX ON erp.salestable (dataareaid, paymtermid);
CREATE INDEX ON erp.salestable (deliverypostaladdress);
CREATE INDEX ON erp.salesline (dataareaid, itemid);

-- Codes of one letter case, across companies.
CREATE INDEX ON erp.custtable (accountnum);
CREATE INDEX ON erp.vendtable (accountnum);
CREATE INDEX ON erp.inventtable (itemid);
CREATE INDEX ON erp.salestable (salesid);
CREATE INDEX ON erp.salesline (salesid, linenum);

-- Text of any letter case is compared and ordered by its lower case.
CREATE INDEX ON erp.dirpartytable (lower(name));
CREATE INDEX ON erp.dirpartytable (lower(namealias));
CREATE INDEX ON erp.logisticspostaladdress (lower(city));
CREATE INDEX ON erp.logisticspostaladdress (lower(zipcode));
CREATE INDEX ON erp.logisticselectronicaddress (lower(locator));
CREATE INDEX ON erp.custtable (lower(vatnum));
CREATE INDEX ON erp.vendtable (lower(vatnum));
CREATE INDEX ON erp.ecoresproduct (lower(searchname));
CREATE INDEX ON erp.ecoresproducttranslation (lower(name));
CREATE INDEX ON erp.inventtable (lower(namealias));
CREATE INDEX ON erp.salestable (lower(salesname));
CREATE INDEX ON erp.salestable (lower(purchorderformnum));
CREATE INDEX ON erp.salesline (lower(name));

-- Lists by amount and by date.
CREATE INDEX ON erp.custtable (creditmax);
CREATE INDEX ON erp.salestable (ordertotal);
CREATE INDEX ON erp.salestable (createddatetime);
CREATE INDEX ON erp.salestable (modifieddatetime);
CREATE INDEX ON erp.custtable (modifieddatetime);
