//! The rules of the specifications, and what attackers make of them, row by row.

#[path = "../support/mod.rs"]
mod support;

mod discovery;
mod introspection;
mod jwks;
mod jwt;
mod signed_url;
