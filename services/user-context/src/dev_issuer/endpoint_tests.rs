//! The endpoints over HTTP, as clients and browsers use them.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, LOCATION};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::Config;
use crate::token::{KeySet, Subject, TokenVerifier};

const PUBLIC: &str = "51f81489-12ee-4a9e-aaae-a2591f45987d";
const IMPORTER: &str = "3C8A6E0B-0c1f-4d3f-8f66-0a6d3a5a6f01";
const REDIRECT: &str = "http://localhost:8400/";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// An issuer that is being served.
struct Served {
    issuer: DevIssuer,
    url: String,
    dir: TempDir,
    http: Client,
    server: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn account(name: &str, display_name: &str, id: u128, application_id: Option<&str>) -> Account {
    Account {
        name: name.into(),
        display_name: display_name.into(),
        object_id: Uuid::from_u128(id),
        application_id: application_id.map(str::to_owned),
    }
}

fn accounts() -> [Account; 3] {
    [
        account("admin", "Administrator", 1, None),
        account("clerk", "<b>\"Clerk\" & 'Co'</b>", 2, None),
        account("importer", "Importer", 3, Some(IMPORTER)),
    ]
}

impl Served {
    async fn start() -> Self {
        Self::start_with(Lifetimes::default(), None).await
    }

    async fn start_with(lifetimes: Lifetimes, organization_url: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let organization_url = organization_url.unwrap_or(&url).to_owned();
        let config = DevIssuerConfig { data_dir: dir.path().into(), organization_url };
        let issuer = DevIssuer::open_with(config, &accounts(), lifetimes).unwrap();
        let router = router(&issuer);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let http = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { issuer, url, dir, http, server }
    }

    fn endpoint(&self, path: &str) -> String {
        format!("{}/{TENANT}/{path}", self.url)
    }

    fn scope(&self) -> String {
        format!("{}/.default openid profile offline_access", self.url)
    }

    fn password(&self) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("issuer/password")).unwrap();
        text.trim().to_owned()
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let mut url = Url::parse(&self.endpoint(path)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        self.http.get(url).send().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.post_with(path, form, HeaderMap::new()).await
    }

    async fn post_with(&self, path: &str, form: &[(&str, &str)], headers: HeaderMap) -> Response {
        let mut body = Url::parse("form:").unwrap();
        body.query_pairs_mut().extend_pairs(form);
        let body = body.query().unwrap_or_default().to_owned();
        let request = self.http.post(self.endpoint(path)).headers(headers);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(body).send().await.unwrap()
    }

    /// A success of the token endpoint.
    async fn token(&self, form: &[(&str, &str)]) -> Value {
        let response = self.post("oauth2/v2.0/token", form).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(headers["cache-control"], "no-store");
        body
    }

    /// A refusal of the token endpoint.
    async fn refusal(&self, form: &[(&str, &str)]) -> (u16, String, u64) {
        refusal(self.post("oauth2/v2.0/token", form).await).await
    }

    async fn subject(&self, answer: &Value) -> Subject {
        let keys = self.http.get(self.endpoint("discovery/v2.0/keys")).send().await.unwrap();
        let keys = KeySet::parse(&keys.text().await.unwrap()).unwrap();
        let verifier = TokenVerifier::new(&Config::new(String::new()), Some(keys)).unwrap();
        let token = answer["access_token"].as_str().unwrap();
        verifier.verify(token).await.unwrap().subject
    }

