//! Validation and defaulting rules of data entities.
