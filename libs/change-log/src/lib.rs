//! Captures changes of tables in the transactions that make them, and reads them in commit order.
