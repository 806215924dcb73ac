//! JSON to wire bytes.
