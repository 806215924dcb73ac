//! Patterns of paths (`/users/{id}`): read once, kept in a tree, found by the most specific.
//!
//! One engine for whoever decides by path, so that two layers never read one path in two ways: the routes of the
//! router and the rules of `RequireLayer` match the same requests by the same patterns, and the templates of
//! `TranscodeLayer` are found in the same tree. Paths are canonical (see [`target`](crate::target)) before they come
//! here; those of the templates are not, and keep encoded slashes.

mod captures;
mod path;
mod tree;

#[cfg(any(feature = "route", feature = "require"))]
pub(crate) use captures::Captures;
pub(crate) use path::Pattern;
#[cfg(feature = "transcode")]
pub(crate) use path::{End, Segment as PatternSegment};
pub(crate) use tree::Node;
#[cfg(any(feature = "route", feature = "transcode"))]
pub(crate) use tree::allow;
#[cfg(feature = "route")]
pub(crate) use {captures::start_of, tree::Leaf};
