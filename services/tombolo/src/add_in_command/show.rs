//! Add-ins as people see them.

use proto::lifecycle::v1 as pb;
use serde_json::Value;

use crate::print::{Table, plain, properties, when, word};

/// `was_checked`: against an environment, so that nothing unmet means that it can be installed.
pub(super) fn add_ins(add_ins: &[pb::AddIn], was_checked: bool) -> Table {
    let head = ["ADD-IN", "NAME", "VERSION", "PUBLISHER", "INSTALLABLE"];
    let columns = if was_checked { head.len() } else { head.len() - 1 };
    Table::new(head.get(..columns).unwrap_or_default()).rows(add_ins.iter().map(|it| {
        let unmet = it.unmet_requirements.join("; ");
        vec![
            plain(&it.name).to_owned(),
            it.display_name.clone(),
            it.version.clone(),
            it.publisher.clone(),
            if unmet.is_empty() { "yes".to_owned() } else { format!("no: {unmet}") },
        ]
    }))
}

pub(super) fn installations(installations: &[pb::AddInInstallation]) -> Table {
    let head = ["ENVIRONMENT", "ADD-IN", "VERSION", "STATE", "STATUS", "INSTALLED"];
    Table::new(&head).rows(installations.iter().map(|it| {
        let environment = it.name.split_once("/addIns/").map_or(it.name.as_str(), |it| it.0);
        vec![
            plain(environment).to_owned(),
            plain(&it.add_in).to_owned(),
            it.version.clone(),
            word::<pb::AddInInstallationState>(it.state),
            it.status_text.clone(),
            when(it.install_time.as_ref()),
        ]
    }))
}

pub(super) fn add_in(it: &pb::AddIn, installation: Option<&pb::AddInInstallation>) -> String {
    let dual_write = if it.requires_dual_write { "has to be linked" } else { "" };
    let required = it.required_add_ins.iter().map(|it| plain(it)).collect::<Vec<_>>();
    let mut text = properties(&[
        ("add-in", plain(&it.name).to_owned()),
        ("name", it.display_name.clone()),
        ("description", it.description.clone()),
        ("publisher", it.publisher.clone()),
        ("version", it.version.clone()),
        ("terms", it.terms_url.clone()),
        ("lowest version", it.minimum_version.clone()),
        ("regions", it.regions.join(", ")),
        ("dual-write", dual_write.to_owned()),
        ("needs", required.join(", ")),
    ]);
    for unmet in &it.unmet_requirements {
        text += &format!("cannot be installed: {unmet}\n");
    }
    if let Some(it) = installation {
        text.push('\n');
        text += &properties(&[
            ("installed", when(it.install_time.as_ref())),
            ("state", word::<pb::AddInInstallationState>(it.state)),
            ("status", it.status_text.clone()),
            ("parameters", it.parameters_json.clone()),
        ]);
    }
    let parameters = parameters(&it.parameter_schema_json);
    if !parameters.is_empty() {
        let head = ["PARAMETER", "TYPE", "REQUIRED", "DESCRIPTION"];
        text += &format!("\n{}", Table::new(&head).rows(parameters));
    }
    text
}

/// Of the schema, what somebody who fills them in has to know.
fn parameters(schema: &str) -> Vec<Vec<String>> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let row = |(name, it): (&String, &Value)| {
        let text = |key: &str| it[key].as_str().unwrap_or_default();
        let kind = match text("format") {
            "secret-ref" => "name of a secret",
            "" => text("type"),
            format => format,
        };
        let must = required.iter().any(|it| it.as_str() == Some(name));
        let description = match text("description") {
            "" => text("title"),
            it => it,
        };
        vec![
            name.clone(),
            kind.to_owned(),
            if must { "yes" } else { "no" }.to_owned(),
            description.to_owned(),
        ]
    };
    properties.iter().map(row).collect()
}

/// What has to be agreed to.
pub(super) fn terms(it: &pb::AddIn) -> String {
    match it.terms_url.as_str() {
        "" => format!("{} is subject to its publisher's terms.", it.display_name),
        url => format!("{} is subject to these terms: {url}", it.display_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_export() -> pb::AddIn {
        pb::AddIn {
            name: "addIns/data-export".into(),
            display_name: "Data export".into(),
            version: "1.0.0".into(),
            publisher: "Tombolo".into(),
            parameter_schema_json: r#"{
                "type": "object",
                "required": ["key"],
                "properties": {
                    "folder": { "type": "string", "description": "Where to." },
                    "key": { "type": "string", "format": "secret-ref" }
                }
            }"#
            .into(),
            unmet_requirements: vec!["It is not linked.".into()],
            ..Default::default()
        }
    }

    #[test]
    fn what_keeps_an_add_in_away_is_said_only_where_it_was_checked() {
        let expected = "\
ADD-IN       NAME         VERSION  PUBLISHER  INSTALLABLE
data-export  Data export  1.0.0    Tombolo    no: It is not linked.
";
        assert_eq!(add_ins(&[data_export()], true).to_string(), expected);
        let expected = "\
ADD-IN       NAME         VERSION  PUBLISHER
data-export  Data export  1.0.0    Tombolo
";
        assert_eq!(add_ins(&[data_export()], false).to_string(), expected);
    }

    #[test]
    fn an_add_in_is_shown_with_its_parameters() {
        let expected = "\
add-in                 data-export
name                   Data export
publisher              Tombolo
version                1.0.0
cannot be installed: It is not linked.

PARAMETER  TYPE              REQUIRED  DESCRIPTION
folder     string            no        Where to.
key        name of a secret  yes
";
        assert_eq!(add_in(&data_export(), None), expected);
    }

    #[test]
    fn a_schema_that_is_none_has_no_parameters() {
        assert!(parameters("").is_empty());
        assert!(parameters("[1]").is_empty());
    }
}
