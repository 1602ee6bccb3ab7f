//! Why the Web API did not give what was asked for.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the installation was stopped")]
    Stopped,
    #[error("`{0}` is no https URL of a Web API")]
    WebApiUrl(String),
    #[error("`{0}` is no https URL of a token endpoint that secrets may be sent to")]
    TokenUrl(String),
    #[error("there is no secret `{0}`")]
    NoSecret(String),
    #[error("no token was given: {0}")]
    TokenRefused(String),
    #[error("the table `{0}` is not in this environment")]
    NoTable(String),
    /// The application user lacks a right.
    #[error("{0}")]
    Denied(String),
    #[error("{message}")]
    Refused { status: u16, code: String, message: String },
    /// It may be available later.
    #[error("{0}")]
    Unavailable(String),
    /// Not what a Web API answers.
    #[error("{0}")]
    Malformed(String),
}

/// The platform's code for a delta token that is too old.
const EXPIRED: &str = "0x80044352";
/// The same for a table whose changes are not tracked.
const TRACKING_DISABLED: &str = "0x80072491";
/// An argument that is none, such as a token that was given out under another key.
const INVALID_ARGUMENT: &str = "0x80040203";

impl ApiError {
    /// Whether a delta link leads nowhere any more, so that the rows have to be read anew.
    pub(crate) fn is_expired_link(&self) -> bool {
        let Self::Refused { status, code, .. } = self else { return false };
        *status == 410 || is(code, EXPIRED) || is(code, INVALID_ARGUMENT)
    }

    /// Whether changes of the table are not tracked.
    pub(crate) fn is_tracking_disabled(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if is(code, TRACKING_DISABLED))
    }
}

fn is(code: &str, expected: &str) -> bool {
    code.eq_ignore_ascii_case(expected)
}

/// What went wrong on the way, without the URL, whose query may be anything.
pub(super) fn connection(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    let host = error.url().and_then(|it| it.host_str()).unwrap_or("the server");
    format!("{host}: {what}")
}
