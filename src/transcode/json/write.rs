//! Wire bytes to JSON.
