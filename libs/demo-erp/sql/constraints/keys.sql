-- Business keys. Built after the rows, which is faster than along with them.

ALTER TABLE erp.companyinfo ADD CONSTRAINT companyinfo_key UNIQUE (dataarea);
ALTER TABLE erp.currency ADD CONSTRAINT currency_key UNIQUE (currencycode);
ALTER TABLE erp.logisticsaddresscountryregion ADD CONSTRAINT logisticsaddresscountryregion_key UNIQUE (countryregionid);
ALTER TABLE erp.unitofmeasure ADD CONSTRAINT unitofmeasure_key UNIQUE (symbol);
ALTER TABLE erp.paymterm ADD CONSTRAINT paymterm_key UNIQUE (dataareaid, paymtermid);
ALTER TABLE erp.numbersequencetable ADD CONSTRAINT numbersequencetable_key UNIQUE (dataareaid, numbersequence);
ALTER TABLE erp.dirpartytable ADD CONSTRAINT dirpartytable_key UNIQUE (partynumber);
ALTER TABLE erp.custgroup ADD CONSTRAINT custgroup_key UNIQUE (dataareaid, custgroup);
ALTER TABLE erp.vendgroup ADD CONSTRAINT vendgroup_key UNIQUE (dataareaid, vendgroup);
ALTER TABLE erp.custtable ADD CONSTRAINT custtable_key UNIQUE (dataareaid, accountnum);
ALTER TABLE erp.custtable ADD CONSTRAINT custtable_party_key UNIQUE (dataareaid, party);
ALTER TABLE erp.custtable ADD CONSTRAINT custtable_externalid_key UNIQUE (externalid);
ALTER TABLE erp.vendtable ADD CONSTRAINT vendtable_key UNIQUE (dataareaid, accountnum);
ALTER TABLE erp.vendtable ADD CONSTRAINT vendtable_party_key UNIQUE (dataareaid, party);
ALTER TABLE erp.ecoresproduct ADD CONSTRAINT ecoresproduct_key UNIQUE (displayproductnumber);
ALTER TABLE erp.ecoresproduct ADD CONSTRAINT ecoresproduct_productkey_key UNIQUE (productkey);
ALTER TABLE erp.ecoresproducttranslation ADD CONSTRAINT ecoresproducttranslation_key UNIQUE (product, languageid);
ALTER TABLE erp.inventtable ADD CONSTRAINT inventtable_key UNIQUE (dataareaid, itemid);
ALTER TABLE erp.inventtable ADD CONSTRAINT inventtable_product_key UNIQUE (dataareaid, product);
ALTER TABLE erp.inventtablemodule ADD CONSTRAINT inventtablemodule_key UNIQUE (dataareaid, itemid, moduletype);
ALTER TABLE erp.pricedisctable ADD CONSTRAINT pricedisctable_key UNIQUE (dataareaid, itemrelation, accountrelation, fromdate);
ALTER TABLE erp.salestable ADD CONSTRAINT salestable_key UNIQUE (dataareaid, salesid);
ALTER TABLE erp.salesline ADD CONSTRAINT salesline_key UNIQUE (dataareaid, salesid, linenum);
ALTER TABLE erp.salesline ADD CONSTRAINT salesline_inventtransid_key UNIQUE (dataareaid, inventtransid);
