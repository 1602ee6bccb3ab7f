-- Helpers of the generators, in a schema of their own that is dropped when all rows are there.
-- Rows are functions of their index only, so a larger database begins with the rows of a smaller one.
-- No random(), no now(), no built-in hash: the same rows on every PostgreSQL.

CREATE SCHEMA erp_gen;

-- A number from 0 to 2147483646 that looks random.
CREATE FUNCTION erp_gen.hash(i bigint, salt integer) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$
    SELECT (((i * 7919 + salt * 104729 + 12345) % 2147483647)
          * ((i * 7919 + salt * 104729 + 12345) % 2147483647 + 48271)) % 2147483647
$$;

-- A number from 0 to n - 1.
CREATE FUNCTION erp_gen.pick(i bigint, salt integer, n bigint) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT ((erp_gen.hash(i, salt) / 7) % n)::integer
$$;

-- At least `width` digits.
CREATE FUNCTION erp_gen.digits(n bigint, width integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT lpad(n::text, greatest(width, length(n::text)), '0')
$$;

CREATE FUNCTION erp_gen.moment(i bigint, salt integer) RETURNS timestamp IMMUTABLE LANGUAGE sql AS $$
    SELECT timestamp '2020-01-01' + make_interval(secs => erp_gen.pick(i, salt, 157680000))
$$;

CREATE FUNCTION erp_gen.company(c integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT (ARRAY['USMF', 'USRT', 'DEMF', 'GBSI'])[c + 1]
$$;

-- Customers come in blocks of five: two of USMF, then one each of USRT, DEMF and GBSI.
CREATE FUNCTION erp_gen.customer_company(i bigint) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT greatest(i % 5 - 1, 0)::integer
$$;

-- USRT uses the numbers of USMF; so do some customers of DEMF and GBSI.
CREATE FUNCTION erp_gen.customer_account(i bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE
        WHEN i % 5 = 1 THEN 'US-' || erp_gen.digits(i / 5 * 2 + 2, 6)
        WHEN i % 5 = 3 AND i / 5 % 3 <> 0 THEN 'DE-' || erp_gen.digits(i / 5 + 1, 6)
        WHEN i % 5 = 4 AND i / 5 % 3 <> 1 THEN 'GB-' || erp_gen.digits(i / 5 + 1, 6)
        ELSE 'US-' || erp_gen.digits(i / 5 * 2 + 1, 6)
    END
$$;

-- Only customers of odd index are blocked, so that an order always finds one who is not.
CREATE FUNCTION erp_gen.customer_blocked(i bigint) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE
        WHEN i % 2 = 0 OR erp_gen.pick(i, 11, 100) >= 8 THEN 0
        ELSE (ARRAY[1, 2, 2, 3, 5])[1 + erp_gen.pick(i, 12, 5)]
    END
$$;

-- Parties 0 to 15 are the legal entities'; then customers and vendors take turns. Some customers of
-- USRT are the same party as a customer of USMF.
CREATE FUNCTION erp_gen.customer_party(i bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$
    SELECT 16 + 2 * (i - CASE WHEN i % 5 = 2 AND i / 5 % 4 = 0 THEN 2 ELSE 0 END)
$$;

-- 0 USA, 1 Germany, 2 Great Britain, 3 France, 4 Japan.
CREATE FUNCTION erp_gen.country(company integer, i bigint) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE
        WHEN erp_gen.pick(i, 21, 20) = 0 THEN erp_gen.pick(i, 22, 5)
        WHEN company = 2 THEN (ARRAY[1, 1, 1, 3])[1 + erp_gen.pick(i, 23, 4)]
        WHEN company = 3 THEN (ARRAY[2, 2, 3, 4])[1 + erp_gen.pick(i, 23, 4)]
        ELSE 0
    END
$$;

CREATE FUNCTION erp_gen.order_customer(j bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN erp_gen.customer_blocked(c.i) = 0 THEN c.i ELSE c.i - 1 END
    -- Ten orders go to twenty customers, the first of them getting most.
    FROM (SELECT j / 10 * 20 + least(erp_gen.pick(j, 31, j % 10 * 2 + 2),
                                     erp_gen.pick(j, 32, j % 10 * 2 + 2)) AS i OFFSET 0) c
$$;

-- 1 open, 2 delivered, 3 invoiced, 4 canceled.
CREATE FUNCTION erp_gen.order_status(j bigint) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT (ARRAY[1, 1, 1, 1, 1, 1, 2, 2, 3, 4])[1 + erp_gen.pick(j, 33, 10)]
$$;

CREATE FUNCTION erp_gen.item(p bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT (ARRAY['D', 'L', 'M', 'P', 'S', 'T'])[1 + erp_gen.pick(p, 41, 6)] || erp_gen.digits(p + 1, 5)
$$;

CREATE FUNCTION erp_gen.price(p bigint) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$
    SELECT ((500 + erp_gen.pick(p, 42, 49500)) / 100.0)::numeric(32, 6)
         + CASE WHEN p % 9 = 0 THEN 0.000125 ELSE 0 END
$$;

-- USMF has every product, each company every sixth, so that orders find one.
CREATE FUNCTION erp_gen.is_released(p bigint, c integer) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT c = 0 OR p % 6 = 0 OR erp_gen.pick(p, 43 + c, 3) > 0
$$;

CREATE FUNCTION erp_gen.product_name(p bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT (ARRAY['Mid-Range', 'High End', 'Compact', 'Wireless', 'Portable', 'Standing', 'Digital', 'eco'])[1 + erp_gen.pick(p, 51, 8)]
        || ' ' || (ARRAY['Speaker', 'Projector', 'Amplifier', 'Cable 5 m', 'Television', 'Headphones', 'Receiver', 'Lamp', 'Cabinet', 'Power Supply'])[1 + erp_gen.pick(p, 52, 10)]
        || CASE erp_gen.pick(p, 53, 12)
               WHEN 0 THEN ' "Pro"' WHEN 1 THEN ' 100%' WHEN 2 THEN ' [B_2]' WHEN 3 THEN ' 3/4''' ELSE '' END
$$;

CREATE FUNCTION erp_gen.person_name(i bigint, country integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE country
        WHEN 1 THEN (ARRAY['Jürgen', 'Käthe', 'Anna', 'Björn', 'Heike', 'Lukas'])[1 + erp_gen.pick(i, 61, 6)]
            || ' ' || (ARRAY['Müller', 'Groß', 'Schäfer', 'von der Heide', 'Weiß', 'Özdemir'])[1 + erp_gen.pick(i, 62, 6)]
        WHEN 3 THEN (ARRAY['Éloïse', 'François', 'Zoé', 'Jean-Luc', 'Anaïs', 'Noël'])[1 + erp_gen.pick(i, 61, 6)]
            || ' ' || (ARRAY['Lefèvre', 'd''Aubigné', 'Garçon', 'Dubois', 'Noël', 'Saint-Étienne'])[1 + erp_gen.pick(i, 62, 6)]
        WHEN 4 THEN (ARRAY['田中', '佐藤', '鈴木', '高橋', '渡辺', '山本'])[1 + erp_gen.pick(i, 61, 6)]
            || ' ' || (ARRAY['太郎', '花子', '健', 'さくら', 'ミキ', '翔'])[1 + erp_gen.pick(i, 62, 6)]
        ELSE (ARRAY['Karen', 'Phyllis', 'Sean', 'Siobhán', 'Lee', 'Inga'])[1 + erp_gen.pick(i, 61, 6)]
            || ' ' || (ARRAY['Berg', 'O''Brien', 'McDonald', 'de Souza', 'Harris', 'Ahmad'])[1 + erp_gen.pick(i, 62, 6)]
    END
$$;

CREATE FUNCTION erp_gen.organization_name(i bigint, country integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE country
        WHEN 4 THEN (ARRAY['東京', '大阪', '北海', '富士', '桜', '光'])[1 + erp_gen.pick(i, 61, 6)]
            || (ARRAY['電機', '商事', '音響', '貿易', '工業', '運輸'])[1 + erp_gen.pick(i, 62, 6)]
            || (ARRAY['株式会社', ' Co., Ltd.'])[1 + erp_gen.pick(i, 63, 2)]
        ELSE (ARRAY['Contoso', 'Fabrikam', 'Northwind', 'Adatum', 'Litware', 'Proseware', 'Tailspin', 'Wingtip', 'Graphic', 'Alpine',
                    'Lakeshore', 'Desert', 'Forest', 'Sunset', 'Whale', 'Sparrow', 'Oak', 'Birch', 'Cave', 'Turtle',
                    'Ångström', 'Übersee', 'Île-de-France', 'Øresund', 'alpha', 'ALPHA'])[1 + erp_gen.pick(i, 61, 26)]
            || ' ' || (ARRAY['Retail', 'Wholesales', 'Electronics', 'Trading', 'Audio', 'Logistics', 'Stores', 'Systems', 'Toys', 'Imports',
                    'Café', 'Möbel', 'Bücher', 'Équipement', 'Research', 'Foods'])[1 + erp_gen.pick(i, 62, 16)]
            || CASE country
                   WHEN 1 THEN (ARRAY[' GmbH', ' AG', ' KG', ' GmbH & Co. KG'])[1 + erp_gen.pick(i, 63, 4)]
                   WHEN 2 THEN (ARRAY[' Ltd', ' plc', ' LLP', ''])[1 + erp_gen.pick(i, 63, 4)]
                   WHEN 3 THEN (ARRAY[' SA', ' SARL', ' S.A.S.', ''])[1 + erp_gen.pick(i, 63, 4)]
                   ELSE (ARRAY[' Inc.', ' LLC', ' Corp', ''])[1 + erp_gen.pick(i, 63, 4)]
               END
    END
$$;

-- One name in seven or so is awkward on purpose: letter case, spaces, quotes, wildcards, emoji.
CREATE FUNCTION erp_gen.awkward(name text, i bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE erp_gen.pick(i, 71, 100)
        WHEN 0 THEN lower(name)        WHEN 1 THEN upper(name)         WHEN 2 THEN lower(name)
        WHEN 3 THEN name || ' '        WHEN 4 THEN replace(name, ' ', '  ')
        WHEN 5 THEN '"' || name || '"' WHEN 6 THEN name || ' (d/b/a Joe''s)'
        WHEN 7 THEN '100% ' || name    WHEN 8 THEN replace(name, ' ', '_')
        WHEN 9 THEN '[' || name || ']' WHEN 10 THEN name || ' 🚀'
        WHEN 11 THEN '👩‍🔧 ' || name     WHEN 12 THEN name || E' \\ Sons'
        WHEN 13 THEN 'a-' || name      WHEN 14 THEN 'A-' || name
        ELSE name
    END
$$;

-- What the generators of parties, addresses and contacts share.
CREATE UNLOGGED TABLE erp_gen.party (
    slot bigint PRIMARY KEY,
    country integer NOT NULL,
    is_person boolean NOT NULL
);
