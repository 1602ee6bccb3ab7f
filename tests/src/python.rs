//! Clients that run on Python.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::tls::Terminator;
use crate::{Web, workspace};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `tests/clients/SCRIPT`, which is told where the server is and prints JSON.
pub async fn run(script: &str, web: &Web) -> Result<Value> {
    run_at(script, web, web.base().trim_end_matches("api/data/v9.2/"), None, &[]).await
}

/// Runs it against HTTPS.
pub async fn run_securely(script: &str, web: &Web) -> Result<Value> {
    run_securely_with(script, web, &[]).await
}

/// Runs it against HTTPS, with more environment variables.
pub async fn run_securely_with(
    script: &str,
    web: &Web,
    variables: &[(&str, &str)],
) -> Result<Value> {
    let terminator = Terminator::start(web.authority()).await?;
    run_at(script, web, terminator.url(), Some(&terminator.certificate()), variables).await
}

async fn run_at(
    script: &str,
    web: &Web,
    url: &str,
    certificate: Option<&Path>,
    variables: &[(&str, &str)],
) -> Result<Value> {
    let cache = std::env::var_os("TOMBOLO_CACHE").map(PathBuf::from);
    let python = cache.unwrap_or_else(|| workspace().join(".cache")).join("venv/bin/python");
    ensure!(python.exists(), "run scripts/test-tools.sh, which brings {}", python.display());
    let mut command = Command::new(python);
    command.arg(script).current_dir(workspace().join("tests/clients")).kill_on_drop(true);
    command.env("SERVER_URL", url).envs(variables.iter().copied());
    if let Some(certificate) = certificate {
        command.env("REQUESTS_CA_BUNDLE", certificate);
    }
    command.env("TOKEN", web.token()).stdin(Stdio::null());
    let output = timeout(PATIENCE, command.output()).await.context("the client does not end")?;
    let output = output.context("start python")?;
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{script}: {}\n{stdout}\n{stderr}", output.status);
    serde_json::from_str(&stdout).with_context(|| format!("not JSON: {stdout}"))
}
