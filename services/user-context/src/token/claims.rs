//! What a token says of who sent it, in version 1 (`appid`, `upn`, `unique_name`) and in version 2
//! (`azp`, `preferred_username`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::{SKEW, Subject};
use crate::error::Refusal;

/// Of a token whose signature, issuer and audience are verified.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    exp: f64,
    iat: Option<f64>,
    tid: Option<String>,
    oid: Option<String>,
    sub: Option<String>,
    /// Whether an application or a user is meant, where the issuer says so.
    idtyp: Option<String>,
    /// The delegated permissions: only a user has something to delegate.
    scp: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    preferred_username: Option<String>,
    upn: Option<String>,
    unique_name: Option<String>,
}

/// The one audience of a token of the development issuer.
#[derive(Deserialize)]
pub(super) struct DevClaims {
    pub(super) aud: String,
    #[serde(flatten)]
    pub(super) claims: Claims,
}

impl Claims {
    pub(super) fn is_of_tenant(&self, tenant: &str) -> bool {
        self.tid.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(tenant))
    }

    /// An assertion never outlives its token, so a token that has just expired is of no use: the
    /// skew is for tokens that begin, not for those that end.
    pub(super) fn expires(&self) -> Result<SystemTime, Refusal> {
        let now = SystemTime::now();
        if self.iat.is_some_and(|it| moment(it).is_none_or(|it| it > now + SKEW)) {
            return Err(Refusal::NotYet);
        }
        let expires = moment(self.exp).ok_or(Refusal::Malformed)?;
        if expires <= now { Err(Refusal::Expired) } else { Ok(expires) }
    }

    /// Whose token it is. A token that says two things at once is nobody's.
    pub(super) fn subject(self, by_name: bool) -> Result<Subject, Refusal> {
        let is_application = self.is_application()?;
        let application_id = match (self.azp, self.appid) {
            (Some(azp), Some(appid)) if !azp.eq_ignore_ascii_case(&appid) => {
                return Err(Refusal::Subject);
            }
            (azp, appid) => azp.or(appid),
        };
        let object_id = self.oid.and_then(|it| it.parse().ok());
        if is_application {
            let application_id = application_id.ok_or(Refusal::Subject)?.to_ascii_lowercase();
            return Ok(Subject::Application { application_id, object_id });
        }
        let names = [self.preferred_username, self.upn, self.unique_name];
        let names = if by_name { names.into_iter().flatten().collect() } else { Vec::new() };
        Ok(Subject::Person { object_id, names })
    }

    /// `idtyp` decides where it is given. Where it is not, an application is its own subject, and
    /// neither has a name nor was anything delegated to it. `roles` decide nothing: users have
    /// them too.
    fn is_application(&self) -> Result<bool, Refusal> {
        let delegated = self.scp.is_some();
        let named = [&self.preferred_username, &self.upn, &self.unique_name];
        match self.idtyp.as_deref() {
            Some("app") if delegated => Err(Refusal::Subject),
            Some("app") => Ok(true),
            Some(_) => Ok(false),
            None => Ok(!delegated
                && named.into_iter().all(Option::is_none)
                && (self.azp.is_some() || self.appid.is_some())
                && self.oid.is_some()
                && self.oid == self.sub),
        }
    }
}

fn moment(seconds: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OBJECT: &str = "7f2c1a80-53d9-4f4e-8f57-3a8d1f3f0c11";
    const APPLICATION: &str = "5F0F0A44-4c14-4f3a-9c0a-6e8a33f6a1b0";

    fn subject(mut claims: Value) -> Result<Subject, Refusal> {
        claims["iss"] = "https://login.example".into();
        claims["exp"] = 1.into();
        serde_json::from_value::<Claims>(claims).unwrap().subject(true)
    }

    #[test]
    fn an_application_that_acts_for_itself_is_told_from_a_person() {
        let application = Ok(Subject::Application {
            application_id: APPLICATION.to_lowercase(),
            object_id: Some(OBJECT.parse().unwrap()),
        });
        for claims in [
            json!({"oid": OBJECT, "sub": OBJECT, "azp": APPLICATION}),
            json!({"oid": OBJECT, "sub": OBJECT, "appid": APPLICATION, "roles": ["x"]}),
            json!({"oid": OBJECT, "sub": "other", "azp": APPLICATION, "idtyp": "app"}),
            json!({"oid": OBJECT, "azp": APPLICATION.to_lowercase(), "appid": APPLICATION,
                   "idtyp": "app"}),
        ] {
            assert_eq!(subject(claims.clone()), application, "{claims}");
        }
        let person = |names: &[&str]| Subject::Person {
            object_id: Some(OBJECT.parse().unwrap()),
            names: names.iter().map(|it| (*it).to_owned()).collect(),
        };
        for (claims, names) in [
            (json!({"oid": OBJECT}), &[][..]),
            (json!({"oid": OBJECT, "sub": OBJECT}), &[]),
            (json!({"oid": OBJECT, "sub": OBJECT, "azp": APPLICATION, "scp": "x"}), &[]),
            (json!({"oid": OBJECT, "sub": OBJECT, "azp": APPLICATION, "scp": ""}), &[]),
            (json!({"oid": OBJECT, "sub": OBJECT, "azp": APPLICATION, "idtyp": "user"}), &[]),
            (json!({"oid": OBJECT, "sub": "pairwise", "azp": APPLICATION, "roles": ["x"]}), &[]),
            (json!({"oid": OBJECT, "sub": OBJECT, "appid": APPLICATION, "upn": "a@b"}), &["a@b"]),
        ] {
            assert_eq!(subject(claims.clone()), Ok(person(names)), "{claims}");
        }
        for claims in [
            json!({"oid": OBJECT, "sub": OBJECT, "azp": APPLICATION, "idtyp": "app", "scp": "x"}),
            json!({"oid": OBJECT, "sub": OBJECT, "idtyp": "app"}),
            json!({"oid": OBJECT, "azp": APPLICATION, "appid": OBJECT, "idtyp": "app"}),
            json!({"oid": OBJECT, "azp": APPLICATION, "appid": OBJECT, "scp": "x"}),
        ] {
            assert_eq!(subject(claims.clone()), Err(Refusal::Subject), "{claims}");
        }
    }
}
