INSERT INTO erp.salestable (recid, dataareaid, salesid, custaccount, invoiceaccount, salesname, currencycode, paymtermid, salesstatus,
                            deliverypostaladdress, shippingdaterequested, purchorderformnum, notes, ordertotal, linecount,
                            createddatetime, modifieddatetime)
SELECT 5637144576 + o.j, c.dataareaid, 'SO-' || erp_gen.digits(o.j + 1, 7), c.accountnum, coalesce(c.invoiceaccount, c.accountnum),
       p.name, c.currency, c.paymtermid, erp_gen.order_status(o.j), p.primarypostaladdress,
       CASE WHEN erp_gen.pick(o.j, 251, 6) = 0 THEN date '1900-01-01' ELSE date '2025-01-01' + erp_gen.pick(o.j, 252, 700) END,
       CASE WHEN erp_gen.pick(o.j, 253, 3) = 0 THEN '' ELSE 'PO ' || erp_gen.hash(o.j, 254) END,
       CASE WHEN erp_gen.pick(o.j, 255, 9) = 0 THEN E'Deliver to the back door.\nBitte klingeln!' ELSE '' END,
       l.total, l.lines,
       erp_gen.moment(o.j, 241), erp_gen.moment(o.j, 241) + make_interval(secs => erp_gen.pick(o.j, 256, 8000000))
FROM (SELECT j, 5637144576 + erp_gen.order_customer(j) AS customer
      FROM generate_series($1::bigint, $2::bigint - 1) j OFFSET 0) o
JOIN erp.custtable c ON c.recid = o.customer
JOIN erp.dirpartytable p ON p.recid = c.party
JOIN (SELECT (recid - 5637144576) / 8 AS j, sum(lineamount) AS total, count(*) AS lines
      FROM erp.salesline WHERE recid >= 5637144576 + 8 * $1::bigint AND recid < 5637144576 + 8 * $2::bigint GROUP BY 1) l ON l.j = o.j
ORDER BY o.j
