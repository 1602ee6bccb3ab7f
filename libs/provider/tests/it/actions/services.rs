//! Actions that a service does, over a real connection.
