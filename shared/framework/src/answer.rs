//! The answer to a delivery. Pub/Sub and Eventarc treat any 2xx as done, and deliver everything else again.

use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use trackdrop_pipeline::{Failure, FailureKind};

/// The answer to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every effect is stored, or a permanent failure is stored in its request.
    Done,
    /// The event starts nothing in this function.
    StartsNothing(String),
    /// The object is in a place that starts this function, but it is ignored: its name is not a video's, or it is
    /// empty.
    IgnoredUpload(String),
    /// The event is about a bucket that the service does not use: the topic is shared with other buckets, or a setting
    /// names the wrong bucket.
    Foreign(String),
    /// The request is not an event.
    Malformed(String),
    /// The body is longer than any event.
    TooLarge,
    /// The body takes longer to arrive than any event.
    TooSlow,
    /// The token is missing or not valid.
    Unauthorised(String),
    /// Without tokens, only callers on this machine may push.
    Forbidden(String),
    /// The instance already processes as many events as it may.
    Full,
    /// Another attempt can succeed.
    Transient(String),
    /// No attempt can succeed, and no request exists that could record the failure: the delivery becomes a dead letter.
    Unrecorded(String),
}

impl Answer {
    /// The answer for the outcome of a handler. A permanent failure of a request is not among the outcomes:
    /// `trackdrop_flow::stage` has recorded it, and the outcome is `Ok`. Any other permanent failure has no request that could
    /// record it, so it is answered with 500.
    pub fn of(outcome: Result<(), Failure>) -> Self {
        match outcome {
            Ok(()) => Self::Done,
            Err(failure) if failure.kind() == FailureKind::Permanent => Self::Unrecorded(failure.to_string()),
            Err(failure) => Self::Transient(failure.to_string()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Done | Self::StartsNothing(_) | Self::IgnoredUpload(_) | Self::Foreign(_) => StatusCode::NO_CONTENT,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthorised(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::Transient(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unrecorded(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The text for the log and for the caller. None after a success.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::TooLarge => Some("the body is larger than any event"),
            Self::TooSlow => Some("the body did not arrive in time"),
            Self::Full => Some("instance full: as many events are in progress as this instance takes"),
            Self::StartsNothing(reason)
            | Self::IgnoredUpload(reason)
            | Self::Foreign(reason)
            | Self::Malformed(reason)
            | Self::Unauthorised(reason)
            | Self::Forbidden(reason)
            | Self::Transient(reason)
            | Self::Unrecorded(reason) => Some(reason),
        }
    }
}

/// Seconds after which a caller that is not a queue should try again.
const RETRY_AFTER_S: &str = "10";

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = match self.reason() {
            Some(reason) if status != StatusCode::NO_CONTENT => (status, format!("{reason}\n")).into_response(),
            _ => status.into_response(),
        };
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        // For the access log.
        response.extensions_mut().insert(self);
        response
    }
}
