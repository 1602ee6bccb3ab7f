-- Starts over, whatever an earlier or interrupted run has left.

SET client_min_messages = warning;
DROP SCHEMA IF EXISTS erp_demo, erp_gen, erp CASCADE;
RESET client_min_messages;

CREATE SCHEMA erp_demo;
CREATE TABLE erp_demo.installation (customers bigint PRIMARY KEY);
COMMENT ON TABLE erp_demo.installation IS 'Holds a row when the demo ERP is complete.';
