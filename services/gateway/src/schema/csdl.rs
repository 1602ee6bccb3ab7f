//! `$metadata`: the tables as an OData service describes itself, CSDL 4.0 in XML
//! (spec lifecycle-and-web-api §2.2).

mod actions;

use std::fmt::Write as _;
use std::sync::OnceLock;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use odata::QueryOptions;
use proto::query::v1 as pb;

use crate::http::{Ask, Response};
use crate::metadata::{Column, ColumnKind, Navigation, Snapshot, Table};

/// Written once for each snapshot: without annotations, and with them.
#[derive(Debug, Default)]
pub(crate) struct Documents([OnceLock<Bytes>; 2]);

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
<edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\">\
<edmx:Reference Uri=\"http://docs.oasis-open.org/odata/odata/v4.0/os/vocabularies/Org.OData.Core.V1.xml\">\
<edmx:Include Namespace=\"Org.OData.Core.V1\" Alias=\"Core\" /></edmx:Reference>\
<edmx:Reference Uri=\"http://docs.oasis-open.org/odata/odata/v4.0/os/vocabularies/Org.OData.Capabilities.V1.xml\">\
<edmx:Include Namespace=\"Org.OData.Capabilities.V1\" Alias=\"Capabilities\" /></edmx:Reference>\
<edmx:Reference Uri=\"http://vocabularies.odata.org/OData.Community.Keys.V1.xml\">\
<edmx:Include Namespace=\"OData.Community.Keys.V1\" Alias=\"Keys\" />\
<edmx:IncludeAnnotations TermNamespace=\"OData.Community.Keys.V1\" /></edmx:Reference>\
<edmx:DataServices>\
<Schema Namespace=\"Microsoft.Dynamics.CRM\" Alias=\"mscrm\" \
xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">\
<EntityType Name=\"crmbaseentity\" Abstract=\"true\" />";

/// Functions that are not of a table, and their types. Those that take or return a query are left out:
/// the SDK's own types of it are not part of this document.
const FUNCTIONS: &str = include_str!("functions.xml");
/// Their names.
const IMPORTS: [&str; 5] = [
    "RetrieveCurrentOrganization",
    "RetrieveFinanceAndOperationsIntegrationDetails",
    "RetrieveTotalRecordCount",
    "RetrieveVersion",
    "WhoAmI",
];

