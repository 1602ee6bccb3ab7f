//! The few pages that people see: no script but one, no style, nothing from elsewhere.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Account;

/// Sends the page's form by itself.
const SUBMIT: &str = "document.forms[0].submit()";

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    status: StatusCode,
    title: &'static str,
    body: String,
    /// Where its forms may lead, beside here.
    leads_to: String,
    submits_itself: bool,
}

// === impl Page ===

impl Page {
    pub(super) fn new(title: &'static str) -> Self {
        Self {
            status: StatusCode::OK,
            title,
            body: String::new(),
            leads_to: String::new(),
            submits_itself: false,
        }
    }

    /// That something is wrong with what was asked.
    pub(super) fn refusal(message: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, ..Self::new("Sign in").text(message) }
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        let _ = write!(self.body, "<p>{}</p>", escape(text));
        self
    }

    /// A form of hidden fields and what else is in it.
    pub(super) fn form(mut self, action: &str, hidden: &[(&str, &str)], content: &str) -> Self {
        let _ = write!(self.body, "<form method=\"post\" action=\"{}\">", escape(action));
        for (name, value) in hidden {
            let (name, value) = (escape(name), escape(value));
            let _ = write!(self.body, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        }
        self.body.push_str(content);
        self.body.push_str("</form>");
        self
    }

    pub(super) fn leading_to(mut self, origin: String) -> Self {
        self.leads_to = origin;
        self
    }

    pub(super) fn submitting_itself(mut self) -> Self {
        self.submits_itself = true;
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let script = digest::digest(&digest::SHA256, SUBMIT.as_bytes());
        let (script, allowed) = if self.submits_itself {
            let hash = STANDARD.encode(script);
            (format!("<script>{SUBMIT}</script>"), format!("script-src 'sha256-{hash}'; "))
        } else {
            Default::default()
        };
        let policy = format!(
            "default-src 'none'; {allowed}form-action 'self' {}; base-uri 'none'; \
             frame-ancestors 'none'",
            self.leads_to
        );
        let Self { status, title, body, .. } = self;
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\
             <body><main><h1>{title}</h1>{body}</main>{script}</body></html>"
        );
        let headers: [(HeaderName, String); 5] = [
            (header::CACHE_CONTROL, "no-store".into()),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::X_FRAME_OPTIONS, "DENY".into()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
            (header::REFERRER_POLICY, "no-referrer".into()),
        ];
        (status, headers, Html(html)).into_response()
    }
}

/// A button for each user.
pub(super) fn choices(people: &[Account]) -> String {
    let mut html = String::from("<ul>");
    for person in people {
        let (name, display_name) = (escape(&person.name), escape(&person.display_name));
        let _ = write!(
            html,
            "<li><button name=\"user\" value=\"{name}\">{display_name} ({name})</button></li>"
        );
    }
    html + "</ul>"
}

/// Fields for a user's name and the password: who does not have it is told nobody's name.
pub(super) const SIGN_IN: &str = "<p><label>User <input name=\"user\" autocomplete=\"off\"></label></p>\
     <p><label>Development password \
     <input type=\"password\" name=\"password\" autocomplete=\"off\"></label></p>\
     <button>Sign in</button>";

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
