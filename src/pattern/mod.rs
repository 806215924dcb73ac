//! Patterns of paths (`/users/{id}`): read once, kept in a tree, found by the most specific.
//!
//! One engine for whoever decides by path, so that two layers never read one path in two ways: the routes of the
//! router and the rules of `RequireLayer` match the same requests by the same patterns. Paths are canonical (see
//! [`target`](crate::target)) before they come here.

mod captures;
mod path;
mod tree;

pub(crate) use captures::Captures;
pub(crate) use path::Pattern;
pub(crate) use tree::Node;
#[cfg(feature = "route")]
pub(crate) use {captures::start_of, tree::Leaf};
