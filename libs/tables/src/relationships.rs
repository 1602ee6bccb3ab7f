//! Relationships of a virtual table: one for each relation of its data entity that leads to an entity
//! which is published too, and one from the company's column to the platform's companies.

use model::{COMPANY_FIELD, Entity, Relation};
use proto::query::v1 as pb;
use proto::query::v1::RelationshipOrigin;

use crate::columns::Columns;
use crate::names::virtual_name;

/// The platform's table of companies, and the field that holds a company's code.
const COMPANY_TABLE: &str = "cdm_company";
const COMPANY_CODE: &str = "cdm_companycode";
/// Relationships with longer names are left out (spec virtual-entities §2.3).
const LONGEST_NAME: usize = 92;

/// Adds a lookup column for each relationship and describes it.
pub(crate) fn add<'m>(
    columns: &mut Columns,
    entity: &'m Entity,
    published: impl Fn(&str) -> Option<&'m Entity>,
) -> Vec<pb::Relationship> {
    let company = columns.company_lookup_name().map(|(column, navigation)| pb::Relationship {
        schema_name: format!("mserp_{COMPANY_TABLE}_{}_{COMPANY_FIELD}", entity.name),
        collection_navigation_property: format!(
            "mserp_{COMPANY_TABLE}_{}_{COMPANY_FIELD}",
            entity.name
        ),
        column,
        target: COMPANY_TABLE.to_owned(),
        navigation_property: navigation,
        pairs: vec![pair(COMPANY_FIELD, COMPANY_CODE)],
        // The platform's code and the ERP's may differ in letter case.
        exact: false,
        origin: RelationshipOrigin::Company.into(),
    });
    let relations = entity.relations.iter().filter_map(|relation| {
        let schema_name = format!("mserp_FK_{}_{}", entity.name, relation.name);
        if schema_name.chars().count() > LONGEST_NAME {
            return None;
        }
        let target = published(&relation.entity)?;
        let target_name = virtual_name(&target.name);
        let (column, navigation_property) = columns.relation(relation, entity, &target_name);
        Some(pb::Relationship {
            collection_navigation_property: schema_name.clone(),
            schema_name,
            column,
            target: target_name,
            navigation_property,
            pairs: pairs(entity, target, relation),
            exact: true,
            origin: RelationshipOrigin::Model.into(),
        })
    });
    // The iterator borrows the columns, which the company's lookup is already among.
    let relations: Vec<_> = relations.collect();
    company.into_iter().chain(relations).collect()
}

/// The fields that are equal, the company's first: a row's related row is of the same company
/// wherever both have one.
fn pairs(entity: &Entity, target: &Entity, relation: &Relation) -> Vec<pb::RelationshipPair> {
    let says_so = relation.fields.iter().any(|it| it.related == COMPANY_FIELD);
    let implied = entity.company.is_some() && target.company.is_some() && !says_so;
    let company = implied.then(|| pair(COMPANY_FIELD, COMPANY_FIELD));
    let fields = relation.fields.iter().map(|it| pair(&it.field, &it.related));
    company.into_iter().chain(fields).collect()
}

fn pair(column: &str, target: &str) -> pb::RelationshipPair {
    pb::RelationshipPair { column: Some(field(column)), target: Some(field(target)) }
}

fn field(name: &str) -> pb::ColumnRef {
    pb::ColumnRef {
        column: Some(pb::column_ref::Column::Field(name.to_owned())),
        ..pb::ColumnRef::default()
    }
}
