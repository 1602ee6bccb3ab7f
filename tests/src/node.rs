//! Clients that run on Node.js.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::{Web, workspace};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `tests/clients/SCRIPT`, which is told where the server is and prints JSON.
pub async fn run(script: &str, web: &Web) -> Result<Value> {
    run_with(script, web, &[]).await
}

/// The same with environment variables of its own.
pub async fn run_with(script: &str, web: &Web, variables: &[(&str, &str)]) -> Result<Value> {
    let folder = workspace().join("tests/clients");
    let installed = folder.join("node_modules").exists();
    ensure!(installed, "run `npm ci` in {}", folder.display());
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder).kill_on_drop(true);
    command.env("SERVER_URL", web.base().trim_end_matches("api/data/v9.2/"));
    command.env("TOKEN", web.token()).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = timeout(PATIENCE, command.output()).await.context("the client does not end")?;
    let output = output.context("start node")?;
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{script}: {}\n{stdout}\n{stderr}", output.status);
    serde_json::from_str(&stdout).with_context(|| format!("not JSON: {stdout}"))
}
