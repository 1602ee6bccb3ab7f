//! What operations are going to need, looked at when the service starts: an operator learns of it before the first
//! operation fails.

use std::path::Path;

use super::dump::make_directory;
use super::{DatabaseError, Databases, Server};

impl Databases {
    /// Writes warnings to the log. Servers come and go, so that nobody is kept from starting.
    pub(crate) async fn warn_of_what_is_missing(&self) {
        for text in self.what_is_missing().await {
            tracing::warn!("{text}");
        }
    }

    /// A sentence each.
    pub(super) async fn what_is_missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (setting, server) in
            [("platform_server_url", &self.platform), ("erp_server_url", &self.erp)]
        {
            if let Err(error) = server.exists(super::server::MAINTENANCE).await {
                missing.push(format!("lifecycle's `{setting}`: {error}"));
            }
        }
        missing.extend(self.without_template().await);
        if let Some(name) = self.programs.missing() {
            let error = DatabaseError::NoProgram(name);
            missing.push(format!("nothing can be copied, backed up or restored: {error}"));
        }
        missing.extend(without_directory(&self.backup_dir).await);
        missing
    }

    async fn without_template(&self) -> Option<String> {
        let template = self.erp_template.as_ref()?;
        // A server that does not answer was told of.
        let there = Server::exists(&self.erp, template).await.unwrap_or(true);
        (!there)
            .then(|| format!("lifecycle's `erp_template`: there is no database `{template}` yet"))
    }
}

async fn without_directory(directory: &Path) -> Option<String> {
    let path = directory.to_owned();
    let made = tokio::task::spawn_blocking(move || make_directory(&path)).await.ok()?;
    let text = |error| format!("lifecycle's `backup_dir`, `{}`: {error}", directory.display());
    made.err().map(text)
}
