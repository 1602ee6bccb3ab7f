//! What a client asks for: `resource` of version 1, `scope` of version 2.

use super::DevIssuer;
use super::oauth_error::OAuthError;
use super::parameters::Parameters;
use super::tokens::Version;

/// In place of a permission: whatever the client may have.
const DEFAULT: &str = "/.default";
const DELEGATED: &str = "/user_impersonation";

/// The organization, and what a user's client wants beside an access token to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) version: Version,
    /// The audience of the access token.
    pub(super) resource: String,
    /// The permissions asked for, to be said back.
    pub(super) scope: String,
    pub(super) id_token: bool,
    pub(super) refresh_token: bool,
}

impl DevIssuer {
    /// Who names no organization means this one.
    pub(super) fn asked(
        &self,
        version: Version,
        base: &str,
        parameters: &Parameters,
    ) -> Result<Asked, OAuthError> {
        match version {
            Version::V1 => {
                let resource = parameters.get("resource").unwrap_or(base);
                if !self.is_organization(base, resource) {
                    return Err(OAuthError::Resource);
                }
                // Version 1 always gave both.
                let scope = "user_impersonation".to_owned();
                let resource = resource.to_owned();
                Ok(Asked { version, resource, scope, id_token: true, refresh_token: true })
            }
            Version::V2 => self.asked_scope(base, parameters.get("scope").unwrap_or_default()),
        }
    }

    fn asked_scope(&self, base: &str, scope: &str) -> Result<Asked, OAuthError> {
        let (mut id_token, mut refresh_token) = (false, false);
        let mut asked: Option<&str> = None;
        for word in scope.split_ascii_whitespace() {
            match word {
                "openid" => id_token = true,
                "offline_access" => refresh_token = true,
                "profile" | "email" => {}
                _ => {
                    let permission = [DEFAULT, DELEGATED].into_iter();
                    let resource = permission.filter_map(|it| word.strip_suffix(it)).next();
                    let resource = resource.ok_or(OAuthError::Scope)?;
                    if !self.is_organization(base, resource) {
                        return Err(OAuthError::Resource);
                    }
                    if asked.is_some_and(|it| it != resource) {
                        return Err(OAuthError::Scope);
                    }
                    asked = Some(resource);
                }
            }
        }
        let resource = asked.unwrap_or(base).to_owned();
        let mut permissions: Vec<_> =
            scope.split_ascii_whitespace().filter(|it| it.contains('/')).collect();
        let delegated = format!("{resource}{DELEGATED}");
        if !permissions.contains(&delegated.as_str()) {
            permissions.push(&delegated);
        }
        let scope = permissions.join(" ");
        Ok(Asked { version: Version::V2, resource, scope, id_token, refresh_token })
    }

    /// By its own URL, or by the one under which the client reaches it, with or without a slash.
    fn is_organization(&self, base: &str, resource: &str) -> bool {
        let resource = resource.strip_suffix('/').unwrap_or(resource);
        [base, self.organization_url()].iter().any(|it| it.eq_ignore_ascii_case(resource))
    }
}
