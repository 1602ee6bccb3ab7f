//! Every way the endpoints can say no, in the words and with the numbers that clients know.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An answer of RFC 6749, 5.2, with the number that Microsoft Entra gives in the same case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OAuthError {
    #[error("The request must contain the following parameter: '{0}'.")]
    Missing(&'static str),
    #[error("The parameter '{0}' is given more than once.")]
    Repeated(String),
    #[error("The value of the parameter '{0}' cannot be used.")]
    Invalid(&'static str),
    #[error("The body must be application/x-www-form-urlencoded.")]
    NoForm,
    #[error("The application was not found in the directory.")]
    UnknownClient,
    #[error("Invalid client secret provided.")]
    BadSecret,
    #[error("The request must contain a 'client_secret'; assertions are not supported here.")]
    NoSecret,
    #[error("Error validating credentials due to invalid username or password.")]
    BadPassword,
    #[error("The user does not exist in this directory any more.")]
    UserGone,
    #[error("The authorization code is expired, was redeemed before, or was never given out.")]
    BadCode,
    #[error("The authorization code was given out to another client or redirect URI.")]
    OtherClient,
    #[error("The code_verifier does not match the code_challenge of the authorization request.")]
    BadVerifier,
    #[error("A code_challenge with the method S256 is required.")]
    NoChallenge,
    #[error("The refresh token is expired, was used before, or was never given out.")]
    BadRefreshToken,
    #[error("The user has not answered yet; keep asking.")]
    Pending,
    #[error("The device code is expired; start again.")]
    DeviceExpired,
    #[error("The device code was never given out to this client, or was redeemed before.")]
    UnknownDevice,
    #[error("The grant type is not supported.")]
    GrantType,
    #[error("Only the response type 'code' is supported.")]
    ResponseType,
    #[error(
        "The scope is not one of this organization: ask for its URL with '/.default' or \
             '/user_impersonation'."
    )]
    Scope,
    #[error("The resource is not this organization.")]
    Resource,
    #[error("Nobody is signed in, and with prompt=none nobody may be asked.")]
    SignInRequired,
    #[error("The issuer failed.")]
    Failed,
}

impl OAuthError {
    /// For `error`.
    pub(super) fn code(&self) -> &'static str {
        self.coded().0
    }

    /// For `error_description`.
    pub(super) fn description(&self) -> String {
        format!("AADSTS{}: {self}", self.coded().1)
    }

    fn coded(&self) -> (&'static str, u32) {
        match self {
            Self::Missing(_) => ("invalid_request", 900_144),
            Self::Repeated(_) | Self::Invalid(_) | Self::NoForm => ("invalid_request", 9_002_313),
            Self::UnknownClient => ("unauthorized_client", 700_016),
            Self::BadSecret => ("invalid_client", 7_000_215),
            Self::NoSecret => ("invalid_client", 7_000_218),
            Self::BadPassword => ("invalid_grant", 50_126),
            Self::UserGone => ("invalid_grant", 50_034),
            Self::BadCode => ("invalid_grant", 70_008),
            Self::OtherClient => ("invalid_grant", 700_005),
            Self::BadVerifier => ("invalid_grant", 501_481),
            Self::NoChallenge => ("invalid_request", 9_002_325),
            Self::BadRefreshToken => ("invalid_grant", 70_000),
            Self::Pending => ("authorization_pending", 70_016),
            Self::DeviceExpired => ("expired_token", 70_020),
            Self::UnknownDevice => ("bad_verification_code", 70_019),
            Self::GrantType => ("unsupported_grant_type", 70_003),
            Self::ResponseType => ("unsupported_response_type", 700_054),
            Self::Scope => ("invalid_scope", 70_011),
            Self::Resource => ("invalid_resource", 500_011),
            Self::SignInRequired => ("login_required", 50_058),
            Self::Failed => ("server_error", 90_033),
        }
    }

    fn status(&self) -> StatusCode {
        match self.coded().0 {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Json(json!({
            "error": self.code(),
            "error_description": self.description(),
            "error_codes": [self.coded().1],
        }));
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"client\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
