//! Why a request failed.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::Refusal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a request was not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Problem {
    /// The refusal that IPVS knows for it, where it knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What is wrong, for people; further lines say what to do about it.
    pub message: String,
}

impl Problem {
    /// A problem that IPVS has no word for.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            refusal: None,
            message: message.into(),
        }
    }

    fn status(&self) -> StatusCode {
        use Refusal as R;
        match self.refusal {
            Some(
                R::ServiceExists | R::DestinationExists | R::LocalAddressExists | R::DaemonRuns,
            ) => StatusCode::CONFLICT,
            Some(
                R::NoSuchService
                | R::ServiceNotDefined
                | R::NoSuchDestination
                | R::NoSuchLocalAddress
                | R::NoDaemon
                | R::NoSuchDevice,
            ) => StatusCode::NOT_FOUND,
            Some(
                R::UnknownScheduler
                | R::Invalid
                | R::OutOfRange
                | R::LocalAddressTaken
                | R::LocalAddressUseless
                | R::OnePacketFullNat,
            ) => StatusCode::UNPROCESSABLE_ENTITY,
            Some(R::Forbidden) => StatusCode::FORBIDDEN,
            Some(R::NoRoom) => StatusCode::INSUFFICIENT_STORAGE,
            Some(R::Unsupported) => StatusCode::NOT_IMPLEMENTED,
            None => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal),
            message: refusal.to_string(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status(), Json(self)).into_response()
    }
}
