INSERT INTO erp.custtable (recid, dataareaid, accountnum, party, custgroup, currency, paymtermid, invoiceaccount, blocked,
                           creditmax, creditrating, creditreviewdate, creditreviewdays, onetimecustomer, vatnum, memo,
                           externalid, createddatetime, modifieddatetime)
SELECT 5637144576 + i, erp_gen.company(c), erp_gen.customer_account(i), 5637144576 + erp_gen.customer_party(i),
       (ARRAY['10', '10', '20', '30', '30', '40', '80', '90'])[1 + erp_gen.pick(i, 151, 8)],
       CASE WHEN erp_gen.pick(i, 152, 25) = 0 THEN (ARRAY['EUR', 'USD', 'JPY', 'CHF'])[1 + erp_gen.pick(i, 153, 4)]
            ELSE (ARRAY['USD', 'USD', 'EUR', 'GBP'])[c + 1] END,
       (ARRAY['Net30', 'Net10', 'Net60', 'Cash', NULL])[1 + erp_gen.pick(i, 154, 5)],
       -- Between organizations, neither of which is a person.
       CASE WHEN i % 5 = 1 AND erp_gen.pick(i, 155, 10) = 0 AND erp_gen.pick(i, 101, 6) > 0 AND erp_gen.pick(i - 1, 101, 6) > 0
            THEN erp_gen.customer_account(i - 1) END,
       erp_gen.customer_blocked(i),
       -- Zero is no limit; the others are beyond what generated orders of one customer can add up to.
       (ARRAY[0, 0, 0, 0, 0, 750000, 1000000, 1500000.5, 2500000.000001])[1 + erp_gen.pick(i, 156, 9)],
       (ARRAY['', 'Good', 'good', 'Excellent', 'Poor', 'Très bon'])[1 + erp_gen.pick(i, 157, 6)],
       CASE WHEN erp_gen.pick(i, 158, 3) = 0 THEN date '1900-01-01' ELSE date '2024-01-01' + erp_gen.pick(i, 159, 900) END,
       (ARRAY[0, 30, 90, 365])[1 + erp_gen.pick(i, 160, 4)],
       CASE WHEN erp_gen.pick(i, 161, 30) = 0 THEN 1 ELSE 0 END,
       CASE WHEN erp_gen.pick(i, 162, 2) = 0 THEN (ARRAY['US', 'US', 'DE', 'GB'])[c + 1] || erp_gen.digits(erp_gen.hash(i, 163), 10) ELSE '' END,
       CASE erp_gen.pick(i, 164, 8)
           WHEN 0 THEN E'Calls every Monday.\nPrefers e-mail.' WHEN 1 THEN 'Zahlt pünktlich – 2 % Skonto vereinbart.'
           WHEN 2 THEN '<b>not</b> bold & "quoted"' ELSE '' END,
       md5('customer ' || i)::uuid,
       erp_gen.moment(i, 165), erp_gen.moment(i, 165) + make_interval(secs => erp_gen.pick(i, 166, 8000000))
FROM (SELECT i, erp_gen.customer_company(i) AS c FROM generate_series($1::bigint, $2::bigint - 1) i) s
