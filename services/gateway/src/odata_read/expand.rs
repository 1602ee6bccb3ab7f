//! `$expand`: related rows that come along, by the rules of the platform (spec API-14).

use odata::{ExpandForm, ExpandItem, ExpandOptions, OptionError, encode_query};
use proto::query::v1 as pb;

use super::columns::{orders, select};
use super::filter::filter;
use super::scope::{Scope, Serial, known};
use crate::error::GatewayError;
use crate::metadata::{Navigation, Snapshot, Table};
use crate::query::Expand;

/// Navigations of one request at most.
const MOST: usize = 15;

/// What is expanded, and what a context URL says of it.
pub(super) struct Expanded {
    pub(super) expands: Vec<Expand>,
    pub(super) names: Vec<String>,
}

/// Reads the expands of one request.
pub(super) struct Expander<'a> {
    snapshot: &'a Snapshot,
    serial: &'a Serial,
    count: usize,
}

impl<'a> Expander<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, serial: &'a Serial) -> Self {
        Self { snapshot, serial, count: 0 }
    }

    /// `nested`: whether these stand within another expand.
    pub(super) fn items(
        &mut self,
        table: &Table,
        items: &[ExpandItem],
        nested: bool,
    ) -> Result<Expanded, GatewayError> {
        let mut all = Expanded { expands: Vec::new(), names: Vec::new() };
        for item in items {
            self.count += 1;
            if self.count > MOST {
                return Err(GatewayError::TooManyLinks);
            }
            let (expand, name) = self.item(table, item, nested)?;
            if all.expands.iter().any(|it| it.navigation == expand.navigation) {
                return Err(GatewayError::InvalidQuery(format!(
                    "The navigation property '{}' is expanded more than once.",
                    expand.navigation
                )));
            }
            all.expands.push(expand);
            all.names.push(name);
        }
        Ok(all)
    }

    fn item(
        &mut self,
        table: &Table,
        item: &ExpandItem,
        nested: bool,
    ) -> Result<(Expand, String), GatewayError> {
        let navigation = self.navigation(table, item)?;
        check(navigation, &item.options, item.form, nested)?;
        let target = known(self.snapshot, &navigation.target)?;
        let name = navigation.name.clone();
        if item.form == ExpandForm::References {
            let expand = Expand {
                navigation: name.clone(),
                tree: pb::QueryExpression {
                    entity_name: target.logical_name.clone(),
                    columns: vec![super::columns::output(&target.primary_id)],
                    ..Default::default()
                },
                expands: Vec::new(),
                references_only: true,
                link_options: String::new(),
            };
            return Ok((expand, format!("{name},{name}/$ref()")));
        }
        let options = &item.options;
        let selection = select(&target, options.select.as_deref())?;
        let mut scope = Scope::new(self.snapshot, self.serial, target.clone());
        let criteria = options.filter.as_ref().map(|it| filter(it, &mut scope)).transpose()?;
        let orders = orders(&options.order_by, &mut scope)?;
        let links = scope.into_links();
        if !navigation.is_collection && !links.is_empty() {
            return Err(GatewayError::NotOffered(format!(
                "A path in the $filter of the expand of '{name}', which leads to one row,"
            )));
        }
        let inner = self.items(&target, &options.expand, true)?;
        let mut names = selection.names;
        names.extend(inner.names);
        let tree = pb::QueryExpression {
            entity_name: target.logical_name.clone(),
            columns: selection.columns,
            all_columns: selection.all,
            criteria,
            orders,
            links,
            top_count: options.top.map_or(0, |it| i32::try_from(it).unwrap_or(i32::MAX)),
            ..Default::default()
        };
        let expand = Expand {
            navigation: name.clone(),
            tree,
            expands: inner.expands,
            references_only: false,
            link_options: link_options(options),
        };
        Ok((expand, format!("{name}({})", names.join(","))))
    }

    fn navigation<'t>(
        &self,
        table: &'t Table,
        item: &ExpandItem,
    ) -> Result<&'t Navigation, GatewayError> {
        let name = item.path.single().filter(|it| *it != "*").ok_or_else(|| {
            GatewayError::InvalidQuery(format!(
                "The path '{}' cannot be expanded: name one navigation property.",
                item.path
            ))
        })?;
        table.navigation(name).ok_or_else(|| GatewayError::unknown_column(table, name))
    }
}

/// What the platform refuses of an expand, in its words.
fn check(
    navigation: &Navigation,
    options: &ExpandOptions,
    form: ExpandForm,
    nested: bool,
) -> Result<(), GatewayError> {
    if let Some(option) = options.refused.first() {
        return Err(OptionError::Unknown(option.name().to_owned()).into());
    }
    let name = &navigation.name;
    let refuse = |message: &str| Err(GatewayError::InvalidQuery(message.to_owned()));
    if form == ExpandForm::Count {
        return refuse(&format!("Expanding '{name}/$count' is not supported."));
    }
    if form == ExpandForm::References && navigation.is_collection {
        return refuse("Expand with $ref is only supported on lookup type navigation property.");
    }
    if form == ExpandForm::References && !options.expand.is_empty() {
        return refuse(&format!(
            "The navigation property '{name}' cannot be expanded. Only many-to-one relationships \
             are supported for nested expansion."
        ));
    }
    let ordered = !options.order_by.is_empty() || options.top.is_some();
    if ordered && (nested || !navigation.is_collection) {
        return refuse(
            "Only $select and $filter clause can be provided while doing $expand on many-to-one \
             relationship or nested one-to-many relationship.",
        );
    }
    if options.top == Some(0) {
        return refuse("A $top of an expand must be one or more.");
    }
    Ok(())
}

/// The same options, as those of a request for the collection alone.
fn link_options(options: &ExpandOptions) -> String {
    let list = |items: Vec<String>| items.join(",");
    let mut parts = Vec::new();
    let mut add = |name: &str, text: String| parts.push(format!("{name}={}", encode_query(&text)));
    if let Some(paths) = &options.select {
        add("$select", list(paths.iter().map(ToString::to_string).collect()));
    }
    if let Some(filter) = &options.filter {
        add("$filter", filter.to_string());
    }
    if !options.order_by.is_empty() {
        add("$orderby", list(options.order_by.iter().map(ToString::to_string).collect()));
    }
    if let Some(top) = options.top {
        add("$top", top.to_string());
    }
    if !options.expand.is_empty() {
        add("$expand", list(options.expand.iter().map(ToString::to_string).collect()));
    }
    parts.join("&")
}
