//! Several schemes as one.
