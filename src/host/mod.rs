//! Glue for the frameworks that host the layers.

mod axum;
