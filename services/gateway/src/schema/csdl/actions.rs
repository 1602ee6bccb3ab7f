//! Actions: those of the ERP's model, and the messages that every table takes many rows with.

use std::fmt::Write as _;

use proto::query::v1 as pb;
use proto::query::v1::{ActionTarget, AttributeType};

use super::{Writer, escaped, facet};
use crate::metadata::{Column, Source, Table};
use crate::serve::{DualWriteCall, RESULT};

/// Messages about many rows, and whether they answer with ids.
const BULK: [(&str, bool); 3] =
    [("CreateMultiple", true), ("UpdateMultiple", false), ("UpsertMultiple", false)];

/// What dual-write's calls take and answer is as its contract says.
const DUAL_WRITE_MESSAGE: &str =
    "<ComplexType Name=\"tombolo_DualWriteMessage\" OpenType=\"true\" />";

const BULK_RESPONSES: &str = "<ComplexType Name=\"CreateMultipleResponse\">\
<Property Name=\"Ids\" Type=\"Collection(Edm.Guid)\" Nullable=\"false\" /></ComplexType>";

impl Writer<'_> {
    /// Behind the entity types.
    pub(super) fn actions(&mut self) {
        let snapshot = self.snapshot;
        self.push(BULK_RESPONSES);
        self.dual_write();
        for table in &snapshot.tables {
            for action in &table.definition.actions {
                self.action(table, action);
            }
            if table.source != Source::Catalog {
                self.bulk(table);
            }
        }
    }

    fn dual_write(&mut self) {
        self.push(DUAL_WRITE_MESSAGE);
        for call in DualWriteCall::all() {
            let name = call.name();
            let kind = if call.is_function { "Function" } else { "Action" };
            let _ = write!(self.xml, "<{kind} Name=\"{name}\">");
            for (parameter, edm_type) in call.parameters() {
                let _ = write!(self.xml, "<Parameter Name=\"{parameter}\" Type=\"{edm_type}\" />");
            }
            let _ = write!(
                self.xml,
                "<ReturnType Type=\"mscrm.tombolo_DualWriteMessage\" Nullable=\"false\" />\
                 </{kind}>"
            );
        }
    }

    /// Within the container.
    pub(super) fn action_imports(&mut self) {
        let snapshot = self.snapshot;
        for call in DualWriteCall::all() {
            let name = call.name();
            let kind = if call.is_function { "Function" } else { "Action" };
            let _ = write!(
                self.xml,
                "<{kind}Import Name=\"{name}\" {kind}=\"Microsoft.Dynamics.CRM.{name}\" />"
            );
        }
        let actions = snapshot.tables.iter().flat_map(|it| &it.definition.actions);
        for action in actions.filter(|it| it.target() == ActionTarget::Global) {
            let name = escaped(&action.unique_name);
            let _ = write!(
                self.xml,
                "<ActionImport Name=\"{name}\" Action=\"Microsoft.Dynamics.CRM.{name}\" />"
            );
        }
    }

    fn action(&mut self, table: &Table, action: &pb::ActionDefinition) {
        let name = escaped(&action.unique_name);
        let returned = Column::of_parameter(&pb::ActionParameterDefinition {
            name: RESULT.to_owned(),
            r#type: action.result,
            required: false,
        });
        if let Some(returned) = &returned {
            let (edm_type, facet) = (returned.edm_type(), facet(returned));
            let _ = write!(
                self.xml,
                "<ComplexType Name=\"{name}Response\">\
                 <Property Name=\"{RESULT}\" Type=\"{edm_type}\"{facet} /></ComplexType>"
            );
        }
        let (bound, logical_name) = (action.target(), escaped(&table.logical_name));
        let is_bound = if bound == ActionTarget::Global { "" } else { " IsBound=\"true\"" };
        let _ = write!(self.xml, "<Action Name=\"{name}\"{is_bound}>");
        let _ = match bound {
            ActionTarget::Entity => write!(
                self.xml,
                "<Parameter Name=\"entity\" Type=\"mscrm.{logical_name}\" Nullable=\"false\" />"
            ),
            ActionTarget::EntityCollection => write!(
                self.xml,
                "<Parameter Name=\"entityset\" Type=\"Collection(mscrm.{logical_name})\" \
                 Nullable=\"false\" />"
            ),
            ActionTarget::Global | ActionTarget::Unspecified => Ok(()),
        };
        for parameter in &action.parameters {
            let Some(column) = Column::of_parameter(parameter) else { continue };
            let required = if parameter.required { " Nullable=\"false\"" } else { "" };
            let (edm_type, facet) = (column.edm_type(), facet(&column));
            let _ = write!(
                self.xml,
                "<Parameter Name=\"{}\" Type=\"{edm_type}\"{required}{facet} />",
                escaped(&parameter.name)
            );
        }
        if action.result() != AttributeType::Unspecified {
            let _ =
                write!(self.xml, "<ReturnType Type=\"mscrm.{name}Response\" Nullable=\"false\" />");
        }
        if self.annotated {
            self.description(match action.description.as_str() {
                "" => &action.display_name,
                text => text,
            });
        }
        self.push("</Action>");
    }

    fn bulk(&mut self, table: &Table) {
        let table = escaped(&table.logical_name);
        for (name, answers) in BULK {
            let returned = match answers {
                true => format!("<ReturnType Type=\"mscrm.{name}Response\" Nullable=\"false\" />"),
                false => String::new(),
            };
            let _ = write!(
                self.xml,
                "<Action Name=\"{name}\" IsBound=\"true\">\
                 <Parameter Name=\"entityset\" Type=\"Collection(mscrm.{table})\" \
                 Nullable=\"false\" />\
                 <Parameter Name=\"Targets\" Type=\"Collection(mscrm.{table})\" \
                 Nullable=\"false\" />{returned}</Action>"
            );
        }
    }
}