/// `GET $metadata`.
pub(crate) fn metadata(ask: &Ask, snapshot: &Snapshot, options: &QueryOptions) -> Response {
    let asked = options.custom("annotations").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let annotated = asked || ask.prefer.annotations.includes("Org.OData.Core.V1.Description");
    let mut response = Response::new(document(snapshot, annotated).into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// `annotated`: with what only some clients ask for.
fn document(snapshot: &Snapshot, annotated: bool) -> Bytes {
    let [plain, full] = &snapshot.documents.0;
    let place = if annotated { full } else { plain };
    place.get_or_init(|| Writer { snapshot, annotated, xml: String::from(HEAD) }.write()).clone()
}

struct Writer<'a> {
    snapshot: &'a Snapshot,
    annotated: bool,
    xml: String,
}

impl Writer<'_> {
    fn write(mut self) -> Bytes {
        let snapshot = self.snapshot;
        for table in &snapshot.tables {
            self.entity_type(table);
        }
        self.push(FUNCTIONS);
        self.actions();
        self.push("<EntityContainer Name=\"System\">");
        for table in &snapshot.tables {
            self.entity_set(table);
        }
        for name in IMPORTS {
            let _ = write!(
                self.xml,
                "<FunctionImport Name=\"{name}\" Function=\"Microsoft.Dynamics.CRM.{name}\" />"
            );
        }
        self.action_imports();
        self.push("</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>");
        self.xml.into()
    }

    fn push(&mut self, text: &str) {
        self.xml.push_str(text);
    }

    fn entity_type(&mut self, table: &Table) {
        let _ = write!(
            self.xml,
            "<EntityType Name=\"{}\" BaseType=\"mscrm.crmbaseentity\">\
             <Key><PropertyRef Name=\"{}\" /></Key>",
            escaped(&table.logical_name),
            escaped(&table.primary_id)
        );
        let definitions = table.definition.columns.iter();
        for definition in definitions {
            if let Some(column) = table.by_name(&definition.logical_name) {
                self.property(column, definition);
            }
        }
        for navigation in table.navigations() {
            self.navigation(navigation);
        }
        self.alternate_keys(table);
        if self.annotated {
            self.description(&table.definition.description);
        }
        self.push("</EntityType>");
    }

    fn property(&mut self, column: &Column, definition: &pb::ColumnDefinition) {
        let facet = facet(column);
        let name = escaped(&column.property);
        let _ = write!(self.xml, "<Property Name=\"{name}\" Type=\"{}\"{facet}", column.edm_type());
        if !self.annotated {
            self.push(" />");
            return;
        }
        self.push(">");
        let text = match definition.description.as_str() {
            "" => &definition.display_name,
            text => text,
        };
        self.description(text);
        if !(definition.valid_for_create || definition.valid_for_update) {
            self.push("<Annotation Term=\"Org.OData.Core.V1.Computed\" Bool=\"true\" />");
        }
        if matches!(column.kind, ColumnKind::Lookup { .. }) {
            self.push(
                "<Annotation Term=\"Org.OData.Core.V1.Permissions\">\
                 <EnumMember>Org.OData.Core.V1.Permission/Read</EnumMember></Annotation>",
            );
        }
        self.push("</Property>");
    }

    fn navigation(&mut self, navigation: &Navigation) {
        let (name, target) = (escaped(&navigation.name), escaped(&navigation.target));
        let partner = escaped(&navigation.partner);
        if navigation.is_collection {
            let _ = write!(
                self.xml,
                "<NavigationProperty Name=\"{name}\" Type=\"Collection(mscrm.{target})\" \
                 Partner=\"{partner}\" />"
            );
            return;
        }
        let key = self.snapshot.by_name(&navigation.target).map(|it| it.primary_id.as_str());
        let _ = write!(
            self.xml,
            "<NavigationProperty Name=\"{name}\" Type=\"mscrm.{target}\" Partner=\"{partner}\">\
             <ReferentialConstraint Property=\"_{}_value\" ReferencedProperty=\"{}\" />\
             </NavigationProperty>",
            escaped(&navigation.lookup),
            escaped(key.unwrap_or_default())
        );
    }

    fn alternate_keys(&mut self, table: &Table) {
        if table.alternate_keys.is_empty() {
            return;
        }
        self.push("<Annotation Term=\"OData.Community.Keys.V1.AlternateKeys\"><Collection>");
        for key in &table.alternate_keys {
            self.push(
                "<Record Type=\"OData.Community.Keys.V1.AlternateKey\">\
                 <PropertyValue Property=\"Key\"><Collection>",
            );
            for column in key.iter().filter_map(|it| table.by_name(it)) {
                let name = escaped(&column.property);
                let _ = write!(
                    self.xml,
                    "<Record Type=\"OData.Community.Keys.V1.PropertyRef\">\
                     <PropertyValue Property=\"Alias\" String=\"{name}\" />\
                     <PropertyValue Property=\"Name\" PropertyPath=\"{name}\" /></Record>"
                );
            }
            self.push("</Collection></PropertyValue></Record>");
        }
        self.push("</Collection></Annotation>");
    }

    fn entity_set(&mut self, table: &Table) {
        let _ = write!(
            self.xml,
            "<EntitySet Name=\"{}\" EntityType=\"Microsoft.Dynamics.CRM.{}\">",
            escaped(&table.set_name),
            escaped(&table.logical_name)
        );
        for navigation in table.navigations() {
            if let Some(target) = self.snapshot.by_name(&navigation.target) {
                let _ = write!(
                    self.xml,
                    "<NavigationPropertyBinding Path=\"{}\" Target=\"{}\" />",
                    escaped(&navigation.name),
                    escaped(&target.set_name)
                );
            }
        }
        if self.annotated {
            let supported = table.definition.change_tracking_enabled;
            let _ = write!(
                self.xml,
                "<Annotation Term=\"Org.OData.Capabilities.V1.ChangeTracking\"><Record>\
                 <PropertyValue Property=\"Supported\" Bool=\"{supported}\" /></Record>\
                 </Annotation>"
            );
        }
        self.push("</EntitySet>");
    }

    fn description(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = write!(
                self.xml,
                "<Annotation Term=\"Org.OData.Core.V1.Description\" String=\"{}\" />",
                escaped(text)
            );
        }
    }
}

/// What a type is told with.
fn facet(column: &Column) -> &'static str {
    match column.kind {
        ColumnKind::Text => " Unicode=\"false\"",
        ColumnKind::Decimal => " Scale=\"Variable\"",
        _ => "",
    }
}

/// Text within an attribute. Characters that XML cannot hold become the replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            it => escaped.push(it),
        }
    }
    escaped
}
