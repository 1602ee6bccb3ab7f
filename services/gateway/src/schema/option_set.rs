//! Option sets, global ones and those of one column.

use proto::query::v1 as pb;
use serde_json::{Value, json};

use super::parts::{INTRODUCED, id, label, managed};
use crate::metadata::{Snapshot, Source};

/// Every global option set, by name: those that virtual tables use.
pub(super) fn global(snapshot: &Snapshot) -> impl Iterator<Item = Value> + '_ {
    snapshot.option_sets.iter().filter(|it| is_global(snapshot, it)).map(|it| describe(it, true))
}

/// The option set of a column; null if it is not there.
pub(super) fn of_column(snapshot: &Snapshot, name: &str, global: bool) -> Value {
    let found = snapshot.option_sets.binary_search_by(|it| it.name.as_str().cmp(name));
    let set = found.ok().and_then(|at| snapshot.option_sets.get(at));
    set.map_or(Value::Null, |it| describe(it, global))
}

/// The choices of a yes/no column.
pub(super) fn of_boolean(table: &str, column: &str) -> Value {
    let name = format!("{table}_{column}");
    let option = |value: i32, text: &str| {
        let owner = format!("{name}/{value}");
        json!({
            "Value": value,
            "Color": null,
            "IsManaged": true,
            "ExternalValue": null,
            "ParentValues": [],
            "Tag": null,
            "IsHidden": false,
            "MetadataId": null,
            "HasChanged": null,
            "Label": label(text, &owner, "Label"),
            "Description": label("", &owner, "Description"),
        })
    };
    let mut set = common(&name, "", false);
    super::parts::extend(
        &mut set,
        json!({
            "OptionSetType": "Boolean",
            "TrueOption": option(1, "Yes"),
            "FalseOption": option(0, "No"),
        }),
    );
    set
}

/// Sets of native columns are theirs alone.
fn is_global(snapshot: &Snapshot, set: &pb::OptionSet) -> bool {
    !snapshot.local_option_sets.contains(&set.name)
}

pub(super) fn is_local_to(source: Source) -> bool {
    source == Source::Organization
}

fn describe(set: &pb::OptionSet, global: bool) -> Value {
    let option = |it: &pb::Option| {
        let owner = format!("{}/{}", set.name, it.value);
        json!({
            "Value": it.value,
            "Color": null,
            "IsManaged": true,
            "ExternalValue": it.external_name,
            "ParentValues": [],
            "Tag": null,
            "IsHidden": false,
            "MetadataId": null,
            "HasChanged": null,
            "Label": label(&it.label, &owner, "Label"),
            "Description": label("", &owner, "Description"),
        })
    };
    let mut value = common(&set.name, &set.display_name, global);
    super::parts::extend(
        &mut value,
        json!({
            "@odata.type": "#Microsoft.Dynamics.CRM.OptionSetMetadata",
            "OptionSetType": "Picklist",
            "Options": set.options.iter().map(option).collect::<Vec<_>>(),
            "ParentOptionSetName": null,
        }),
    );
    value
}

fn common(name: &str, display_name: &str, global: bool) -> Value {
    json!({
        "MetadataId": id("optionset", &[name]),
        "HasChanged": null,
        "Name": name,
        "DisplayName": label(display_name, name, "DisplayName"),
        "Description": label("", name, "Description"),
        "IsCustomOptionSet": global,
        "IsGlobal": global,
        "IsManaged": true,
        "IsCustomizable": managed(false, "iscustomizable"),
        "ExternalTypeName": if global { name.strip_prefix("mserp_").unwrap_or(name) } else { "" },
        "IntroducedVersion": INTRODUCED,
    })
}
