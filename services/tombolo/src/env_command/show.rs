//! Environments, links and operations, as people and programs see them.

mod details;

use proto::lifecycle::v1 as pb;
use serde_json::{Value, json};

use crate::names::Environment;
use crate::print::{Shown as _, Table, plain, properties, when, word};

pub(super) use details::{checks, environment};

const ERP: &str = "finance-and-operations";
const PLATFORM: &str = "platform";

pub(super) fn json(environments: &[Environment]) -> Value {
    environments.iter().map(json_of).collect()
}

/// The message, and of which half it is.
pub(super) fn json_of(environment: &Environment) -> Value {
    let (kind, mut it) = match environment {
        Environment::Erp(it) => (ERP, it.json()),
        Environment::Platform(it) => (PLATFORM, it.json()),
    };
    if let Some(it) = it.as_object_mut() {
        it.insert("kind".to_owned(), json!(kind));
    }
    it
}

pub(super) fn environments(environments: &[Environment]) -> Table {
    let head = ["NAME", "DISPLAY NAME", "KIND", "TYPE", "STATE", "LINK", "URL"];
    Table::new(&head).rows(environments.iter().map(|it| match it {
        Environment::Erp(it) => vec![
            plain(&it.name).to_owned(),
            it.display_name.clone(),
            ERP.to_owned(),
            word::<pb::FinanceAndOperationsEnvironmentType>(it.r#type),
            word::<pb::FinanceAndOperationsEnvironmentState>(it.state),
            plain(&it.link).to_owned(),
            it.url.clone(),
        ],
        Environment::Platform(it) => vec![
            plain(&it.name).to_owned(),
            it.display_name.clone(),
            PLATFORM.to_owned(),
            word::<pb::PlatformEnvironmentType>(it.r#type),
            word::<pb::PlatformEnvironmentState>(it.state),
            link(it),
            it.database.as_ref().map(|it| it.url.clone()).unwrap_or_default(),
        ],
    }))
}

fn link(it: &pb::PlatformEnvironment) -> String {
    match it.link.as_str() {
        "" if it.initial_of.is_empty() => String::new(),
        "" => format!("initial of {}", plain(&it.initial_of)),
        link => plain(link).to_owned(),
    }
}

pub(super) fn links(links: &[pb::Link]) -> Table {
    let head = ["LINK", "FINANCE AND OPERATIONS", "PLATFORM", "TEMPLATE", "DUAL-WRITE", "SINCE"];
    Table::new(&head).rows(links.iter().map(|it| {
        vec![
            plain(&it.name).to_owned(),
            plain(&it.finance_and_operations_environment).to_owned(),
            plain(&it.platform_environment).to_owned(),
            plain(&it.template).to_owned(),
            dual_write(it),
            when(it.create_time.as_ref()),
        ]
    }))
}

fn dual_write(it: &pb::Link) -> String {
    let status = word::<pb::DualWriteStatus>(it.dual_write_status);
    let elsewhere = &it.dual_write_platform_environment;
    match elsewhere.is_empty() || *elsewhere == it.platform_environment {
        true => status,
        false => format!("{status} (with {})", plain(elsewhere)),
    }
}

pub(super) fn operations(operations: &[pb::Operation]) -> Table {
    let head = ["OPERATION", "KIND", "STATE", "DONE", "TARGETS", "BEGUN", "STATUS"];
    Table::new(&head).numbers(&[3]).rows(operations.iter().map(|it| {
        let failure = it.failure.as_ref().map(|it| it.message.clone());
        let targets = it.targets.iter().map(|it| plain(it)).collect::<Vec<_>>().join(", ");
        vec![
            plain(&it.name).to_owned(),
            word::<pb::OperationKind>(it.kind),
            word::<pb::OperationState>(it.state),
            format!("{}%", it.progress_percent),
            targets,
            when(it.create_time.as_ref()),
            failure.unwrap_or_else(|| it.status_text.clone()),
        ]
    }))
}

pub(super) fn backups(backups: &[pb::Backup]) -> Table {
    let head = ["BACKUP", "TAKEN", "KEPT UNTIL", "BY", "LABEL"];
    Table::new(&head).rows(backups.iter().map(|it| {
        vec![
            plain(&it.name).to_owned(),
            when(it.create_time.as_ref()),
            when(it.expire_time.as_ref()),
            if it.system { "system" } else { "administrator" }.to_owned(),
            it.label.clone(),
        ]
    }))
}

pub(super) fn templates(templates: &[pb::Template]) -> Table {
    let head = ["TEMPLATE", "NAME", "EXISTING ENVIRONMENTS", "PACKAGES"];
    Table::new(&head).rows(templates.iter().map(|it| {
        vec![
            plain(&it.name).to_owned(),
            it.display_name.clone(),
            yes(it.supports_existing_environment),
            it.packages.join(", "),
        ]
    }))
}

pub(super) fn locations(locations: &[pb::Location]) -> Table {
    let rows = locations.iter().flat_map(|location| {
        location.regions.iter().map(|region| {
            vec![
                plain(&location.name).to_owned(),
                location.display_name.clone(),
                region.code.clone(),
                word::<pb::FinanceAndOperationsSupport>(region.finance_and_operations_support),
            ]
        })
    });
    Table::new(&["LOCATION", "NAME", "REGION", "FINANCE AND OPERATIONS"]).rows(rows)
}

pub(super) fn settings(it: &pb::TenantSettings) -> String {
    properties(&[
        ("restrict creation", yes(it.disable_environment_creation_by_non_admin_users)),
        ("restrict trials", yes(it.disable_trial_environment_creation_by_non_admin_users)),
        ("country", it.country_code.clone()),
    ])
}

pub(super) fn yes(it: bool) -> String {
    if it { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests;
