//! Where the system kills itself when `TOMBOLO_CRASH_AT` says so, in the order in which they are
//! reached.

/// Of a setup with a new database.
pub(super) const FORWARD: [&str; 34] = [
    "setup:validating:begin",
    "setup:validating:done",
    "setup:reserving-capacity:begin",
    "setup:reserving-capacity:reserved",
    "setup:reserving-capacity:done",
    "setup:provisioning-dataverse:begin",
    "setup:provisioning-dataverse:reserved",
    "role-made",
    "database-made",
    "setup:provisioning-dataverse:database-made",
    "setup:provisioning-dataverse:service-provisioned",
    "setup:provisioning-dataverse:done",
    "setup:installing-packages:begin",
    "setup:installing-packages:reserved",
    "setup:installing-packages:package-installed",
    "setup:installing-packages:done",
    "setup:configuring-virtual-entities:begin",
    "setup:configuring-virtual-entities:reserved",
    "setup:configuring-virtual-entities:service-configured",
    "setup:configuring-virtual-entities:done",
    "setup:registering-applications:begin",
    "setup:registering-applications:reserved",
    "setup:registering-applications:applications-registered",
    "setup:registering-applications:done",
    "setup:dual-write-platform-setup:begin",
    "setup:dual-write-platform-setup:reserved",
    "setup:dual-write-platform-setup:package-installed",
    "setup:dual-write-platform-setup:done",
    "setup:linking-runtime:begin",
    "setup:linking-runtime:reserved",
    "setup:linking-runtime:servicing",
    "setup:linking-runtime:linked",
    "setup:linking-runtime:reservation-settled",
    "setup:linking-runtime:done",
];

/// Of one that is given up while it links.
pub(super) const BACKWARD: [&str; 18] = [
    "setup:linking-runtime:undo",
    "setup:linking-runtime:undone",
    "setup:dual-write-platform-setup:undo",
    "setup:dual-write-platform-setup:undone",
    "setup:registering-applications:undo",
    "setup:registering-applications:undone",
    "setup:configuring-virtual-entities:undo",
    "setup:configuring-virtual-entities:undone",
    "setup:installing-packages:undo",
    "setup:installing-packages:undone",
    "setup:provisioning-dataverse:undo",
    "database-dropped",
    "setup:provisioning-dataverse:database-dropped",
    "setup:provisioning-dataverse:undone",
    "setup:reserving-capacity:undo",
    "setup:reserving-capacity:undone",
    "setup:validating:undo",
    "setup:validating:undone",
];

/// Whether a setup with an environment that exists reaches it too.
pub(super) fn is_of_existing(step: &str) -> bool {
    step.starts_with("setup:") && !step.contains(":provisioning-dataverse:")
}

/// What statistics count together: the stage, or the step itself where it is none of a stage.
pub(super) fn stage(step: &str) -> &str {
    step.split(':').nth(1).unwrap_or(step)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::workspace;

    /// In the same files, and no setup's.
    const OF_OTHERS: [&str; 1] = ["add-in-written"];

    /// The last parts of names in the sources of a setup.
    fn named_in(file: &str, call: &str) -> BTreeSet<String> {
        let path = workspace().join("services/lifecycle/src").join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(text.contains(call), "{} names no step", path.display());
        let ends = text.split(call).skip(1).filter_map(|it| it.split_once('"'));
        ends.map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_step_of_the_sources_is_here() {
        let files = [
            ("setup/workflow.rs", "step(\""),
            ("setup/linking.rs", "step(\""),
            ("environments/provisioning.rs", "step(\""),
            ("databases/server.rs", "step(\""),
            ("engine/run.rs", "step(\""),
        ];
        let mut named: BTreeSet<_> =
            files.into_iter().flat_map(|(file, call)| named_in(file, call)).collect();
        named.retain(|it| !OF_OTHERS.contains(&it.as_str()));
        let all = FORWARD.iter().chain(&BACKWARD);
        let here: BTreeSet<_> =
            all.map(|it| it.rsplit(':').next().unwrap_or(it).to_owned()).collect();
        assert_eq!(named, here);
    }

    #[test]
    fn every_stage_begins_and_ends() {
        let of = |steps: &[&str], end: &str| steps.iter().filter(|it| it.ends_with(end)).count();
        assert_eq!([of(&FORWARD, ":begin"), of(&FORWARD, ":done")], [8, 8]);
        assert_eq!([of(&BACKWARD, ":undo"), of(&BACKWARD, ":undone")], [8, 8]);
    }
}
