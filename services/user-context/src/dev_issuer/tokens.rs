//! What the issuer's tokens say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::Error;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use uuid::Uuid;

use super::{Account, TENANT};

/// The delegated permission that every user of the organization has.
const DELEGATED: &str = "user_impersonation";

/// Which endpoints were asked: those with `resource`, or those with `scope` and `/v2.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// Signs with the issuer's key.
pub(super) struct Signer {
    key: EncodingKey,
    public: Jwk,
}

/// What an access token is to say.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub(super) version: Version,
    /// The organization's URL as the client knows it.
    pub(super) resource: &'a str,
    pub(super) account: &'a Account,
    pub(super) client_id: Option<&'a str>,
    pub(super) with_secret: bool,
    pub(super) lifetime: Duration,
}

/// What an id token is to say.
#[derive(Debug)]
pub(super) struct Identity<'a> {
    pub(super) version: Version,
    /// Where the client found the issuer.
    pub(super) base: &'a str,
    pub(super) account: &'a Account,
    pub(super) client_id: &'a str,
    pub(super) nonce: Option<&'a str>,
    pub(super) lifetime: Duration,
}

/// In both kinds of tokens.
#[derive(Serialize)]
struct Common<'a> {
    ver: &'static str,
    iss: String,
    aud: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    tid: Uuid,
    oid: Uuid,
    sub: Uuid,
    #[serde(flatten)]
    names: Names<'a>,
}

/// Of a person.
#[derive(Default, Serialize)]
struct Names<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_name: Option<&'a str>,
}

#[derive(Serialize)]
struct AccessClaims<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    idtyp: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scp: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azpacr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    appid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    appidacr: Option<&'static str>,
}

#[derive(Serialize)]
struct IdentityClaims<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

// === impl Version ===

impl Version {
    pub(super) const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The name of the issuer of an organization at this URL.
    pub(super) fn issuer_at(self, organization_url: &str) -> String {
        match self {
            Self::V1 => format!("{organization_url}/{TENANT}/"),
            Self::V2 => format!("{organization_url}/{TENANT}/v2.0"),
        }
    }

    fn number(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

// === impl Signer ===

impl Signer {
    pub(super) fn new(key: EncodingKey) -> Result<Self, Error> {
        let mut public = Jwk::from_encoding_key(&key, Algorithm::RS256)?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, public })
    }

    pub(super) fn public_key(&self) -> &Jwk {
        &self.public
    }

    pub(super) fn access_token(&self, access: &Access<'_>) -> Result<String, Error> {
        let &Access { version, account, client_id, .. } = access;
        let is_application = account.application_id.is_some();
        let strength = client_id.map(|_| if access.with_secret { "1" } else { "0" });
        let of = |it: Version| version == it;
        // The issuer of the token is where the organization is, whatever path led here.
        let issuer = version.issuer_at(access.resource.trim_end_matches('/'));
        self.sign(&AccessClaims {
            common: common(version, issuer, access.resource, account, access.lifetime),
            idtyp: if is_application { "app" } else { "user" },
            scp: (!is_application).then_some(DELEGATED),
            azp: client_id.filter(|_| of(Version::V2)),
            azpacr: strength.filter(|_| of(Version::V2)),
            appid: client_id.filter(|_| of(Version::V1)),
            appidacr: strength.filter(|_| of(Version::V1)),
        })
    }

    pub(super) fn id_token(&self, identity: &Identity<'_>) -> Result<String, Error> {
        let &Identity { version, base, account, client_id, nonce, lifetime } = identity;
        let issuer = version.issuer_at(base);
        let common = common(version, issuer, client_id, account, lifetime);
        self.sign(&IdentityClaims { common, nonce })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.public.common.key_id);
        jsonwebtoken::encode(&header, claims, &self.key)
    }
}

fn common<'a>(
    version: Version,
    issuer: String,
    audience: &'a str,
    account: &'a Account,
    lifetime: Duration,
) -> Common<'a> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = Some(account.name.as_str());
    let names = match (&account.application_id, version) {
        (Some(_), _) => Names::default(),
        (None, Version::V1) => Names { upn: name, unique_name: name, ..Names::default() },
        (None, Version::V2) => Names { preferred_username: name, ..Names::default() },
    };
    let display_name = account.application_id.is_none().then_some(account.display_name.as_str());
    Common {
        ver: version.number(),
        iss: issuer,
        aud: audience,
        iat: now,
        nbf: now,
        exp: now.saturating_add(lifetime.as_secs()),
        tid: TENANT,
        oid: account.object_id,
        sub: account.object_id,
        names: Names { name: display_name, ..names },
    }
}
