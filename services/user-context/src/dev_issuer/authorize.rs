//! The authorization endpoint: a user is chosen, and the client gets a code for it.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use reqwest::Url;
use uuid::Uuid;

use super::http::{Base, is_loopback};
use super::oauth_error::OAuthError;
use super::page::{Page, SIGN_IN, choices};
use super::parameters::Parameters;
use super::scope::Asked;
use super::tokens::Version;
use super::{Account, DevIssuer, TENANT};

/// How long the base64url text of a SHA-256 is.
const CHALLENGE_LENGTH: usize = 43;

/// What a client asked for, once nothing is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    reply: Reply,
    client_id: String,
    challenge: String,
    nonce: Option<String>,
    asked: Asked,
}

/// Where the answer goes, and how.
#[derive(Clone, Debug)]
struct Reply {
    redirect_uri: Url,
    /// As the client wrote it.
    written: String,
    state: Option<String>,
    by_form: bool,
}

/// What an authorization code stands for.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    /// The base64url text of the SHA-256 of the verifier that comes with the code.
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    pub(super) asked: Asked,
    pub(super) user: Uuid,
}

/// `GET /{tenant}/oauth2/v2.0/authorize`
pub(super) async fn page(
    State(issuer): State<DevIssuer>,
    Extension(version): Extension<Version>,
    Base(base): Base,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = Parameters::parse(&query.unwrap_or_default());
    // Until client and redirect URI are known to be good, nothing is sent to either.
    let known = parameters.and_then(|it| Ok((known_client(&issuer, &it)?, it)));
    let ((client_id, reply), parameters) = match known {
        Ok(known) => known,
        Err(error) => return Page::refusal(&error.description()).into_response(),
    };
    let asked = issuer.asked(version, &base, &parameters);
    let request = asked.and_then(|it| Request::new(reply.clone(), client_id, it, &parameters));
    let answer = request.and_then(|it| choose(&issuer, it, &parameters));
    answer.unwrap_or_else(|error| reply.send(Err(&error)))
}

/// `POST /{tenant}/oauth2/v2.0/authorize`, from the page.
pub(super) async fn submit(State(issuer): State<DevIssuer>, _: Base, form: Parameters) -> Response {
    // The page's own id is what no other site can know.
    let Some(request) = form.get("request").and_then(|it| issuer.0.pages.take(it)) else {
        return Page::refusal("This page is too old, or was sent before. Start again.")
            .into_response();
    };
    if !issuer.lets_in(&form) {
        return ask(&issuer, request, Some("That is not the password.")).into_response();
    }
    let Some(person) = form.get("user").and_then(|it| issuer.person_named(it)) else {
        return ask(&issuer, request, Some("There is no such user.")).into_response();
    };
    grant(&issuer, request, &person)
}

/// Signs the hinted user in, or lets a person choose.
fn choose(
    issuer: &DevIssuer,
    request: Request,
    parameters: &Parameters,
) -> Result<Response, OAuthError> {
    let hinted = parameters.get("login_hint").and_then(|it| issuer.person_named(it));
    match (parameters.get("prompt"), hinted) {
        (None | Some("none"), Some(person)) if issuer.is_local() => {
            Ok(grant(issuer, request, &person))
        }
        (Some("none"), _) => Err(OAuthError::SignInRequired),
        _ => Ok(ask(issuer, request, None).into_response()),
    }
}

fn ask(issuer: &DevIssuer, request: Request, problem: Option<&str>) -> Page {
    let (client, reply) = (request.client_id.clone(), request.reply.clone());
    let Some(id) = issuer.0.pages.add(request) else {
        return Page::refusal(&OAuthError::Failed.description());
    };
    let page = problem.into_iter().fold(Page::new("Sign in"), |page, it| page.text(it));
    let to = format!("The application {client} at {} wants to act as:", reply.origin());
    let users = issuer.choices();
    page.text(&to)
        .form(&format!("/{TENANT}/oauth2/v2.0/authorize"), &[("request", &id)], &users)
        .leading_to(reply.origin())
}

