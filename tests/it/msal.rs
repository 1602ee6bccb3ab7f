//! Signing in as clients do elsewhere: MSAL and azure-identity for Python, which know nothing of us
//! and insist on HTTPS.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::run_tombolo;
use tokio::time::{interval, timeout};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World: msal_and_azure_identity_sign_in_every_way];

const USER: &str = "usmf-clerk";
const APPLICATION: &str = "msal-importer";
const APPLICATION_ID: &str = "9F0C52B4-6a51-4c8e-8f5e-2f1c6d7b3a10";
const TENANT: &str = "8f1f3c52-6d0e-4b7a-9c35-2e64d1a7b9f0";
const PATIENCE: Duration = Duration::from_secs(20);

async fn msal_and_azure_identity_sign_in_every_way(world: &World) -> Result<()> {
    let data = world.data().display().to_string();
    let server = ["--server", &world.system.grpc, "--data", &data];
    let set = ["user", "set", APPLICATION, "--application-id", APPLICATION_ID, "--company", "*"];
    let made = run_tombolo(&[&set[..], &server[..]].concat()).await?;
    ensure!(made.status.success(), "{made:?}");
    let secret = timeout(PATIENCE, secret(world)).await.context("the issuer is not told")??;
    let password = std::fs::read_to_string(world.data().join("issuer/password"))?;
    let variables = [
        ("TENANT", TENANT),
        ("USER_NAME", USER),
        ("PASSWORD", password.trim()),
        ("APPLICATION_ID", APPLICATION_ID),
        ("APPLICATION_SECRET", &secret),
    ];
    let got = tests::python::run_securely_with("msal_flows.py", &world.clerk, &variables).await?;

    let user = world.clerk.json("WhoAmI").await?["UserId"].clone();
    let application = world.system.web(APPLICATION).await?;
    let application = application.json("WhoAmI").await?["UserId"].clone();
    ensure!(user.is_string() && application.is_string() && user != application);
    for library in ["msal", "azure"] {
        let got = &got[library];
        ensure!(got["secret"] == application, "{library}: {}", got["secret"]);
        for flow in ["interactive", "password"] {
            ensure!(got[flow] == user, "{library} {flow}: {}", got[flow]);
        }
        for (flow, number) in [("wrong secret", "AADSTS7000215"), ("wrong password", "AADSTS50126")]
        {
            let told = got[flow].as_str().is_some_and(|it| it.contains(number));
            ensure!(told, "{library} {flow}: {}", got[flow]);
        }
    }
    ensure!(got["azure"]["device"] == user, "{}", got["azure"]["device"]);
    let device = &got["msal"]["device"];
    ensure!(device["early"] == "authorization_pending" && device["then"] == user, "{device}");
    let code = &got["msal"]["code"];
    ensure!(code["first"] == user && code["refreshed"] == user, "{code}");
    ensure!(code["name"] == USER && code["account"] == USER && code["cached"] == true, "{code}");
    let replayed = code["replayed"].as_str().unwrap_or_default();
    ensure!(replayed.contains("AADSTS70008"), "{code}");
    Ok(())
}

/// The application's secret, once the issuer has written it down.
async fn secret(world: &World) -> Result<String> {
    let mut look = interval(Duration::from_millis(20));
    loop {
        look.tick().await;
        let text = std::fs::read_to_string(world.data().join("issuer/issuer.json"))?;
        let description: Value = serde_json::from_str(&text)?;
        let users = description["users"].as_array().context("no users")?;
        let found = users.iter().find(|it| it["name"] == APPLICATION);
        if let Some(secret) = found.and_then(|it| it["client_secret"].as_str()) {
            return Ok(secret.to_owned());
        }
    }
}
