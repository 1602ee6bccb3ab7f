use proptest::prelude::*;

use super::*;

/// Every fact as it should be.
fn good() -> Facts {
    Facts {
        user: "alice".into(),
        capacity: Capacity { allowed: true, in_overage: false, message: String::new() },
        creation_restricted: false,
        roles: vec![role::ENVIRONMENT_MANAGER.into()],
        licensed: true,
        erp: Erp {
            name: "contoso".into(),
            state: ErpState::Deployed,
            serviced_by_us: false,
            region: "westeurope".into(),
            geography: Some("Europe".into()),
        },
        existing: Some(Existing {
            display_name: "Contoso".into(),
            same_tenant: true,
            administered: true,
            has_database: true,
            d365_apps_enabled: true,
            geography: "Europe".into(),
        }),
    }
}

/// Makes a prerequisite fail, and no other.
fn spoil(facts: &mut Facts, prerequisite: Prerequisite) {
    let existing = facts.existing.as_mut();
    match (prerequisite, existing) {
        (Prerequisite::DatabaseCapacity, _) => facts.capacity.allowed = false,
        (Prerequisite::Governance, _) => facts.creation_restricted = true,
        (Prerequisite::Licence, _) => facts.licensed = false,
        (Prerequisite::ProjectRole, Some(_)) => facts.roles = vec!["Clerk".into()],
        (Prerequisite::SameTenant, Some(it)) => it.same_tenant = false,
        (Prerequisite::SystemAdministrator, Some(it)) => it.administered = false,
        (Prerequisite::D365AppsEnabled, Some(it)) => it.d365_apps_enabled = false,
        (Prerequisite::SameGeography, Some(it)) => it.geography = "Asia".into(),
        (Prerequisite::Deployed, _) => facts.erp.state = ErpState::Deploying,
        (_, _) => {}
    }
}

const ALL: [Prerequisite; 9] = [
    Prerequisite::DatabaseCapacity,
    Prerequisite::Governance,
    Prerequisite::Licence,
    Prerequisite::ProjectRole,
    Prerequisite::SameTenant,
    Prerequisite::SystemAdministrator,
    Prerequisite::D365AppsEnabled,
    Prerequisite::SameGeography,
    Prerequisite::Deployed,
];

const KINDS: [FailureKind; 9] = [
    FailureKind::Capacity,
    FailureKind::Governance,
    FailureKind::Licence,
    FailureKind::Permission,
    FailureKind::Permission,
    FailureKind::Permission,
    FailureKind::Validation,
    FailureKind::Validation,
    FailureKind::State,
];

fn names(checks: &[PrerequisiteCheck]) -> Vec<Prerequisite> {
    checks.iter().map(PrerequisiteCheck::prerequisite).collect()
}

#[test]
fn each_is_checked_once_and_in_order() {
    let checks = check(&good());
    assert_eq!(names(&checks), ALL);
    assert!(checks.iter().all(|it| it.passed && !it.skipped && it.help.is_empty()));
    assert!(failure(failing(checks), false).is_none());
}

#[test]
fn of_two_that_fail_both_are_told_and_the_first_gives_the_kind() {
    for (i, first) in ALL.into_iter().enumerate() {
        for second in ALL.into_iter().skip(i) {
            let mut facts = good();
            spoil(&mut facts, first);
            spoil(&mut facts, second);
            let failing = failing(check(&facts));
            let expected = if first == second { vec![first] } else { vec![first, second] };
            assert_eq!(names(&failing), expected);
            for it in &failing {
                assert!(!it.message.is_empty() && !it.help.is_empty(), "{it:?}");
            }
            let failure = failure(failing, false).unwrap();
            assert_eq!(failure.kind, KINDS[i], "{first:?} {second:?}");
            assert_eq!(names(&failure.prerequisites), expected);
            for it in &failure.prerequisites {
                assert!(failure.help.contains(&it.help), "{it:?}");
            }
        }
    }
}

#[test]
fn what_is_of_existing_environments_is_skipped_for_a_new_one() {
    let mut facts = good();
    facts.existing = None;
    facts.roles.clear();
    let checks = check(&facts);
    let skipped: Vec<_> = checks.iter().filter(|it| it.skipped).cloned().collect();
    assert_eq!(names(&skipped), ALL[3..8]);
    assert!(failing(checks).is_empty());
}

#[test]
fn what_an_administrator_can_mend_does_not_refuse_at_once() {
    let at_once: Vec<_> = ALL.into_iter().filter(|it| refuses_at_once(*it)).collect();
    assert_eq!(at_once, ALL[3..8]);
}

#[test]
fn an_administrators_role_does_where_not_everybody_may_create() {
    for (role, expected) in [
        (role::POWER_PLATFORM_ADMINISTRATOR, true),
        (role::DYNAMICS_365_ADMINISTRATOR, true),
        ("global administrator", true),
        // Of the platform's rows, not of the tenant.
        (role::SYSTEM_ADMINISTRATOR, false),
        (role::ENVIRONMENT_MANAGER, false),
    ] {
        let mut facts = good();
        facts.creation_restricted = true;
        facts.roles = vec![role.into()];
        let passed = check(&facts)[1].passed;
        assert_eq!(passed, expected, "{role}");
    }
}

#[test]
fn the_fixed_text_stands_where_the_capacity_service_says_nothing() {
    let mut facts = good();
    facts.capacity.allowed = false;
    let text = "This environment can't be created because your org (tenant) needs at least 1 GB of database \
                capacity.";
    assert_eq!(check(&facts)[0].message, text);
    assert_eq!(
        failure(failing(check(&facts)), false).unwrap().reason,
        ErrorReason::CapacityInsufficient
    );
    assert_eq!(failure(failing(check(&facts)), true).unwrap().reason, ErrorReason::CapacityOverage);
    facts.capacity.message = "Overage.".into();
    assert_eq!(check(&facts)[0].message, "Overage.");
}

#[test]
fn an_environment_that_the_operation_itself_services_is_deployed() {
    let mut facts = good();
    facts.erp.state = ErpState::Servicing;
    assert!(!check(&facts)[8].passed);
    facts.erp.serviced_by_us = true;
    assert!(check(&facts)[8].passed);
}

proptest! {
    /// A prerequisite passes, fails or is skipped by its own facts, whatever the others are.
    #[test]
    fn prerequisites_do_not_depend_on_each_other(spoilt in proptest::collection::vec(any::<bool>(), 9)) {
        let mut facts = good();
        let expected: Vec<_> =
            ALL.into_iter().zip(&spoilt).filter(|(_, spoilt)| **spoilt).map(|it| it.0).collect();
        for it in &expected {
            spoil(&mut facts, *it);
        }
        let checks = check(&facts);
        prop_assert_eq!(names(&checks), ALL);
        let failing = failing(checks);
        prop_assert_eq!(names(&failing), expected);
        for it in failing {
            prop_assert!(!it.skipped && !it.passed && it.failure_kind() != FailureKind::Unspecified);
        }
    }
}
