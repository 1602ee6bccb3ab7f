//! What people and programs see of fixed answers.

use super::*;

fn erp() -> Environment {
    let it = pb::FinanceAndOperationsEnvironment {
        name: "financeAndOperationsEnvironments/contoso-uat".into(),
        display_name: "Contoso UAT".into(),
        r#type: pb::FinanceAndOperationsEnvironmentType::Sandbox.into(),
        state: pb::FinanceAndOperationsEnvironmentState::Deployed.into(),
        url: "https://contoso-uat.operations.dynamics.com".into(),
        ..Default::default()
    };
    Environment::Erp(it.into())
}

fn platform() -> Environment {
    let it = pb::PlatformEnvironment {
        name: "platformEnvironments/6f1c".into(),
        display_name: "Contoso UAT".into(),
        r#type: pb::PlatformEnvironmentType::Sandbox.into(),
        state: pb::PlatformEnvironmentState::Preparing.into(),
        initial_of: "financeAndOperationsEnvironments/contoso-uat".into(),
        ..Default::default()
    };
    Environment::Platform(it.into())
}

#[test]
fn both_halves_are_in_one_table() {
    let expected = "\
NAME         DISPLAY NAME  KIND                    TYPE     STATE      LINK                    URL
contoso-uat  Contoso UAT   finance-and-operations  sandbox  deployed                           https://contoso-uat.operations.dynamics.com
6f1c         Contoso UAT   platform                sandbox  preparing  initial of contoso-uat
";
    assert_eq!(environments(&[erp(), platform()]).to_string(), expected);
}

#[test]
fn an_environment_is_shown_with_what_it_has() {
    let expected = "\
name                   platformEnvironments/6f1c
display name           Contoso UAT
kind                   platform
type                   sandbox
state                  preparing
link                   initial of contoso-uat
";
    assert_eq!(environment(&platform(), None), expected);
}

#[test]
fn and_with_what_it_is_linked_with() {
    let link = pb::Link {
        finance_and_operations_environment: "financeAndOperationsEnvironments/contoso-uat".into(),
        dual_write_status: pb::DualWriteStatus::NotConfigured.into(),
        ..Default::default()
    };
    let text = environment(&platform(), Some(&link));
    let expected = "\
linked with            financeAndOperationsEnvironments/contoso-uat
dual-write             not-configured
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn programs_learn_of_which_half_an_environment_is() {
    let it = json(&[erp(), platform()]);
    assert_eq!(it[0]["kind"], "finance-and-operations");
    assert_eq!(it[0]["name"], "financeAndOperationsEnvironments/contoso-uat");
    assert_eq!(it[1]["kind"], "platform");
    assert_eq!(it[1]["database"], Value::Null);
    assert_eq!(it[1]["state"], "preparing");
}

#[test]
fn prerequisites_that_fail_say_what_to_do() {
    let check = |prerequisite: pb::Prerequisite, passed, skipped| pb::PrerequisiteCheck {
        prerequisite: prerequisite.into(),
        passed,
        skipped,
        message: if passed || skipped { "".into() } else { "No licence.".into() },
        help: if passed || skipped { "".into() } else { "Assign one.".into() },
        ..Default::default()
    };
    let answer = pb::CheckPrerequisitesResponse {
        checks: vec![
            check(pb::Prerequisite::DatabaseCapacity, true, false),
            check(pb::Prerequisite::Licence, false, false),
            check(pb::Prerequisite::ProjectRole, false, true),
        ],
        warnings: vec!["The regions differ.".into()],
    };
    let expected = "\
#   PREREQUISITE       RESULT
P1  database capacity  ok
P3  licence            fails           No licence.
P4  project role       does not apply

What to do:
  P3 Assign one.

warning: The regions differ.
";
    assert_eq!(checks(&answer), expected);
}

#[test]
fn a_link_says_where_dual_write_points_when_it_points_elsewhere() {
    let link = pb::Link {
        name: "links/contoso-uat".into(),
        platform_environment: "platformEnvironments/1".into(),
        dual_write_platform_environment: "platformEnvironments/2".into(),
        dual_write_status: pb::DualWriteStatus::Linked.into(),
        ..Default::default()
    };
    let text = links(&[link]).to_string();
    assert!(text.contains("linked (with 2)"), "{text}");
}
