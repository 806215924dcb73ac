//! Costs that depend on how it went.

use http::{HeaderMap, HeaderName, StatusCode};

use super::{Bill, Meter, ResponseHead, Settle};
use crate::{
    body::Watch,
    rejection::{GrpcCode, Rejection},
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Counts only some responses; the others cost nothing.
///
/// One that counts costs what was reserved, or 1 if nothing was. With the reservation of 1 that is the default, a
/// request is admitted while one more may fail; so ten guesses at once do not all go through before the first is
/// known to be wrong.
///
/// ```
/// use tower_gateway::{key, rate_limit::{Limit, Quota, settle}};
///
/// let failed_logins = Limit::new(Quota::per_minute(5).sliding_window(), key::client_ip())
///     .settle(settle::only(|response| matches!(response.status().as_u16(), 401 | 403)));
/// ```
pub fn only<F>(counts: F) -> Only<F>
where
    F: Fn(ResponseHead<'_>) -> bool,
{
    Only(counts)
}

/// Nothing, where the upstream has failed: 502, 503 or 504, by the upstream or by a layer of the gateway's in any
/// dialect, or gRPC `UNAVAILABLE`.
///
/// Not for 500, nor for a deadline that the upstream says has passed: a client can often bring those about, and
/// would then ask as often as it likes. Who wants it nonetheless writes it with [`only`].
pub fn refund_failures() -> RefundFailures {
    RefundFailures(())
}

/// Nothing, where a cache has answered: `Cache-Status` with a `hit` (RFC 9211). The cache stands inside of this
/// layer, and the services that it asks are believed.
pub fn refund_hits() -> RefundHits {
    RefundHits(())
}

/// Made by [`only`].
#[derive(Clone, Copy)]
pub struct Only<F>(F);

impl<F> std::fmt::Debug for Only<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Only")
    }
}

impl<F> Settle for Only<F>
where
    F: Fn(ResponseHead<'_>) -> bool,
{
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        Bill::Final(if (self.0)(response) { response.reserved().max(1) } else { 0 })
    }
}

/// Made by [`refund_failures`].
#[derive(Clone, Copy, Debug)]
pub struct RefundFailures(());

impl Settle for RefundFailures {
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        // The dialect may have hidden it from the status.
        let status = response.rejection().map_or(response.status(), Rejection::status);
        let grpc =
            || response.headers().get("content-type").is_some_and(|it| is_grpc(it.as_bytes()));
        match status {
            status if is_failure(status) || is_unavailable(response.headers()) => Bill::Final(0),
            // Its status comes last.
            _ if grpc() => Bill::Metered(Box::new(Failed(false))),
            _ => Bill::AsReserved,
        }
    }
}

fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

fn is_grpc(content_type: &[u8]) -> bool {
    content_type.get(..16).is_some_and(|it| it.eq_ignore_ascii_case(b"application/grpc"))
}

fn is_unavailable(fields: &HeaderMap) -> bool {
    let code = fields.get(GRPC_STATUS).and_then(|it| it.to_str().ok()?.parse().ok());
    code == Some(GrpcCode::Unavailable as u8)
}

struct Failed(bool);

impl Watch for Failed {
    fn trailers(&mut self, trailers: &HeaderMap) {
        self.0 |= is_unavailable(trailers);
    }
}

impl Meter for Failed {
    fn cost(&self) -> Option<u64> {
        self.0.then_some(0)
    }
}

/// Made by [`refund_hits`].
#[derive(Clone, Copy, Debug)]
pub struct RefundHits(());

impl Settle for RefundHits {
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        let values = response.headers().get_all(CACHE_STATUS).iter();
        match values.into_iter().any(|value| is_hit(value.as_bytes())) {
            true => Bill::Final(0),
            false => Bill::AsReserved,
        }
    }
}

/// Whether a member of the list has the parameter `hit` (RFC 9211 §2.1), which is true where it has no value.
fn is_hit(list: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let parts = list.split(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        !quoted && matches!(byte, b',' | b';')
    });
    // A member's name comes first and is no parameter: `hit; fwd=miss` is a cache that is named so.
    let mut starts = 0;
    parts.into_iter().any(|part| {
        let named = starts > 0 && list.get(starts - 1) == Some(&b';');
        starts += part.len() + 1;
        named && matches!(part.trim_ascii(), b"hit" | b"hit=?1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    #[test]
    fn a_hit_is_a_parameter_of_a_cache() {
        for hit in
            ["a; hit", "a;hit;ttl=5", "a; fwd=miss, b; hit", "\"a, b\"; hit=?1", "a;ttl=1 ;  hit "]
        {
            assert!(is_hit(hit.as_bytes()), "{hit}");
        }
        let misses = [
            "",
            "hit",
            "a; fwd=uri-miss",
            "hit; fwd=miss",
            "a, hit",
            "a; hit=?0",
            "a; hits",
            "a; key=\"; hit\"",
            "a; key=\"\\\"; hit\"",
            "a; fwd=miss; detail=hit",
        ];
        for miss in misses {
            assert!(!is_hit(miss.as_bytes()), "{miss}");
        }
    }

    #[test]
    fn a_failure_of_the_upstreams_costs_nothing() {
        let settles = |response: Response<()>| match refund_failures()
            .settle(ResponseHead::of(&response, 1))
        {
            Bill::Final(cost) => Some(cost),
            _ => None,
        };
        let status = |status: u16| Response::builder().status(status).body(()).unwrap();
        for failed in [502, 503, 504] {
            assert_eq!(settles(status(failed)), Some(0));
        }
        for other in [200, 401, 429, 500, 501, 505] {
            assert_eq!(settles(status(other)), None, "{other}");
        }
        let grpc = |code: &str| Response::builder().header("grpc-status", code).body(()).unwrap();
        assert_eq!(
            [settles(grpc("14")), settles(grpc("4")), settles(grpc("0"))],
            [Some(0), None, None]
        );
        let mut ours = status(200);
        ours.extensions_mut().insert(Rejection::unavailable("Later."));
        assert_eq!(settles(ours), Some(0));
    }

    #[test]
    fn a_grpc_service_may_fail_at_the_end() {
        let response = Response::builder().header("content-type", "application/grpc+proto");
        let response = response.body(()).unwrap();
        let cost = |code: &str| {
            let Bill::Metered(mut meter) = refund_failures().settle(ResponseHead::of(&response, 1))
            else {
                panic!("the status comes last");
            };
            meter.trailers(&[(GRPC_STATUS, code.parse().unwrap())].into_iter().collect());
            meter.cost()
        };
        assert_eq!([cost("14"), cost("0"), cost("114")], [Some(0), None, None]);
    }
}
