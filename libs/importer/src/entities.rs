//! From the catalog to the model.

mod identity;
mod table;

use std::collections::{HashMap, HashSet};

use model::{Entity, Model, Relation, RelationField};

use crate::catalog::{Catalog, ForeignKey, Oid, Table, TableKind};
use crate::enums::Enums;
use crate::names::{Names, pascal_case};
use crate::{Import, Skipped};

use self::identity::Identity;
use self::table::TableReader;

/// An entity and the fields that its table's columns became.
struct Draft {
    entity: Entity,
    fields: HashMap<i16, String>,
}

pub(crate) fn build(catalog: &Catalog, name: &str) -> Import {
    let mut skipped = Vec::new();
    let offered: Vec<_> = catalog
        .tables
        .iter()
        .filter(|table| match table_is_left_out(catalog, table) {
            Some(reason) => {
                skipped.push(Skipped { what: path(table), reason });
                false
            }
            None => true,
        })
        .collect();

    let looked_up = looked_up_columns(catalog);
    let names = entity_names(&offered);
    let mut enums = Enums::new();
    let mut drafts = HashMap::new();
    for (table, entity_name) in offered.iter().zip(names) {
        let reader = TableReader { catalog, table, looked_up: &looked_up, skipped: &mut skipped };
        if let Some(draft) = reader.read(entity_name, &mut enums) {
            drafts.insert(table.oid, draft);
        }
    }
    relate(&mut drafts, &catalog.foreign_keys);

    let mut entities: Vec<_> = drafts.into_values().map(|it| it.entity).collect();
    entities.sort_by(|a, b| a.name.cmp(&b.name));
    skipped.sort();
    let model = Model {
        name: name.to_owned(),
        label: crate::names::humanised(name),
        null_date: None,
        compares_exactly: false,
        company: None,
        enums: enums.finish(),
        entities,
    };
    Import { model, skipped }
}

/// How PostgreSQL's people would write it.
fn path(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
}

fn table_is_left_out(catalog: &Catalog, table: &Table) -> Option<String> {
    let by_hand = "write its entity by hand, with columns that identify a row as `record_id`";
    if let Some(extension) = &table.extension {
        return Some(format!("belongs to the extension {extension}"));
    }
    match table.kind {
        TableKind::View => return Some(format!("a view has no key: {by_hand} and `view = true`")),
        TableKind::Foreign => return Some(format!("a foreign table has no key: {by_hand}")),
        TableKind::Table => {}
    }
    if table.has_heirs {
        let reason = "other tables inherit from it, so that its key is not unique among its rows";
        return Some(format!("{reason}: {by_hand}"));
    }
    let reason = "has neither a primary key nor a unique index over columns that are never null";
    Identity::of(catalog, table).is_none().then(|| format!("{reason}: {by_hand}"))
}

/// Columns that rows are found by.
fn looked_up_columns(catalog: &Catalog) -> HashSet<(Oid, i16)> {
    let keys = catalog.tables.iter().flat_map(|table| {
        let columns = table.keys.iter().flat_map(|it| &it.columns);
        columns.map(|it| (table.oid, *it))
    });
    let foreign_keys = catalog.foreign_keys.iter().flat_map(|it| {
        let own = it.columns.iter().map(|column| (it.table, *column));
        own.chain(it.target_columns.iter().map(|column| (it.target, *column)))
    });
    keys.chain(foreign_keys).collect()
}

/// A table's own name, with its schema where several schemas have such a table. `public` goes first.
fn entity_names(tables: &[&Table]) -> Vec<String> {
    let mut uses = HashMap::<_, u32>::new();
    for table in tables {
        *uses.entry(pascal_case(&table.name).to_lowercase()).or_default() += 1;
    }
    let mut names = Names::default();
    let wanted = tables.iter().map(|table| {
        let name = pascal_case(&table.name);
        let is_ambiguous = uses.get(&name.to_lowercase()).is_some_and(|it| *it > 1);
        match is_ambiguous && table.schema != "public" {
            true => format!("{}{name}", pascal_case(&table.schema)),
            false => name,
        }
    });
    let wanted: Vec<_> = wanted.collect();
    wanted.iter().map(|it| names.take(it)).collect()
}

fn relate(drafts: &mut HashMap<Oid, Draft>, foreign_keys: &[ForeignKey]) {
    let mut names = HashMap::<Oid, Names>::new();
    for foreign_key in foreign_keys {
        let (Some(draft), Some(target)) =
            (drafts.get(&foreign_key.table), drafts.get(&foreign_key.target))
        else {
            continue;
        };
        let pairs = foreign_key.columns.iter().zip(&foreign_key.target_columns);
        let fields = pairs.map(|(own, other)| {
            let field = draft.fields.get(own)?.clone();
            Some(RelationField { field, related: target.fields.get(other)?.clone() })
        });
        let Some(fields) = fields.collect::<Option<Vec<_>>>() else { continue };
        let wanted = relation_name(foreign_key, &fields, draft);
        let name = names.entry(foreign_key.table).or_default().take(&wanted);
        let relation = Relation { name, entity: target.entity.name.clone(), fields };
        if let Some(draft) = drafts.get_mut(&foreign_key.table) {
            draft.entity.relations.push(relation);
        }
    }
}

/// `Customer` for the column `customer_id`; several columns go by the constraint's name.
fn relation_name(foreign_key: &ForeignKey, fields: &[RelationField], draft: &Draft) -> String {
    if let [pair] = fields {
        let name = pair.field.strip_suffix("Id").filter(|it| !it.is_empty());
        return name.unwrap_or(&pair.field).to_owned();
    }
    let table = draft.entity.sources.first().map_or("", |it| it.table.name.as_str());
    let name = foreign_key.name.strip_prefix(table).unwrap_or(&foreign_key.name);
    let name = ["_fkey", "_fk"].iter().find_map(|it| name.strip_suffix(it)).unwrap_or(name);
    pascal_case(name.trim_matches('_'))
}