    fn authorization<'a>(&self, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
        let challenge =
            URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
        let mut parameters = vec![
            ("client_id", PUBLIC.to_owned()),
            ("response_type", "code".to_owned()),
            ("redirect_uri", REDIRECT.to_owned()),
            ("scope", self.scope()),
            ("state", "a state&more".to_owned()),
            ("nonce", "a nonce".to_owned()),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256".to_owned()),
        ];
        for (name, value) in changes {
            parameters.retain(|(it, _)| it != name);
            parameters.push((name, (*value).to_owned()));
        }
        parameters
    }

    async fn authorize(&self, changes: &[(&str, &str)]) -> Response {
        let parameters = self.authorization(changes);
        let parameters: Vec<_> =
            parameters.iter().map(|(it, value)| (*it, value.as_str())).collect();
        self.get("oauth2/v2.0/authorize", &parameters).await
    }

    /// The code for a user who is hinted at.
    async fn code(&self) -> String {
        answer(&self.authorize(&[("login_hint", "CLERK")]).await, "code").unwrap()
    }

    async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> (u16, String, u64) {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", PUBLIC),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in changes {
            form.retain(|(it, _)| it != name);
            form.push((name, value));
        }
        refusal(self.post("oauth2/v2.0/token", &form).await).await
    }

    async fn start_device(&self) -> Value {
        let form = [("client_id", PUBLIC), ("scope", &*self.scope())];
        let response = self.post("oauth2/v2.0/devicecode", &form).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    async fn poll_device(&self, device_code: &str, client: &str) -> Response {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = [("grant_type", grant), ("client_id", client), ("device_code", device_code)];
        self.post("oauth2/v2.0/token", &form).await
    }
}

/// Status, `error`, and the number in front of the description; of a success nothing but the status.
async fn refusal(response: Response) -> (u16, String, u64) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    if status == 200 {
        return (status, String::new(), 0);
    }
    let number = body["error_codes"][0].as_u64().unwrap();
    let description = body["error_description"].as_str().unwrap();
    assert!(description.starts_with(&format!("AADSTS{number}: ")), "{body}");
    (status, body["error"].as_str().unwrap().to_owned(), number)
}

fn error(status: u16, error: &str, number: u64) -> (u16, String, u64) {
    (status, error.to_owned(), number)
}

/// A parameter of the redirect.
fn answer(response: &Response, name: &str) -> Option<String> {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let url = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
    assert!(url.as_str().starts_with(REDIRECT), "{url}");
    url.query_pairs().find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
}

