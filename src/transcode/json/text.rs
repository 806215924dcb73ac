//! One value of a query or a path to wire bytes.
