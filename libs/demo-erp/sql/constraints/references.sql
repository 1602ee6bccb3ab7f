-- What must exist for what. Nothing cascades: a row in use cannot be deleted.

ALTER TABLE erp.companyinfo
    ADD FOREIGN KEY (party) REFERENCES erp.dirpartytable (recid),
    ADD FOREIGN KEY (currencycode) REFERENCES erp.currency (currencycode);

ALTER TABLE erp.paymterm ADD FOREIGN KEY (dataareaid) REFERENCES erp.companyinfo (dataarea);
ALTER TABLE erp.numbersequencetable ADD FOREIGN KEY (dataareaid) REFERENCES erp.companyinfo (dataarea);

ALTER TABLE erp.dirpartytable
    ADD FOREIGN KEY (primarypostaladdress) REFERENCES erp.logisticspostaladdress (recid),
    ADD FOREIGN KEY (primaryemail) REFERENCES erp.logisticselectronicaddress (recid),
    ADD FOREIGN KEY (primaryphone) REFERENCES erp.logisticselectronicaddress (recid);

ALTER TABLE erp.logisticspostaladdress
    ADD FOREIGN KEY (party) REFERENCES erp.dirpartytable (recid),
    ADD FOREIGN KEY (countryregionid) REFERENCES erp.logisticsaddresscountryregion (countryregionid);

ALTER TABLE erp.logisticselectronicaddress ADD FOREIGN KEY (party) REFERENCES erp.dirpartytable (recid);

ALTER TABLE erp.custgroup
    ADD FOREIGN KEY (dataareaid) REFERENCES erp.companyinfo (dataarea),
    ADD FOREIGN KEY (dataareaid, paymtermid) REFERENCES erp.paymterm (dataareaid, paymtermid);

ALTER TABLE erp.vendgroup
    ADD FOREIGN KEY (dataareaid) REFERENCES erp.companyinfo (dataarea),
    ADD FOREIGN KEY (dataareaid, paymtermid) REFERENCES erp.paymterm (dataareaid, paymtermid);

ALTER TABLE erp.custtable
    ADD FOREIGN KEY (dataareaid) REFERENCES erp.companyinfo (dataarea),
    ADD FOREIGN KEY (party) REFERENCES erp.dirpartytable (recid),
    ADD FOREIGN KEY (dataareaid, custgroup) REFERENCES erp.custgroup (dataareaid, custgroup),
    ADD FOREIGN KEY (dataareaid, paymtermid) REFERENCES erp.paymterm (dataareaid, paymtermid),
    ADD FOREIGN KEY (dataareaid, invoiceaccount) REFERENCES erp.custtable (dataareaid, accountnum),
    ADD FOREIGN KEY (currency) REFERENCES erp.currency (currencycode);

ALTER TABLE erp.vendtable
    ADD FOREIGN KEY (dataareaid) REFERENCES erp.companyinfo (dataarea),
    ADD FOREIGN KEY (party) REFERENCES erp.dirpartytable (recid),
    ADD FOREIGN KEY (dataareaid, vendgroup) REFERENCES erp.vendgroup (dataareaid, vendgroup),
    ADD FOREIGN KEY (dataareaid, paymtermid) REFERENCES erp.paymterm (dataareaid, paymtermid),
    ADD FOREIGN KEY (currency) REFERENCES erp.currency (currencycode);

ALTER TABLE erp.ecoresproducttranslation ADD FOREIGN KEY (product) REFERENCES erp.ecoresproduct (recid);

ALTER TABLE erp.inventtable
    ADD FOREIGN KEY (dataareaid) REFERENCES erp.companyinfo (dataarea),
    ADD FOREIGN KEY (product) REFERENCES erp.ecoresproduct (recid);

ALTER TABLE erp.inventtablemodule
    ADD FOREIGN KEY (dataareaid, itemid) REFERENCES erp.inventtable (dataareaid, itemid),
    ADD FOREIGN KEY (unitid) REFERENCES erp.unitofmeasure (symbol);

ALTER TABLE erp.pricedisctable
    ADD FOREIGN KEY (dataareaid, itemrelation) REFERENCES erp.inventtable (dataareaid, itemid),
    ADD FOREIGN KEY (dataareaid, accountrelation) REFERENCES erp.custtable (dataareaid, accountnum),
    ADD FOREIGN KEY (currency) REFERENCES erp.currency (currencycode);

ALTER TABLE erp.salestable
    ADD FOREIGN KEY (dataareaid, custaccount) REFERENCES erp.custtable (dataareaid, accountnum),
    ADD FOREIGN KEY (dataareaid, invoiceaccount) REFERENCES erp.custtable (dataareaid, accountnum),
    ADD FOREIGN KEY (dataareaid, paymtermid) REFERENCES erp.paymterm (dataareaid, paymtermid),
    ADD FOREIGN KEY (currencycode) REFERENCES erp.currency (currencycode),
    ADD FOREIGN KEY (deliverypostaladdress) REFERENCES erp.logisticspostaladdress (recid);

ALTER TABLE erp.salesline
    ADD FOREIGN KEY (dataareaid, salesid) REFERENCES erp.salestable (dataareaid, salesid),
    ADD FOREIGN KEY (dataareaid, itemid) REFERENCES erp.inventtable (dataareaid, itemid),
    ADD FOREIGN KEY (salesunit) REFERENCES erp.unitofmeasure (symbol);
