//! One decision over two databases: the last-resource commit.
