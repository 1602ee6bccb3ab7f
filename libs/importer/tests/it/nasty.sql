-- Whatever a home-grown ERP may hold.
CREATE SCHEMA shop;
CREATE SCHEMA "Odd Schema";

CREATE TYPE shop.mood AS ENUM ('sad', 'very happy', 'VERY HAPPY');
CREATE TYPE "Odd Schema"."Odd mood" AS ENUM ('x');
CREATE TYPE shop.no_values AS ENUM ();
CREATE TYPE shop.pair AS (a int, b int);
CREATE DOMAIN shop.code AS varchar(10) NOT NULL CHECK (VALUE = upper(VALUE));
CREATE DOMAIN shop.long_code AS shop.code DEFAULT 'X';
CREATE DOMAIN shop.mood_domain AS shop.mood;

CREATE TABLE shop.customer_group (
  id int PRIMARY KEY,
  code shop.code UNIQUE
);

CREATE TABLE shop.every_type (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  small smallint NOT NULL,
  whole int DEFAULT 7 NOT NULL,
  big bigint,
  exact numeric(12, 3),
  exact_without_end numeric,
  exact_rounded numeric(5, -2),
  single real,
  twice double precision,
  cash money,
  line varchar(40) NOT NULL,
  endless_line varchar,
  long_line varchar(5000),
  padded char(5),
  page text,
  own_name name,
  yes boolean NOT NULL,
  day date,
  moment timestamp(3),
  moment_zoned timestamptz,
  guid uuid,
  at_time time,
  span interval,
  doc json,
  docb jsonb,
  paper xml,
  host inet,
  net cidr,
  card macaddr,
  feeling shop.mood,
  odd_feeling "Odd Schema"."Odd mood",
  domain_feeling shop.mood_domain,
  state text NOT NULL CHECK (state IN ('draft', 'in progress', 'it''s done', '')),
  level int CHECK (level IN (1, 2, -3)),
  flag char(2) CHECK (flag IN ('Y', 'N') OR flag IS NULL),
  loud varchar(9) CHECK (loud = upper(loud)),
  quiet text CHECK (lower(quiet) = quiet),
  twice_whole int GENERATED ALWAYS AS (whole * 2) STORED,
  code shop.code,
  long_code shop.long_code,
  raw bytea,
  list int[],
  composite shop.pair,
  ranged int4range,
  place point,
  words tsvector,
  bits bit(3),
  no_value shop.no_values,
  list_domain oidvector
);
COMMENT ON TABLE shop.every_type IS 'One of each';
COMMENT ON COLUMN shop.every_type.small IS E'A small number.\nIt has two lines.';
COMMENT ON COLUMN shop.every_type.whole IS 'Whole "number" \ of it';

CREATE TABLE shop.by_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), note text);
CREATE TABLE shop.by_two (a int, b text, c int, PRIMARY KEY (b, a));
CREATE TABLE shop.by_text (code text PRIMARY KEY, group_id int NOT NULL REFERENCES shop.customer_group);
CREATE TABLE shop.by_index (
  long_a int NOT NULL, long_b int NOT NULL,
  label text NOT NULL UNIQUE,
  number bigint NOT NULL UNIQUE,
  maybe int UNIQUE,
  UNIQUE (long_a, long_b)
);
CREATE TABLE shop.by_partial_index (a int NOT NULL, b text NOT NULL, c int);
CREATE UNIQUE INDEX ON shop.by_partial_index (a) WHERE a > 0;
CREATE UNIQUE INDEX ON shop.by_partial_index (lower(b));
CREATE UNIQUE INDEX ON shop.by_partial_index (c);
CREATE TABLE shop.by_deferred (a int NOT NULL UNIQUE DEFERRABLE);
CREATE TABLE shop.included (id int NOT NULL, extra text NOT NULL);
CREATE UNIQUE INDEX ON shop.included (id) INCLUDE (extra);
CREATE TABLE shop.no_columns ();
CREATE TABLE shop.only_bytes (id bytea PRIMARY KEY);

CREATE TABLE shop.sales_order (
  id int PRIMARY KEY,
  order_no varchar(20) NOT NULL UNIQUE,
  customer_group int REFERENCES shop.customer_group,
  group_id int REFERENCES shop.customer_group,
  two_a int, two_b text,
  parent_id int REFERENCES shop.sales_order,
  dataareaid varchar(4),
  "DataAreaId" varchar(4),
  CONSTRAINT sales_order_pair_fkey FOREIGN KEY (two_b, two_a) REFERENCES shop.by_two (b, a)
);

CREATE TABLE shop.partitioned (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE shop.partitioned_low PARTITION OF shop.partitioned FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.refers_to_partitioned (id int PRIMARY KEY, p int REFERENCES shop.partitioned);
CREATE TABLE shop.parent (id int PRIMARY KEY);
CREATE TABLE shop.child (PRIMARY KEY (id)) INHERITS (shop.parent);
CREATE VIEW shop.a_view AS SELECT * FROM shop.customer_group;
CREATE MATERIALIZED VIEW shop.a_matview AS SELECT * FROM shop.customer_group;
CREATE UNIQUE INDEX ON shop.a_matview (id);

CREATE TABLE "Odd Schema"."Odd ""table"", größe" (
  "ID" int PRIMARY KEY,
  "select" int,
  "with space" text,
  "WITH SPACE" text,
  "with.dot" text,
  "größe" int,
  "名前" text,
  "2nd" int,
  "it's" int,
  "%" int,
  "a_column_name_of_sixty_three_bytes_which_is_as_long_as_they_get_" int
);
CREATE TABLE "Odd Schema"."名前" (id int PRIMARY KEY);
CREATE TABLE "Odd Schema"."order" (id int PRIMARY KEY, "user" int);
CREATE TABLE public."order" (id int PRIMARY KEY);
CREATE TABLE public."Order" (id int PRIMARY KEY);
CREATE TABLE shop."order" (id int PRIMARY KEY);

ALTER TABLE shop.sales_order ADD late text, ADD gone text;
ALTER TABLE shop.sales_order DROP gone;
ALTER TABLE shop.sales_order ADD CONSTRAINT not_valid CHECK (late IN ('a')) NOT VALID;