/// A hidden field of a page, whose headers must be what a page's must.
async fn field(response: Response, name: &str) -> (String, String) {
    let headers = response.headers();
    let policy = headers["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
    assert_eq!(
        (&headers["cache-control"], &headers["x-frame-options"]),
        (&"no-store".parse().unwrap(), &"DENY".parse().unwrap())
    );
    let html = response.text().await.unwrap();
    let start = format!("name=\"{name}\" value=\"");
    let value = html.split_once(&start).map(|(_, it)| it.split_once('"').unwrap().0.to_owned());
    (value.unwrap_or_default(), html)
}

fn claims(token: &Value) -> Value {
    let claims = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn clerk() -> Subject {
    Subject::Person { object_id: Some(Uuid::from_u128(2)), names: vec!["clerk".into()] }
}

#[tokio::test]
async fn discovery_leads_to_where_the_client_is() {
    let served = Served::start().await;
    let path = "v2.0/.well-known/openid-configuration";
    let found: Value = served.get(path, &[]).await.json().await.unwrap();
    assert_eq!(found["issuer"], served.endpoint("v2.0"));
    assert_eq!(found["token_endpoint"], served.endpoint("oauth2/v2.0/token"));
    assert_eq!(found["jwks_uri"], served.endpoint("discovery/v2.0/keys"));
    for tenant in ["common", "organizations"] {
        let url = format!("{}/{tenant}/{path}", served.url);
        let same: Value = served.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(same, found);
    }
    let old = served.get(".well-known/openid-configuration", &[]).await;
    let old: Value = old.json().await.unwrap();
    assert_eq!(old["issuer"], served.endpoint(""));
    assert_eq!(old["authorization_endpoint"], served.endpoint("oauth2/authorize"));

    let host = async |host: &str| {
        let request = served.http.get(served.endpoint(path)).header(HOST, host);
        request.send().await.unwrap()
    };
    // Behind something that speaks TLS.
    let found: Value = host("localhost:44300").await.json().await.unwrap();
    assert_eq!(
        found["token_endpoint"],
        format!("https://localhost:44300/{TENANT}/oauth2/v2.0/token")
    );
    let port = Url::parse(&served.url).unwrap().port().unwrap();
    let found: Value = host(&format!("localhost:{port}")).await.json().await.unwrap();
    assert_eq!(found["issuer"], format!("http://localhost:{port}/{TENANT}/v2.0"));
    // A page elsewhere whose name means this machine now.
    for other in ["evil.example", "192.168.0.9", "localhost.evil.example"] {
        let refused = host(&format!("{other}:{port}")).await.status();
        assert_eq!(refused, StatusCode::BAD_REQUEST, "{other}");
    }
    let elsewhere = served.http.get(format!("{}/{}/{path}", served.url, Uuid::from_u128(9)));
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_application_signs_in_with_its_secret() {
    let served = Served::start().await;
    let secret = served.issuer.0.secrets.of(IMPORTER);
    let scope = format!("{}/.default", served.url);
    let form = |secret| {
        [
            ("grant_type", "client_credentials"),
            ("client_id", IMPORTER),
            ("scope", &*scope),
            ("client_secret", secret),
        ]
    };
    let application = Subject::Application {
        application_id: IMPORTER.to_lowercase(),
        object_id: Some(Uuid::from_u128(3)),
    };
    let answer = served.token(&form(&secret)).await;
    assert_eq!(served.subject(&answer).await, application);
    assert!(answer.get("refresh_token").or(answer.get("id_token")).is_none(), "{answer}");

    let mut headers = HeaderMap::new();
    let basic = STANDARD.encode(format!("{IMPORTER}:{secret}"));
    headers.insert(AUTHORIZATION, format!("Basic {basic}").parse().unwrap());
    let resource = format!("{}/", served.url);
    let form_1 = [("grant_type", "client_credentials"), ("resource", &*resource)];
    let answer = served.post_with("oauth2/token", &form_1, headers).await;
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(served.subject(&answer).await, application);
    let said = claims(&answer["access_token"]);
    assert_eq!((&said["ver"], &said["aud"]), (&json!("1.0"), &json!(resource)));
    assert_eq!(said["appid"], IMPORTER.to_lowercase());

    let public = served.issuer.0.secrets.of(PUBLIC);
    for (changes, expected) in [
        (("client_secret", "guess"), error(401, "invalid_client", 7_000_215)),
        (("client_secret", ""), error(401, "invalid_client", 7_000_218)),
        (("client_id", &*Uuid::nil().to_string()), error(400, "unauthorized_client", 700_016)),
        (("client_id", ""), error(400, "invalid_request", 900_144)),
        (("grant_type", "implicit"), error(400, "unsupported_grant_type", 70_003)),
        (("scope", "https://other.example/.default"), error(400, "invalid_resource", 500_011)),
        (("scope", "User.Read"), error(400, "invalid_scope", 70_011)),
        (("client_assertion", "x"), error(401, "invalid_client", 7_000_218)),
    ] {
        let mut form = form(&secret).to_vec();
        form.retain(|(it, _)| *it != changes.0);
        form.push(changes);
        assert_eq!(served.refusal(&form).await, expected, "{changes:?}");
    }
    // A client that everybody has is no application, whatever it says.
    let form = [("grant_type", "client_credentials"), ("client_id", PUBLIC)];
    assert_eq!(served.refusal(&form).await, error(401, "invalid_client", 7_000_218));
    let form = [form[0], form[1], ("client_secret", &public)];
    assert_eq!(served.refusal(&form).await, error(401, "invalid_client", 7_000_215));
    // The id of an application that is gone.
    served.issuer.describe(&accounts()[..2]).unwrap();
    let refused = error(400, "unauthorized_client", 700_016);
    assert_eq!(served.refusal(&form_of(IMPORTER, &secret)).await, refused);
}

fn form_of<'a>(client: &'a str, secret: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)]
}

