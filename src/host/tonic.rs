//! What the layers left in a call, for the methods of a tonic service.
//!
//! ```
//! use tonic::{Request, Response, Status};
//! use tower_gateway::host::tonic::RequestExt;
//!
//! #[derive(serde::Deserialize)]
//! struct Staff { department: String }
//!
//! /// A method of a service behind `JwtLayer::new(..)?.typed::<Staff>()`.
//! async fn orders(request: Request<()>) -> Result<Response<String>, Status> {
//!     let who = request.identity()?.subject();
//!     let staff = request.claims::<Staff>()?;
//!     Ok(Response::new(format!("{who} in {}", staff.department)))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # use tower_gateway::identity::{Claims, Identity};
//! let mut call = Request::new(());
//! call.extensions_mut().insert(Identity::new("jwt", "alice"));
//! call.extensions_mut().insert(Claims::new(Staff { department: "sales".into() }));
//! assert_eq!(orders(call).await.unwrap().into_inner(), "alice in sales");
//!
//! // Without the layer the stack is at fault, not the client.
//! let status = orders(Request::new(())).await.unwrap_err();
//! assert_eq!(status.code(), tonic::Code::Internal);
//! # });
//! ```

use tonic::{Request, Status};

use crate::{
    client_ip::ClientIp,
    identity::{Claims, Identity},
};

/// Reads the typed extensions of a [`tonic::Request`]. See the [module docs](self).
#[allow(clippy::result_large_err, reason = "what tonic's methods return")]
pub trait RequestExt {
    /// Who the call speaks for.
    ///
    /// # Errors
    ///
    /// [`Internal`](tonic::Code::Internal) when no authentication layer is around the service, or it let the call
    /// pass without an identity.
    fn identity(&self) -> Result<&Identity, Status>;

    /// The claims that a layer has read into `C`.
    ///
    /// # Errors
    ///
    /// [`Internal`](tonic::Code::Internal) when none has read claims of this type.
    fn claims<C: Send + Sync + 'static>(&self) -> Result<&Claims<C>, Status>;

    /// Where the call comes from.
    ///
    /// # Errors
    ///
    /// [`Internal`](tonic::Code::Internal) when there is no [`ClientIpLayer`](crate::client_ip::ClientIpLayer).
    fn client_ip(&self) -> Result<&ClientIp, Status>;
}

impl<T> RequestExt for Request<T> {
    fn identity(&self) -> Result<&Identity, Status> {
        extension(self)
    }

    fn claims<C: Send + Sync + 'static>(&self) -> Result<&Claims<C>, Status> {
        extension(self)
    }

    fn client_ip(&self) -> Result<&ClientIp, Status> {
        extension(self)
    }
}

/// The client learns no more than that it is not at fault.
#[allow(clippy::result_large_err, reason = "what tonic's methods return")]
fn extension<T, E: Send + Sync + 'static>(request: &Request<T>) -> Result<&E, Status> {
    request
        .extensions()
        .get()
        .ok_or_else(|| Status::internal("The service is not set up for this call."))
}
