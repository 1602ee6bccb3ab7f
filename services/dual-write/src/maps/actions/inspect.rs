//! What can be asked about maps without changing anything.

use std::sync::Arc;

use proto::dual_write::v1::{self as pb, MapVersion, Side, TableMap, ValidationIssue};
use proto::query::v1::{
    CountImagesRequest, CountImagesResponse, FilterExpression, ImageSelection, MapSide,
};
use rpc::ErrorReason;
use tonic::Code;

use crate::core::Core;
use crate::error::Error;
use crate::map::definition::bind;
use crate::map::depend;
use crate::map::filter::{Language, parse};
use crate::map::key::candidates;
use crate::map::schema::{Schemas, TableSchema};
use crate::maps::link_text;
use crate::peers::asked;

/// A filter, as its side understands it.
struct Understood {
    filter: Option<FilterExpression>,
    canonical: String,
}

/// Counts what filters let through, on both sides, and shows how (spec DW-24).
pub(crate) async fn test_filters(
    core: &Core,
    map: &TableMap,
    source_filter: &str,
    reversed_source_filter: &str,
) -> Result<Vec<pb::FilterTest>, Error> {
    let schemas = core.maps.tables().get()?;
    let (erp, platform) = (Side::FinanceAndOperations, Side::Platform);
    let (erp, platform) = tokio::join!(
        test(core, map, &schemas, erp, source_filter),
        test(core, map, &schemas, platform, reversed_source_filter),
    );
    Ok(vec![erp?, platform?])
}

/// What the present tables offer as integration keys, and lack of what the version names.
pub(crate) fn refreshed(
    map: &TableMap,
    version: &MapVersion,
    schemas: &Schemas,
) -> (Vec<pb::IntegrationKey>, Vec<ValidationIssue>) {
    let (entity, table) = (&map.finance_and_operations_entity, &map.platform_table);
    let (definition, issues) = bind(version, entity, table, schemas);
    let keys = match (&definition, schemas.get(Side::Platform, table)) {
        (Some(definition), _) => candidates(&definition.platform, &definition.fields),
        (None, Some(table)) => candidates(table, &[]),
        (None, None) => Vec::new(),
    };
    (keys, issues)
}

/// Names of the maps that a start or a pause of a map is to take along.
pub(crate) fn related(
    core: &Core,
    map: &str,
    relation: pb::MapRelation,
) -> Result<Vec<String>, Error> {
    match relation {
        pb::MapRelation::Unspecified | pb::MapRelation::Needed => needed(core, map),
        pb::MapRelation::Needing => Ok(needing(core, map)),
    }
}

/// Maps whose lookups need this one, children first.
fn needing(core: &Core, map: &str) -> Vec<String> {
    let all = core.maps.all();
    let compiled = all.iter().filter_map(|it| {
        it.compiled.as_deref().map(|map| (map, it.version.required_maps.as_slice()))
    });
    depend::dependent_maps(map, compiled).into_iter().map(str::to_owned).collect()
}

/// Maps that have to run for a map's lookups to resolve, parents first: those of the definition, then those
/// that feed the tables that it looks up.
fn needed(core: &Core, map: &str) -> Result<Vec<String>, Error> {
    let active = core.maps.get(map).ok_or_else(|| Error::NotFound(map.to_owned()))?;
    let all = core.maps.all();
    let compiled: Vec<_> = all.iter().filter_map(|it| it.compiled.clone()).collect();
    let found = depend::required_maps(map, compiled.iter().map(Arc::as_ref));
    let given = active.version.required_maps.iter().map(String::as_str);
    let given = given.filter(|it| core.maps.get(it).is_some() && *it != map);
    let mut names: Vec<String> = Vec::new();
    for name in given.chain(found) {
        if !names.iter().any(|it| it == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

async fn test(
    core: &Core,
    map: &TableMap,
    schemas: &Schemas,
    side: Side,
    text: &str,
) -> Result<pb::FilterTest, Error> {
    let name = match side {
        Side::Platform => &map.platform_table,
        Side::FinanceAndOperations | Side::Unspecified => &map.finance_and_operations_entity,
    };
    let table = schemas.get(side, name).ok_or_else(|| unknown(name))?;
    let Understood { filter, canonical } = understand(table, text)?;
    let link = core.maps.link().ok_or(Error::NotLinked)?;
    let company = table.company_path().filter(|_| map.company_specific);
    let map_side = MapSide {
        map: map.name.clone(),
        entity_name: table.name.clone(),
        columns: table.keys.first().map(|it| it.1.clone()).unwrap_or_default(),
        companies: if company.is_some() { link.companies.clone() } else { Vec::new() },
        company_column: company.unwrap_or_default(),
        filter,
        link: link_text(&link),
        ..MapSide::default()
    };
    let (all, matching) =
        tokio::join!(count(core, side, &map_side, true), count(core, side, &map_side, false));
    let (all, matching) = (all?, matching?);
    Ok(pb::FilterTest {
        side: side.into(),
        row_count: all.count,
        matching_row_count: matching.count,
        canonical_filter: canonical,
        statement: matching.statement,
    })
}

fn understand(table: &TableSchema, text: &str) -> Result<Understood, Error> {
    let language = match table.side {
        Side::Platform => Language::OData,
        Side::FinanceAndOperations | Side::Unspecified => Language::Range,
    };
    let refused = |reason, message: String| Error::Query {
        reason,
        entity: table.name.clone(),
        detail: message.clone(),
        message,
    };
    let parsed =
        parse(text, language).map_err(|it| refused(ErrorReason::InvalidQuery, it.to_string()))?;
    let Some(filter) = parsed else {
        return Ok(Understood { filter: None, canonical: String::new() });
    };
    let missing = filter.columns().iter().any(|it| table.column(it).is_none());
    let bound = filter.bind(table).map_err(|it| {
        let reason = if missing { ErrorReason::ColumnNotFound } else { ErrorReason::InvalidQuery };
        refused(reason, it.to_string())
    })?;
    Ok(Understood { filter: Some(bound), canonical: filter.odata() })
}

async fn count(
    core: &Core,
    side: Side,
    map_side: &MapSide,
    unfiltered: bool,
) -> Result<CountImagesResponse, Error> {
    let selection =
        ImageSelection { map_side: Some(map_side.clone()), unfiltered, ..Default::default() };
    let request = CountImagesRequest { selection: Some(selection), explain: !unfiltered };
    let request = asked(request);
    let mut client = core.sides.of(side).sharing();
    let answer = client.count_images(request).await.map_err(|status| {
        match (status.code(), rpc::reason(&status)) {
            (Code::InvalidArgument, Some(reason)) => Error::Query {
                reason,
                message: status.message().to_owned(),
                entity: map_side.entity_name.clone(),
                detail: status.message().to_owned(),
            },
            _ => Error::of_side(side, status),
        }
    })?;
    Ok(answer.into_inner())
}

fn unknown(table: &str) -> Error {
    Error::Query {
        reason: ErrorReason::InvalidQuery,
        message: format!("there is no `{table}` any more"),
        entity: table.to_owned(),
        detail: String::new(),
    }
}
