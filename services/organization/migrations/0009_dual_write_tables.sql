-- What the shipped maps of dual-write keep on the platform's side: reference data, customers, vendors, products,
-- orders. Their packages show them.

CREATE TABLE transactioncurrency (
    transactioncurrencyid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    isocurrencycode text NOT NULL CHECK (isocurrencycode <> ''),
    currencyname text,
    currencysymbol text,
    currencyprecision integer,
    exchangerate numeric(32, 10),
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE uom (
    uomid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text,
    msdyn_symbol text NOT NULL CHECK (msdyn_symbol <> ''),
    msdyn_description text,
    msdyn_decimalprecision integer,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_countryregion (
    msdyn_countryregionid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_countryregioncode text NOT NULL CHECK (msdyn_countryregioncode <> ''),
    msdyn_isocode text,
    msdyn_name text,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_paymentterm (
    msdyn_paymenttermid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_name text NOT NULL CHECK (msdyn_name <> ''),
    msdyn_description text,
    msdyn_numberofdays integer,
    msdyn_iscashpayment boolean NOT NULL DEFAULT false,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_customergroup (
    msdyn_customergroupid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_groupid text NOT NULL CHECK (msdyn_groupid <> ''),
    msdyn_description text,
    msdyn_paymenttermid uuid REFERENCES msdyn_paymentterm,
    msdyn_ispricesincludesalestax boolean NOT NULL DEFAULT false,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_vendorgroup (
    msdyn_vendorgroupid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_vendorgroup text NOT NULL CHECK (msdyn_vendorgroup <> ''),
    msdyn_description text,
    msdyn_paymentterm uuid REFERENCES msdyn_paymentterm,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_vendor (
    msdyn_vendorid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_vendoraccountnumber text,
    msdyn_name text NOT NULL CHECK (msdyn_name <> ''),
    msdyn_vendorsearchname text,
    msdyn_vendorpartytype integer,
    msdyn_vendorgroupid uuid NOT NULL REFERENCES msdyn_vendorgroup,
    msdyn_currencycode uuid REFERENCES transactioncurrency,
    msdyn_paymentterm uuid REFERENCES msdyn_paymentterm,
    msdyn_onholdstatus integer,
    msdyn_creditlimit numeric(32, 6),
    msdyn_taxexemptnumber text,
    msdyn_ispreferred boolean NOT NULL DEFAULT false,
    msdyn_addressstreet text,
    msdyn_addresszipcode text,
    msdyn_addresscity text,
    msdyn_addressstate text,
    msdyn_addresscountryregion text,
    msdyn_email text,
    msdyn_phone text,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_globalproduct (
    msdyn_globalproductid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_productnumber text NOT NULL CHECK (msdyn_productnumber <> ''),
    msdyn_productname text,
    msdyn_productdescription text,
    msdyn_productsearchname text,
    msdyn_producttype integer,
    msdyn_languageid text,
    msdyn_isdiscontinued boolean NOT NULL DEFAULT false,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_sharedproductdetails (
    msdyn_sharedproductdetailsid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_itemnumber text NOT NULL CHECK (msdyn_itemnumber <> ''),
    msdyn_globalproductid uuid REFERENCES msdyn_globalproduct,
    msdyn_productname text,
    msdyn_productsearchname text,
    msdyn_netproductweight numeric(32, 10),
    msdyn_isstoppedforsales boolean NOT NULL DEFAULT false,
    msdyn_salesprice numeric(32, 6),
    msdyn_purchaseprice numeric(32, 6),
    msdyn_salesunitid uuid REFERENCES uom,
    msdyn_purchaseunitid uuid REFERENCES uom,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE salesorder (
    salesorderid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text,
    msdyn_salesordernumber text,
    customerid uuid NOT NULL REFERENCES account,
    msdyn_customerpartytype integer,
    transactioncurrencyid uuid REFERENCES transactioncurrency,
    msdyn_paymentterm uuid REFERENCES msdyn_paymentterm,
    msdyn_salesorderstatus integer,
    msdyn_requestedshippingdate date,
    msdyn_customersorderreference text,
    description text,
    totalamount numeric(32, 6),
    msdyn_numberoflines integer,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE salesorderdetail (
    salesorderdetailid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    salesorderid uuid NOT NULL REFERENCES salesorder ON DELETE CASCADE,
    msdyn_linenumber integer,
    msdyn_productdetailsid uuid REFERENCES msdyn_sharedproductdetails,
    productdescription text,
    quantity numeric(32, 6) NOT NULL,
    uomid uuid REFERENCES uom,
    priceperunit numeric(32, 6),
    manualdiscountamount numeric(32, 6),
    msdyn_discountpercentage numeric(32, 6),
    extendedamount numeric(32, 6),
    requestdeliveryby date,
    msdyn_customerpartytype integer,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE msdyn_salespriceagreement (
    msdyn_salespriceagreementid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    msdyn_itemnumber text NOT NULL CHECK (msdyn_itemnumber <> ''),
    msdyn_customeraccountnumber text NOT NULL CHECK (msdyn_customeraccountnumber <> ''),
    msdyn_fromdate date NOT NULL,
    msdyn_todate date,
    msdyn_fromquantity numeric(32, 6),
    msdyn_price numeric(32, 6) NOT NULL,
    msdyn_currencyid uuid NOT NULL REFERENCES transactioncurrency,
    msdyn_company uuid REFERENCES cdm_company,
    ownerid uuid REFERENCES systemuser,
    owningteam uuid REFERENCES team,
    statecode integer NOT NULL DEFAULT 0 CHECK (statecode IN (0, 1)),
    statuscode integer NOT NULL DEFAULT 1 CHECK (statuscode IN (1, 2)),
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

ALTER TABLE account
    ADD COLUMN customertypecode integer,
    ADD COLUMN msdyn_namealias text,
    ADD COLUMN msdyn_languageid text,
    ADD COLUMN msdyn_customergroupid uuid REFERENCES msdyn_customergroup,
    ADD COLUMN transactioncurrencyid uuid REFERENCES transactioncurrency,
    ADD COLUMN msdyn_paymentterm uuid REFERENCES msdyn_paymentterm,
    ADD COLUMN msdyn_billingaccount uuid REFERENCES account,
    ADD COLUMN msdyn_onholdstatus integer,
    ADD COLUMN msdyn_isonetimecustomer boolean NOT NULL DEFAULT false,
    ADD COLUMN msdyn_creditrating text,
    ADD COLUMN msdyn_taxexemptnumber text,
    ADD COLUMN address1_stateorprovince text,
    ADD COLUMN address1_latitude numeric(8, 5),
    ADD COLUMN address1_longitude numeric(8, 5),
    ADD COLUMN msdyn_company uuid REFERENCES cdm_company,
    ADD COLUMN owningteam uuid REFERENCES team,
    ALTER COLUMN creditlimit TYPE numeric(32, 6);

ALTER TABLE contact
    ADD COLUMN msdyn_contactpersonid text,
    ADD COLUMN msdyn_sellable boolean NOT NULL DEFAULT false,
    ADD COLUMN msdyn_languageid text,
    ADD COLUMN msdyn_customergroupid uuid REFERENCES msdyn_customergroup,
    ADD COLUMN transactioncurrencyid uuid REFERENCES transactioncurrency,
    ADD COLUMN msdyn_paymentterm uuid REFERENCES msdyn_paymentterm,
    ADD COLUMN msdyn_onholdstatus integer,
    ADD COLUMN creditlimit numeric(32, 6),
    ADD COLUMN address1_stateorprovince text,
    ADD COLUMN msdyn_company uuid REFERENCES cdm_company,
    ADD COLUMN owningteam uuid REFERENCES team;

-- Alternate keys, in every letter case, within a company and among rows without one. Lists of a company's rows in
-- the order of the key, and lookups by company and key, are served by the first; lookups by the key alone by
-- the last.
DROP INDEX account_accountnumber;
CREATE UNIQUE INDEX account_company_key ON account (msdyn_company, lower(accountnumber));
CREATE UNIQUE INDEX account_key ON account (lower(accountnumber)) WHERE msdyn_company IS NULL;
CREATE INDEX account_accountnumber ON account (lower(accountnumber));
CREATE UNIQUE INDEX contact_company_key ON contact (msdyn_company, lower(msdyn_contactpersonid));
CREATE UNIQUE INDEX contact_key ON contact (lower(msdyn_contactpersonid)) WHERE msdyn_company IS NULL;
CREATE INDEX contact_msdyn_contactpersonid ON contact (lower(msdyn_contactpersonid));
CREATE UNIQUE INDEX transactioncurrency_key ON transactioncurrency (lower(isocurrencycode));
CREATE UNIQUE INDEX uom_key ON uom (lower(msdyn_symbol));
CREATE UNIQUE INDEX msdyn_countryregion_key ON msdyn_countryregion (lower(msdyn_countryregioncode));
CREATE UNIQUE INDEX msdyn_paymentterm_company_key ON msdyn_paymentterm (msdyn_company, lower(msdyn_name));
CREATE UNIQUE INDEX msdyn_paymentterm_key ON msdyn_paymentterm (lower(msdyn_name)) WHERE msdyn_company IS NULL;
CREATE INDEX msdyn_paymentterm_msdyn_name ON msdyn_paymentterm (lower(msdyn_name));
CREATE UNIQUE INDEX msdyn_customergroup_company_key ON msdyn_customergroup (msdyn_company, lower(msdyn_groupid));
CREATE UNIQUE INDEX msdyn_customergroup_key ON msdyn_customergroup (lower(msdyn_groupid)) WHERE msdyn_company IS NULL;
CREATE INDEX msdyn_customergroup_msdyn_groupid ON msdyn_customergroup (lower(msdyn_groupid));
CREATE UNIQUE INDEX msdyn_vendorgroup_company_key ON msdyn_vendorgroup (msdyn_company, lower(msdyn_vendorgroup));
CREATE UNIQUE INDEX msdyn_vendorgroup_key ON msdyn_vendorgroup (lower(msdyn_vendorgroup)) WHERE msdyn_company IS NULL;
CREATE INDEX msdyn_vendorgroup_msdyn_vendorgroup ON msdyn_vendorgroup (lower(msdyn_vendorgroup));
CREATE UNIQUE INDEX msdyn_vendor_company_key ON msdyn_vendor (msdyn_company, lower(msdyn_vendoraccountnumber));
CREATE UNIQUE INDEX msdyn_vendor_key ON msdyn_vendor (lower(msdyn_vendoraccountnumber)) WHERE msdyn_company IS NULL;
CREATE INDEX msdyn_vendor_msdyn_vendoraccountnumber ON msdyn_vendor (lower(msdyn_vendoraccountnumber));
CREATE UNIQUE INDEX msdyn_globalproduct_key ON msdyn_globalproduct (lower(msdyn_productnumber));
CREATE UNIQUE INDEX msdyn_sharedproductdetails_company_key ON msdyn_sharedproductdetails (msdyn_company, lower(msdyn_itemnumber));
CREATE UNIQUE INDEX msdyn_sharedproductdetails_key ON msdyn_sharedproductdetails (lower(msdyn_itemnumber)) WHERE msdyn_company IS NULL;
CREATE INDEX msdyn_sharedproductdetails_msdyn_itemnumber ON msdyn_sharedproductdetails (lower(msdyn_itemnumber));
CREATE UNIQUE INDEX salesorder_company_key ON salesorder (msdyn_company, lower(msdyn_salesordernumber));
CREATE UNIQUE INDEX salesorder_key ON salesorder (lower(msdyn_salesordernumber)) WHERE msdyn_company IS NULL;
CREATE INDEX salesorder_msdyn_salesordernumber ON salesorder (lower(msdyn_salesordernumber));
CREATE UNIQUE INDEX salesorderdetail_company_key ON salesorderdetail (msdyn_company, salesorderid, msdyn_linenumber);
CREATE UNIQUE INDEX salesorderdetail_key ON salesorderdetail (salesorderid, msdyn_linenumber) WHERE msdyn_company IS NULL;
CREATE INDEX salesorderdetail_salesorderid ON salesorderdetail (salesorderid);
CREATE UNIQUE INDEX msdyn_salespriceagreement_company_key ON msdyn_salespriceagreement (msdyn_company, lower(msdyn_itemnumber), lower(msdyn_customeraccountnumber), msdyn_fromdate);
CREATE UNIQUE INDEX msdyn_salespriceagreement_key ON msdyn_salespriceagreement (lower(msdyn_itemnumber), lower(msdyn_customeraccountnumber), msdyn_fromdate) WHERE msdyn_company IS NULL;
CREATE INDEX msdyn_salespriceagreement_msdyn_itemnumber ON msdyn_salespriceagreement (lower(msdyn_itemnumber));

-- What deletes look for.
CREATE INDEX account_msdyn_customergroupid ON account (msdyn_customergroupid);
CREATE INDEX account_transactioncurrencyid ON account (transactioncurrencyid);
CREATE INDEX account_msdyn_paymentterm ON account (msdyn_paymentterm);
CREATE INDEX account_msdyn_billingaccount ON account (msdyn_billingaccount);
CREATE INDEX contact_msdyn_customergroupid ON contact (msdyn_customergroupid);
CREATE INDEX contact_transactioncurrencyid ON contact (transactioncurrencyid);
CREATE INDEX contact_msdyn_paymentterm ON contact (msdyn_paymentterm);
CREATE INDEX msdyn_customergroup_msdyn_paymenttermid ON msdyn_customergroup (msdyn_paymenttermid);
CREATE INDEX msdyn_vendorgroup_msdyn_paymentterm ON msdyn_vendorgroup (msdyn_paymentterm);
CREATE INDEX msdyn_vendor_msdyn_vendorgroupid ON msdyn_vendor (msdyn_vendorgroupid);
CREATE INDEX msdyn_vendor_msdyn_currencycode ON msdyn_vendor (msdyn_currencycode);
CREATE INDEX msdyn_vendor_msdyn_paymentterm ON msdyn_vendor (msdyn_paymentterm);
CREATE INDEX msdyn_sharedproductdetails_msdyn_globalproductid ON msdyn_sharedproductdetails (msdyn_globalproductid);
CREATE INDEX msdyn_sharedproductdetails_msdyn_salesunitid ON msdyn_sharedproductdetails (msdyn_salesunitid);
CREATE INDEX msdyn_sharedproductdetails_msdyn_purchaseunitid ON msdyn_sharedproductdetails (msdyn_purchaseunitid);
CREATE INDEX salesorder_customerid ON salesorder (customerid);
CREATE INDEX salesorder_transactioncurrencyid ON salesorder (transactioncurrencyid);
CREATE INDEX salesorder_msdyn_paymentterm ON salesorder (msdyn_paymentterm);
CREATE INDEX salesorderdetail_msdyn_productdetailsid ON salesorderdetail (msdyn_productdetailsid);
CREATE INDEX salesorderdetail_uomid ON salesorderdetail (uomid);
CREATE INDEX msdyn_salespriceagreement_msdyn_currencyid ON msdyn_salespriceagreement (msdyn_currencyid);

DROP TRIGGER own_row ON account;
DROP TRIGGER own_row ON contact;
DO $$
DECLARE
    of_companies CONSTANT text[] := ARRAY[
            'account', 'contact', 'msdyn_paymentterm', 'msdyn_customergroup',
            'msdyn_vendorgroup', 'msdyn_vendor', 'msdyn_sharedproductdetails', 'salesorder',
            'salesorderdetail', 'msdyn_salespriceagreement'];
    of_all CONSTANT text[] := ARRAY[
            'msdyn_countryregion', 'msdyn_globalproduct'];
    made_here CONSTANT text[] := ARRAY[
            'transactioncurrency', 'uom', 'msdyn_countryregion', 'msdyn_paymentterm',
            'msdyn_customergroup', 'msdyn_vendorgroup', 'msdyn_vendor', 'msdyn_globalproduct',
            'msdyn_sharedproductdetails', 'salesorder', 'salesorderdetail',
            'msdyn_salespriceagreement'];
    it text;
BEGIN
    FOREACH it IN ARRAY made_here LOOP
        EXECUTE format('CREATE TRIGGER stamp_row BEFORE UPDATE ON organization.%I
                        FOR EACH ROW EXECUTE FUNCTION organization.stamp_row()', it);
        EXECUTE format('CREATE TRIGGER follow_state BEFORE INSERT OR UPDATE OF statecode, statuscode
                        ON organization.%I FOR EACH ROW EXECUTE FUNCTION organization.follow_state()', it);
    END LOOP;
    FOREACH it IN ARRAY of_companies LOOP
        EXECUTE format('CREATE TRIGGER own_row BEFORE INSERT ON organization.%I FOR EACH ROW
                        WHEN (NEW.ownerid IS NULL AND NEW.owningteam IS NULL)
                        EXECUTE FUNCTION organization.own_row_of_company()', it);
        EXECUTE format('CREATE TRIGGER keep_company BEFORE UPDATE OF msdyn_company ON organization.%I FOR EACH ROW
                        WHEN (OLD.msdyn_company IS NOT NULL AND NEW.msdyn_company IS DISTINCT FROM OLD.msdyn_company)
                        EXECUTE FUNCTION organization.keep_company_of_row()', it);
    END LOOP;
    FOREACH it IN ARRAY of_all LOOP
        EXECUTE format('CREATE TRIGGER own_row BEFORE INSERT ON organization.%I FOR EACH ROW
                        WHEN (NEW.ownerid IS NULL AND NEW.owningteam IS NULL)
                        EXECUTE FUNCTION organization.own_row_of_all()', it);
    END LOOP;
    FOREACH it IN ARRAY of_companies || of_all LOOP
        EXECUTE format('CREATE TRIGGER keep_one_owner BEFORE INSERT OR UPDATE OF ownerid, owningteam
                        ON organization.%I FOR EACH ROW EXECUTE FUNCTION organization.keep_one_owner()', it);
    END LOOP;
END
$$;
