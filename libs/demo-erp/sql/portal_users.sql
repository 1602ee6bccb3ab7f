-- Whose customer accounts are whose, of users outside the company: its web portal lets them follow their own
-- orders. Runs again over a demo ERP of an earlier version, which has no such table.

CREATE TABLE IF NOT EXISTS erp.custportaluser (
    userid text NOT NULL,
    dataareaid varchar(4) NOT NULL,
    accountnum varchar(20) NOT NULL,
    PRIMARY KEY (userid, dataareaid, accountnum),
    FOREIGN KEY (dataareaid, accountnum) REFERENCES erp.custtable (dataareaid, accountnum) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS custportaluser_account ON erp.custportaluser (dataareaid, accountnum);

INSERT INTO erp.custportaluser (userid, dataareaid, accountnum)
SELECT 'portal', dataareaid, accountnum FROM erp.custtable
WHERE dataareaid = 'USMF' AND accountnum IN ('US-000001', 'US-000002')
ON CONFLICT DO NOTHING;
