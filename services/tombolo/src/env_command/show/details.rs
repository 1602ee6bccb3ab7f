//! One environment with everything, and the prerequisites of one setup.

use proto::lifecycle::v1 as pb;

use super::{ERP, PLATFORM, link, yes};
use crate::names::Environment;
use crate::print::{Table, phrase, properties, when, word};

/// With what is known of its link, where that was asked for.
pub(in crate::env_command) fn environment(it: &Environment, link: Option<&pb::Link>) -> String {
    let (own, other) = match it {
        Environment::Erp(it) => (erp(it), link.map(|it| it.platform_environment.clone())),
        Environment::Platform(it) => {
            (platform(it), link.map(|it| it.finance_and_operations_environment.clone()))
        }
    };
    let dual_write = link.map(super::dual_write).unwrap_or_default();
    let since = link.map(|it| when(it.create_time.as_ref())).unwrap_or_default();
    let linked = [
        ("linked with", other.unwrap_or_default()),
        ("linked since", since),
        ("template", link.map(|it| it.template.clone()).unwrap_or_default()),
        ("dual-write", dual_write),
    ];
    [own, properties(&linked)].concat()
}

fn erp(it: &pb::FinanceAndOperationsEnvironment) -> String {
    properties(&[
        ("name", it.name.clone()),
        ("display name", it.display_name.clone()),
        ("kind", ERP.to_owned()),
        ("type", word::<pb::FinanceAndOperationsEnvironmentType>(it.r#type)),
        ("state", word::<pb::FinanceAndOperationsEnvironmentState>(it.state)),
        ("url", it.url.clone()),
        ("environment id", it.environment_id.clone()),
        ("tenant id", it.tenant_id.clone()),
        ("region", it.region.clone()),
        ("version", it.version.clone()),
        ("administrator", it.administrator.clone()),
        ("database", it.database.clone()),
        ("initial environment", it.initial_platform_environment.clone()),
        ("link", it.link.clone()),
        ("created", when(it.create_time.as_ref())),
    ])
}

fn platform(it: &pb::PlatformEnvironment) -> String {
    let database = it.database.clone().unwrap_or_default();
    let apps = it.database.as_ref().map(|it| yes(it.d365_apps_enabled));
    properties(&[
        ("name", it.name.clone()),
        ("display name", it.display_name.clone()),
        ("kind", PLATFORM.to_owned()),
        ("type", word::<pb::PlatformEnvironmentType>(it.r#type)),
        ("state", word::<pb::PlatformEnvironmentState>(it.state)),
        ("url", database.url),
        ("tenant id", it.tenant_id.clone()),
        ("location", it.location.clone()),
        ("region", it.region.clone()),
        ("link", link(it)),
        ("finance and operations", it.finance_and_operations_url.clone()),
        ("database", database.database_name),
        ("organization id", database.organization_id),
        ("language", database.language),
        ("currency", database.currency_code),
        ("D365 apps enabled", apps.unwrap_or_default()),
        ("created", when(it.create_time.as_ref())),
        ("deleted", when(it.delete_time.as_ref())),
    ])
}

pub(in crate::env_command) fn checks(answer: &pb::CheckPrerequisitesResponse) -> String {
    let rows = answer.checks.iter().map(|it| {
        let result = match (it.skipped, it.passed) {
            (true, _) => "does not apply",
            (false, true) => "ok",
            (false, false) => "fails",
        };
        vec![
            format!("P{}", it.prerequisite),
            phrase::<pb::Prerequisite>(it.prerequisite),
            result.to_owned(),
            it.message.clone(),
        ]
    });
    let mut text = Table::new(&["#", "PREREQUISITE", "RESULT", ""]).rows(rows).to_string();
    let failed = answer.checks.iter().filter(|it| !it.passed && !it.skipped);
    let helps = failed.filter(|it| !it.help.is_empty());
    let helps: Vec<String> =
        helps.map(|it| format!("  P{} {}\n", it.prerequisite, it.help)).collect();
    if !helps.is_empty() {
        text += &format!("\nWhat to do:\n{}", helps.concat());
    }
    for warning in &answer.warnings {
        text += &format!("\nwarning: {warning}\n");
    }
    text
}
