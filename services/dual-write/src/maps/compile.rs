//! Maps tied to the tables that there are.

use std::sync::Arc;

use proto::dual_write::v1::{self as pb, ValidationIssue};

use super::ActiveMap;
use crate::map::CompiledMap;
use crate::map::schema::Schemas;
use crate::store::maps::StoredMap;

const NO_TABLES: &str = "the tables of both sides have not arrived yet";

/// The map as this process uses it. `known` is the same map tied to the same tables before: where the
/// version is still the same, nothing has to be compiled.
pub(super) fn activate(
    stored: StoredMap,
    version: pb::MapVersion,
    link: &Arc<pb::Link>,
    schemas: Option<&Schemas>,
    known: Option<&Arc<ActiveMap>>,
) -> ActiveMap {
    let StoredMap { map, epoch } = stored;
    let known = known.filter(|it| {
        it.version == version && it.table_map.company_specific == map.company_specific
    });
    let (compiled, problem) = match (known, schemas) {
        (Some(known), _) => (known.compiled.clone(), known.problem.clone()),
        (None, Some(schemas)) => match CompiledMap::compile(&map, &version, schemas) {
            Ok(compiled) => (Some(Arc::new(compiled)), None),
            Err(issues) => (None, Some(told(&issues))),
        },
        (None, None) => (None, Some(NO_TABLES.to_owned())),
    };
    ActiveMap {
        name: map.name.clone(),
        display_name: map.display_name.clone(),
        table_map: map,
        epoch,
        version,
        compiled,
        problem,
        link: Arc::clone(link),
    }
}

fn told(issues: &[ValidationIssue]) -> String {
    let errors = issues.iter().filter(|it| !it.warning);
    let told: Vec<_> = errors
        .map(|it| match it.field.as_str() {
            "" => format!("[{}] {}", it.code, it.message),
            field => format!("[{}] {} ({field})", it.code, it.message),
        })
        .collect();
    told.join("; ")
}