#[tokio::test]
async fn a_code_is_good_once_for_its_client_and_verifier() {
    let served = Served::start().await;
    let redirect = served.authorize(&[("login_hint", "Clerk")]).await;
    assert_eq!(answer(&redirect, "state").as_deref(), Some("a state&more"));
    let code = answer(&redirect, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", PUBLIC),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let tokens = served.token(&form).await;
    assert_eq!(served.subject(&tokens).await, clerk());
    let identity = claims(&tokens["id_token"]);
    assert_eq!((&identity["aud"], &identity["nonce"]), (&json!(PUBLIC), &json!("a nonce")));
    assert_eq!(identity["iss"], served.endpoint("v2.0"));
    let used = error(400, "invalid_grant", 70_008);
    assert_eq!(served.redeem(&code, &[]).await, used, "replayed");
    assert_eq!(served.redeem("guess", &[]).await, used);
    for (changes, expected) in [
        (("code_verifier", &*VERIFIER.to_lowercase()), error(400, "invalid_grant", 501_481)),
        (("redirect_uri", "http://localhost:8401/"), error(400, "invalid_grant", 700_005)),
        (("client_id", IMPORTER), error(400, "invalid_grant", 700_005)),
    ] {
        let code = served.code().await;
        assert_eq!(served.redeem(&code, &[changes]).await, expected, "{changes:?}");
        assert_eq!(served.redeem(&code, &[]).await, used, "a failed try uses it up");
    }
    let code = served.code().await;
    let missing = error(400, "invalid_request", 900_144);
    assert_eq!(served.redeem(&code, &[("code_verifier", "")]).await, missing);
    assert_eq!(served.redeem(&code, &[]).await, error(200, "", 0));
    let code = served.code().await;
    served.issuer.describe(&accounts()[..1]).unwrap();
    assert_eq!(served.redeem(&code, &[]).await, error(400, "invalid_grant", 50_034), "gone");
}

#[tokio::test]
async fn what_has_expired_is_of_no_use() {
    let none = Duration::ZERO;
    let lifetimes = Lifetimes { code: none, device: none, refresh: none };
    let served = Served::start_with(lifetimes, None).await;
    let code = served.code().await;
    assert_eq!(served.redeem(&code, &[]).await, error(400, "invalid_grant", 70_008));
    let device = served.start_device().await;
    let device = device["device_code"].as_str().unwrap();
    let expired = error(400, "expired_token", 70_020);
    assert_eq!(refusal(served.poll_device(device, PUBLIC).await).await, expired);
    let password = served.password();
    let tokens = served
        .token(&[
            ("grant_type", "password"),
            ("client_id", PUBLIC),
            ("scope", &served.scope()),
            ("username", "clerk"),
            ("password", &password),
        ])
        .await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", PUBLIC),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    assert_eq!(served.refusal(&form).await, error(400, "invalid_grant", 70_000));
    let (page, _) = field(served.authorize(&[]).await, "request").await;
    let form = [("request", &*page), ("user", "clerk")];
    let late = served.post("oauth2/v2.0/authorize", &form).await;
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_bad_authorization_request_goes_nowhere_or_back() {
    let served = Served::start().await;
    for changes in [
        ("client_id", &*Uuid::nil().to_string()),
        ("client_id", ""),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", ""),
    ] {
        let response = served.authorize(&[changes, ("login_hint", "admin")]).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{changes:?}");
        assert!(response.headers().get(LOCATION).is_none());
        field(response, "").await;
    }
    for (name, value, expected) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("scope", "https://other.example/.default", "invalid_resource"),
        ("prompt", "none", "login_required"),
    ] {
        let response = served.authorize(&[(name, value)]).await;
        assert_eq!(answer(&response, "error").as_deref(), Some(expected), "{name}={value}");
        assert_eq!(answer(&response, "state").as_deref(), Some("a state&more"));
        assert_eq!(answer(&response, "code"), None);
    }
}

#[tokio::test]
async fn a_user_is_chosen_on_a_page_that_is_good_once() {
    let served = Served::start().await;
    let (page, html) = field(served.authorize(&[]).await, "request").await;
    assert!(html.contains("&lt;b&gt;&quot;Clerk&quot; &amp; &#39;Co&#39;&lt;/b&gt;"), "{html}");
    assert!(!html.contains("<b>") && !html.contains("importer"), "{html}");
    let form = [("request", &*page), ("user", "clerk")];
    let chosen = served.post("oauth2/v2.0/authorize", &form).await;
    let code = answer(&chosen, "code").unwrap();
    assert_eq!(served.redeem(&code, &[]).await, error(200, "", 0));
    for form in [&form[..], &[("user", "admin")], &[("request", "guess"), ("user", "admin")]] {
        let again = served.post("oauth2/v2.0/authorize", form).await;
        assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    }
    // An application is nobody to sign in as.
    let (page, _) = field(served.authorize(&[("login_hint", "importer")]).await, "request").await;
    let form = [("request", &*page), ("user", "importer")];
    let (page, html) = field(served.post("oauth2/v2.0/authorize", &form).await, "request").await;
    assert!(html.contains("no such user") && !page.is_empty(), "{html}");
    // The answer as a form, which the page sends by itself.
    let changes = [("login_hint", "clerk"), ("response_mode", "form_post")];
    let response = served.authorize(&changes).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'sha256-") && policy.contains("http://localhost:8400"));
    let (code, html) = field(response, "code").await;
    assert!(html.contains("value=\"a state&amp;more\""), "{html}");
    assert_eq!(served.redeem(&code, &[]).await, error(200, "", 0));
}

#[tokio::test]
async fn where_others_may_reach_it_the_page_wants_the_password() {
    // Whoever listens to others has a certificate, whatever its URL says.
    for organization in ["https://erp.example:8443", "https://127.0.0.1:8443"] {
        check_password_page(organization).await;
    }
}

async fn check_password_page(organization: &str) {
    let served = Served::start_with(Lifetimes::default(), Some(organization)).await;
    let scope = &*format!("{organization}/.default");
    let changes = [("scope", scope), ("login_hint", "admin")];
    let (page, html) = field(served.authorize(&changes).await, "request").await;
    assert!(html.contains("type=\"password\""), "{html}");
    assert!(!html.contains("clerk"), "who may sign in is not told to everybody: {html}");
    for (user, guess) in [("admin", ""), ("admin", "guess"), ("nobody", "guess")] {
        let (page, _) = field(served.authorize(&changes).await, "request").await;
        let form = [("request", &*page), ("user", user), ("password", guess)];
        let refused = served.post("oauth2/v2.0/authorize", &form).await;
        assert_eq!(refused.status(), StatusCode::OK);
        let (_, html) = field(refused, "request").await;
        assert!(html.contains("not the password"), "{html}");
    }
    let password = served.password();
    let form = [("request", &*page), ("user", "admin"), ("password", &*password)];
    let chosen = served.post("oauth2/v2.0/authorize", &form).await;
    assert!(answer(&chosen, "code").is_some());

    let form = [("client_id", PUBLIC), ("scope", scope)];
    let device = served.post("oauth2/v2.0/devicecode", &form).await;
    let device: Value = device.json().await.unwrap();
    let user_code = device["user_code"].as_str().unwrap();
    let asked = served.post("oauth2/deviceauth", &[("code", user_code)]).await;
    let (page, _) = field(asked, "request").await;
    let form = [("request", &*page), ("user", "admin"), ("password", "guess")];
    let refused = served.post("oauth2/deviceauth", &form).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_device_waits_until_somebody_enters_its_code() {
    let served = Served::start().await;
    let device = served.start_device().await;
    let [device_code, user_code] =
        ["device_code", "user_code"].map(|it| device[it].as_str().unwrap());
    let pending = error(400, "authorization_pending", 70_016);
    assert_eq!(refusal(served.poll_device(device_code, PUBLIC).await).await, pending);
    let unknown = error(400, "bad_verification_code", 70_019);
    assert_eq!(refusal(served.poll_device("guess", PUBLIC).await).await, unknown);
    assert_eq!(refusal(served.poll_device(device_code, IMPORTER).await).await, unknown);

    let link = served.get("oauth2/deviceauth", &[("otc", "\"><script>")]).await;
    let (code, _) = field(link, "code").await;
    assert_eq!(code, "SCRIPT");
    let wrong = served.post("oauth2/deviceauth", &[("code", "AAAAAAAA")]).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let typed = format!("{} {}", user_code[..4].to_lowercase(), &user_code[4..]);
    let asked = served.post("oauth2/deviceauth", &[("code", &typed)]).await;
    let (page, _) = field(asked, "request").await;
    // The code alone, which the one who started this knows, chooses nobody.
    served.post("oauth2/deviceauth", &[("code", user_code), ("user", "admin")]).await;
    assert_eq!(refusal(served.poll_device(device_code, PUBLIC).await).await, pending);

    let chosen = [("request", &*page), ("user", "clerk")];
    assert_eq!(served.post("oauth2/deviceauth", &chosen).await.status(), StatusCode::OK);
    let again = served.post("oauth2/deviceauth", &chosen).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    let tokens = served.poll_device(device_code, PUBLIC).await;
    assert_eq!(tokens.status(), StatusCode::OK);
    let tokens: Value = tokens.json().await.unwrap();
    assert_eq!(served.subject(&tokens).await, clerk());
    assert_eq!(refusal(served.poll_device(device_code, PUBLIC).await).await, unknown, "once");
}

#[tokio::test]
async fn passwords_and_refresh_tokens_are_checked() {
    let served = Served::start().await;
    let (password, scope) = (served.password(), served.scope());
    let form = |user, password| {
        [
            ("grant_type", "password"),
            ("client_id", PUBLIC),
            ("scope", &*scope),
            ("username", user),
            ("password", password),
        ]
    };
    let wrong = error(400, "invalid_grant", 50_126);
    assert_eq!(served.refusal(&form("clerk", "guess")).await, wrong);
    assert_eq!(served.refusal(&form("nobody", "guess")).await, wrong);
    assert_eq!(served.refusal(&form("nobody", &password)).await, wrong);
    assert_eq!(served.refusal(&form("importer", &password)).await, wrong);
    let tokens = served.token(&form("clerk", &password)).await;
    assert_eq!(served.subject(&tokens).await, clerk());
    let said = claims(&tokens["access_token"]);
    assert_eq!((&said["scp"], &said["azp"]), (&json!("user_impersonation"), &json!(PUBLIC)));

    let refresh = |token, client| {
        [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]
    };
    let first = tokens["refresh_token"].as_str().unwrap();
    let next = served.token(&refresh(first, PUBLIC)).await;
    assert_eq!(served.subject(&next).await, clerk());
    let bad = error(400, "invalid_grant", 70_000);
    assert_eq!(served.refusal(&refresh(first, PUBLIC)).await, bad, "replayed");
    let second = next["refresh_token"].as_str().unwrap();
    assert_eq!(served.refusal(&refresh(second, IMPORTER)).await, bad, "of another client");
    // Without `offline_access` there is none; and an id token is not for the organization.
    let short = [("scope", "openid")];
    let form: Vec<_> = form("clerk", &*password).into_iter().filter(|it| it.0 != "scope").collect();
    let tokens = served.token(&[&form[..], &short[..]].concat()).await;
    assert!(tokens.get("refresh_token").is_none(), "{tokens}");
    let keys = KeySet::parse(&serde_json::to_string(served.issuer.jwks()).unwrap()).unwrap();
    let verifier = TokenVerifier::new(&Config::new(String::new()), Some(keys)).unwrap();
    assert!(verifier.verify(tokens["id_token"].as_str().unwrap()).await.is_err());
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let served = Served::start().await;
    let url = served.endpoint("oauth2/v2.0/token");
    let json = served.http.post(&url).header(CONTENT_TYPE, "application/json").body("{}");
    let refused = error(400, "invalid_request", 9_002_313);
    assert_eq!(refusal(json.send().await.unwrap()).await, refused);
    let twice = [("client_id", PUBLIC), ("client_id", IMPORTER)];
    assert_eq!(served.refusal(&twice).await, refused);
    let long = "x".repeat(100_000);
    assert_eq!(served.refusal(&[("client_id", &*long)]).await, refused);
}
