//! gRPC codes: what they are called, and what they are in HTTP.

use http::StatusCode;

use crate::rejection::GrpcCode;

/// All codes; each stands at its own number.
const ALL: [GrpcCode; 17] = {
    use GrpcCode as G;
    [
        G::Ok,
        G::Cancelled,
        G::Unknown,
        G::InvalidArgument,
        G::DeadlineExceeded,
        G::NotFound,
        G::AlreadyExists,
        G::PermissionDenied,
        G::ResourceExhausted,
        G::FailedPrecondition,
        G::Aborted,
        G::OutOfRange,
        G::Unimplemented,
        G::Internal,
        G::Unavailable,
        G::DataLoss,
        G::Unauthenticated,
    ]
};

impl GrpcCode {
    /// The code of this number. A number that means nothing is `UNKNOWN`, as the specification has it.
    pub(crate) fn of(number: u32) -> Self {
        let at = usize::try_from(number).ok();
        at.and_then(|at| ALL.get(at)).copied().unwrap_or(Self::Unknown)
    }

    /// What an HTTP answer without `grpc-status` means, by
    /// [http-grpc-status-mapping](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
    pub(crate) fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// Its HTTP status, by `google/rpc/code.proto`; `CANCELLED` is the 499 that nginx coined.
    pub(crate) fn http_status(self) -> StatusCode {
        let status = match self {
            Self::Ok => 200,
            Self::Cancelled => 499,
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::DeadlineExceeded => 504,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::PermissionDenied => 403,
            Self::ResourceExhausted => 429,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::Unauthenticated => 401,
            Self::Unknown | Self::Internal | Self::DataLoss => 500,
        };
        StatusCode::from_u16(status).expect("each is a status of three digits")
    }

    /// Its name in `google/rpc/code.proto`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_http_status() {
        let table = [
            (0, 200),
            (1, 499),
            (2, 500),
            (3, 400),
            (4, 504),
            (5, 404),
            (6, 409),
            (7, 403),
            (8, 429),
            (9, 400),
            (10, 409),
            (11, 400),
            (12, 501),
            (13, 500),
            (14, 503),
            (15, 500),
            (16, 401),
            (17, 500),
            (99, 500),
            (u32::MAX, 500),
        ];
        for (code, status) in table {
            assert_eq!(GrpcCode::of(code).http_status(), status, "{code}");
        }
    }

    /// tonic knows the numbers too.
    #[test]
    fn a_code_stands_at_its_number_and_has_its_name() {
        for (number, code) in ALL.into_iter().enumerate() {
            assert_eq!(code as usize, number);
            let tonic = format!("{:?}", tonic::Code::from(number as i32));
            assert_eq!(code.name().replace('_', ""), tonic.to_uppercase());
        }
    }

    #[test]
    fn an_answer_of_plain_http_has_a_code() {
        let table = [
            (400, "INTERNAL"),
            (401, "UNAUTHENTICATED"),
            (403, "PERMISSION_DENIED"),
            (404, "UNIMPLEMENTED"),
            (429, "UNAVAILABLE"),
            (502, "UNAVAILABLE"),
            (503, "UNAVAILABLE"),
            (504, "UNAVAILABLE"),
            (200, "UNKNOWN"),
            (301, "UNKNOWN"),
            (415, "UNKNOWN"),
            (500, "UNKNOWN"),
        ];
        for (status, code) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(GrpcCode::of_http(status).name(), code, "{status}");
        }
    }
}
