//! Which spans and events go where.

use anyhow::Context as _;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;

/// Our crates, as `tracing` names them.
const OURS: [&str; 24] = [
    "capacity",
    "catalog",
    "change_log",
    "cluster",
    "commit",
    "data_export",
    "dual_write",
    "demo_erp",
    "fetchxml",
    "gateway",
    "importer",
    "lifecycle",
    "model",
    "odata",
    "organization",
    "provider",
    "query",
    "rpc",
    "rules",
    "schema",
    "tables",
    "telemetry",
    "tombolo",
    "user_context",
];

/// Spans that are exported: ours, from INFO. The transports (h2, hyper, tonic, tower) open a span
/// for every frame at TRACE; exported, these would cost several times the calls they describe, and
/// sending them would open more.
pub(crate) fn traces() -> Targets {
    OURS.iter().fold(Targets::new(), |targets, it| targets.with_target(*it, Level::INFO))
}

/// The target of audit entries, as `rpc::audit` names it.
const AUDIT: &str = "audit";

/// Every audit entry, and nothing else.
pub(crate) fn audit() -> Targets {
    Targets::new().with_target(AUDIT, Level::INFO)
}

/// What is logged: as `RUST_LOG` says; without it, ours from `level` and others' warnings, and of the
/// audit what was denied, which is at WARN.
pub(crate) fn logs(rust_log: Option<&str>, level: Level) -> anyhow::Result<EnvFilter> {
    if let Some(directives) = rust_log {
        return EnvFilter::try_new(directives).context("RUST_LOG cannot be understood");
    }
    let ours = OURS.iter().map(|it| format!(",{it}={level}"));
    EnvFilter::try_new(format!("warn{}", ours.collect::<String>()))
        .context("the default log filter")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_crate_of_the_workspace_is_ours() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut found = BTreeSet::new();
        for folder in ["libs", "services"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.join("Cargo.toml").exists() {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    found.insert(name.replace('-', "_"));
                }
            }
        }
        assert_eq!(found, OURS.iter().map(|it| (*it).to_owned()).collect());
    }

    #[test]
    fn the_transports_spans_are_not_exported() {
        let filter = traces();
        for ours in ["rpc::server", "query", "user_context::token"] {
            assert!(filter.would_enable(ours, &Level::INFO), "{ours}");
            assert!(!filter.would_enable(ours, &Level::DEBUG), "{ours}");
        }
        for other in ["h2::client", "hyper::proto", "tonic::transport", "tower", "sqlx::query"] {
            assert!(!filter.would_enable(other, &Level::ERROR), "{other}");
        }
    }

    #[test]
    fn a_bad_log_filter_is_refused() {
        assert!(logs(Some("a=b=c"), Level::INFO).is_err());
        assert_eq!(logs(Some("h2=debug"), Level::INFO).unwrap().to_string(), "h2=debug");
        assert!(logs(None, Level::DEBUG).unwrap().to_string().contains("query=debug"));
    }
}
