//! The long-form documentation, compiled and tested with the code.

#[doc = include_str!("../docs/layer-contract.md")]
pub mod layer_contract {}

#[doc = include_str!("../docs/layer-order.md")]
pub mod layer_order {}

#[doc = include_str!("../docs/rejections.md")]
pub mod rejections {}

#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("../docs/signed-urls.md")]
pub mod signed_urls {}

#[doc = include_str!("../docs/guides/rate-limits.md")]
pub mod rate_limits {}

#[doc = include_str!("../docs/guides/authentication.md")]
pub mod authentication {}

#[doc = include_str!("../docs/guides/distributed-rate-limits.md")]
pub mod distributed_rate_limits {}

#[doc = include_str!("../docs/guides/rest-to-grpc.md")]
pub mod rest_to_grpc {}
