//! Every setting of the lifecycle service.

use std::path::PathBuf;

use serde::Deserialize;
use uuid::Uuid;

use crate::StartError;

/// Settings of the lifecycle service.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tenant's database; the service keeps to the schema `lifecycle` in it.
    pub database_url: String,
    /// The platform's server, as a role that may create databases and roles: platform environments'
    /// databases are made there. Which database it names does not matter.
    pub platform_server_url: String,
    /// The ERP's server, as a role that may create databases where environments are to be deployed, and
    /// read sizes otherwise.
    pub erp_server_url: String,
    /// A database of the ERP's server that a new finance-and-operations environment is a copy of. Absent:
    /// they are made of databases that exist.
    pub erp_template: Option<String>,
    /// Where backups are kept.
    pub backup_dir: PathBuf,
    /// Where `pg_dump` and `pg_restore` are. Absent: as PostgreSQL itself is searched for.
    pub pg_bin: Option<PathBuf>,
    /// An operator's own add-ins, a TOML file each, besides those that come with the program.
    pub add_in_dir: Option<PathBuf>,
    /// The tenant that all environments are of.
    pub tenant_id: Uuid,
    /// The Web API of a platform environment; `{host}` stands for its host name.
    #[serde(default = "Config::default_web_api_url")]
    pub web_api_url: String,
    /// The ERP of a finance-and-operations environment; `{name}` stands for its name.
    #[serde(default = "Config::default_erp_url")]
    pub erp_url: String,
    /// Operations at work at once.
    #[serde(default = "Config::default_workers")]
    pub workers: usize,
    /// How often a stage is tried again by itself before its operation waits for somebody.
    #[serde(default = "Config::default_retries")]
    pub retries: usize,
    /// Before the first of these; each next one waits twice as long, up to a quarter of a minute.
    #[serde(default = "Config::default_retry_delay_milliseconds")]
    pub retry_delay_milliseconds: u64,
}

impl Config {
    /// What can be judged without asking anybody.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let bad = |text: String| Err(StartError::Config(text));
        for (setting, url, placeholder) in
            [("web_api_url", &self.web_api_url, "{host}"), ("erp_url", &self.erp_url, "{name}")]
        {
            let host = url.split_once("://").map(|it| it.1.split('/').next().unwrap_or_default());
            if !host.is_some_and(|it| it.contains(placeholder)) {
                return bad(format!(
                    "lifecycle's `{setting}` needs `{placeholder}` in its host: without it all environments \
                     would have one URL"
                ));
            }
        }
        if self.workers == 0 {
            return bad("lifecycle's `workers` is 0: no operation would ever be done".to_owned());
        }
        Ok(())
    }

    fn default_web_api_url() -> String {
        "https://{host}.crm.dynamics.com".to_owned()
    }

    fn default_erp_url() -> String {
        "https://{name}.operations.dynamics.com".to_owned()
    }

    fn default_workers() -> usize {
        4
    }

    fn default_retries() -> usize {
        8
    }

    fn default_retry_delay_milliseconds() -> u64 {
        500
    }
}

impl std::fmt::Debug for Config {
    /// Without the URLs, which hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("tenant_id", &self.tenant_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: serde_json::Value) -> Result<(), String> {
        let mut settings = serde_json::json!({
            "database_url": "postgres://localhost/tenant",
            "platform_server_url": "postgres://localhost/platform",
            "erp_server_url": "postgres://localhost/erp",
            "backup_dir": "backups",
            "tenant_id": Uuid::nil(),
        });
        for (setting, value) in change.as_object().unwrap() {
            settings[setting] = value.clone();
        }
        let config: Config = serde_json::from_value(settings).unwrap();
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn what_no_operation_could_work_with_is_refused() {
        check(serde_json::json!({})).unwrap();
        check(serde_json::json!({"web_api_url": "http://{host}.{crm}.localhost:1/x"})).unwrap();
        for (setting, value) in [
            ("web_api_url", serde_json::json!("https://contoso.test/{host}")),
            ("erp_url", serde_json::json!("https://erp.test")),
            ("erp_url", serde_json::json!("{name}.erp.test")),
            ("workers", serde_json::json!(0)),
        ] {
            let text = check(serde_json::json!({setting: value})).unwrap_err();
            assert!(text.contains(setting), "{text}");
        }
    }
}