fn grant(issuer: &DevIssuer, request: Request, person: &Account) -> Response {
    let Request { reply, client_id, challenge, nonce, asked } = request;
    let redirect_uri = reply.written.clone();
    let user = person.object_id;
    let code = Code { client_id, redirect_uri, challenge, nonce, asked, user };
    let code = issuer.0.codes.add(code);
    reply.send(code.as_deref().ok_or(&OAuthError::Failed))
}

fn known_client(
    issuer: &DevIssuer,
    parameters: &Parameters,
) -> Result<(String, Reply), OAuthError> {
    let client = issuer.client(parameters.require("client_id")?, None)?;
    let written = parameters.require("redirect_uri")?;
    let redirect_uri = redirect_uri(written).ok_or(OAuthError::Invalid("redirect_uri"))?;
    let reply = Reply {
        redirect_uri,
        written: written.to_owned(),
        state: parameters.get("state").map(str::to_owned),
        by_form: parameters.get("response_mode") == Some("form_post"),
    };
    Ok((client.id, reply))
}

/// Codes go to programs on the same machine only.
fn redirect_uri(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_bare = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    (is_web && is_bare && is_loopback(&url)).then_some(url)
}

// === impl Request ===

impl Request {
    fn new(
        reply: Reply,
        client_id: String,
        asked: Asked,
        parameters: &Parameters,
    ) -> Result<Self, OAuthError> {
        if parameters.require("response_type")? != "code" {
            return Err(OAuthError::ResponseType);
        }
        if !matches!(parameters.get("response_mode"), None | Some("query" | "form_post")) {
            return Err(OAuthError::Invalid("response_mode"));
        }
        let challenge = parameters.get("code_challenge").ok_or(OAuthError::NoChallenge)?;
        // Without a method, `plain` would be meant.
        if parameters.get("code_challenge_method") != Some("S256") {
            return Err(OAuthError::NoChallenge);
        }
        if challenge.len() != CHALLENGE_LENGTH {
            return Err(OAuthError::Invalid("code_challenge"));
        }
        Ok(Self {
            reply,
            client_id,
            challenge: challenge.to_owned(),
            nonce: parameters.get("nonce").map(str::to_owned),
            asked,
        })
    }
}

// === impl Reply ===

impl Reply {
    fn origin(&self) -> String {
        self.redirect_uri.origin().ascii_serialization()
    }

    fn send(&self, code: Result<&str, &OAuthError>) -> Response {
        let mut answer = match code {
            Ok(code) => vec![("code", code.to_owned())],
            Err(error) => {
                vec![("error", error.code().to_owned()), ("error_description", error.description())]
            }
        };
        answer.extend(self.state.clone().map(|it| ("state", it)));
        let answer: Vec<_> = answer.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if self.by_form {
            return Page::new("Signed in")
                .form(self.redirect_uri.as_str(), &answer, "<button>Continue</button>")
                .leading_to(self.origin())
                .submitting_itself()
                .into_response();
        }
        let mut url = self.redirect_uri.clone();
        url.query_pairs_mut().extend_pairs(answer);
        Redirect::to(url.as_str()).into_response()
    }
}

// === impl DevIssuer ===

impl DevIssuer {
    /// By which a person says which user to be.
    pub(super) fn choices(&self) -> String {
        if self.is_local() { choices(&self.people()) } else { SIGN_IN.to_owned() }
    }

    /// Whether the form of a page may sign a user in.
    pub(super) fn lets_in(&self, form: &Parameters) -> bool {
        self.is_local() || form.get("password").is_some_and(|it| self.0.secrets.is_password(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_leave_the_machine_by_no_redirect() {
        for good in [
            "http://localhost",
            "http://localhost:8400/",
            "http://127.0.0.1:5/x?y=z",
            "http://[::1]:5/x",
            "https://localhost:44300/signin-oidc",
        ] {
            assert!(redirect_uri(good).is_some(), "{good}");
        }
        for bad in [
            "https://evil.example/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://user@localhost/",
            "http://localhost/#x",
            "http://127.0.0.1.evil.example/",
            "http://192.168.0.1/",
            "javascript:alert(1)//localhost",
            "myapp://localhost",
            "//localhost",
            "",
        ] {
            assert!(redirect_uri(bad).is_none(), "{bad}");
        }
    }
}
