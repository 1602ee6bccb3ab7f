-- OFFSET 0 keeps each stage's columns computed once instead of wherever they are used.
INSERT INTO erp.salesline (recid, dataareaid, salesid, linenum, inventtransid, itemid, name, salesqty, salesunit, salesprice,
                           linedisc, linepercent, lineamount, shippingdaterequested, createddatetime, modifieddatetime)
SELECT 5637144576 + n, erp_gen.company(c), 'SO-' || erp_gen.digits(j + 1, 7), l, 'LOT-' || erp_gen.digits(n, 9),
       erp_gen.item(p), erp_gen.product_name(p), qty, (ARRAY['ea', 'ea', 'pcs', 'box', 'm'])[1 + erp_gen.pick(p, 211, 5)],
       price, disc, percent,
       round(qty * price * (1 - percent / 100) - disc, 6),
       CASE WHEN erp_gen.pick(n, 231, 6) = 0 THEN date '1900-01-01' ELSE date '2025-01-01' + erp_gen.pick(n, 232, 700) END,
       created, created + make_interval(secs => erp_gen.pick(n, 233, 600))
FROM (SELECT *, erp_gen.price(p) AS price
      FROM (SELECT j, l, n, c, erp_gen.moment(j, 241) AS created,
                   -- USMF sells everything; the others what all companies have.
                   CASE WHEN c = 0 THEN erp_gen.pick(n, 234, 500 + j / 10) ELSE erp_gen.pick(n, 235, 80) * 6 END::bigint AS p,
                   CASE WHEN erp_gen.pick(n, 236, 10) = 0 THEN 1.5 ELSE 1 + erp_gen.pick(n, 237, 20) END::numeric(32, 6) AS qty,
                   CASE WHEN erp_gen.pick(n, 238, 8) = 0 THEN 1.25 ELSE 0 END::numeric(32, 6) AS disc,
                   CASE WHEN erp_gen.pick(n, 239, 5) = 0 THEN 2.5 + erp_gen.pick(n, 240, 10) ELSE 0 END::numeric(32, 6) AS percent
            FROM (SELECT j, l, 8 * j + l AS n, erp_gen.customer_company(customer) AS c
                  FROM (SELECT j, erp_gen.order_customer(j) AS customer
                        FROM generate_series($1::bigint, $2::bigint - 1) j OFFSET 0) orders
                  CROSS JOIN generate_series(1, 5) l
                  WHERE l <= 1 + erp_gen.pick(j, 242, 5) OFFSET 0) lines
            OFFSET 0) amounts
      OFFSET 0) priced
ORDER BY n
