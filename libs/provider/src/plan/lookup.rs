//! Lookups: the GUID of the row that a relation leads to, taken from the entity's own fields where
//! they say it, and otherwise from the related row.

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Operator;
use uuid::Uuid;

use super::column::{Column, GuidForm, Lookup, Named, RowGuid};
use super::scope::{Body, Join, Place, ROOT, Scope};
use super::{Planner, and_all};
use crate::binding::{Binding, Field, Identity, Kind};
use crate::error::Error;
use crate::grant::Grant;

impl Planner<'_> {
    pub(super) fn lookup(&self, owner: usize, name: &str) -> Result<Lookup, Error> {
        let binding = self.binding(owner).ok_or_else(|| self.no_column(owner, name))?;
        let relation = binding.relations.get(name).ok_or_else(|| self.no_column(owner, name))?;
        Ok(Lookup {
            owner,
            name: name.to_owned(),
            pairs: relation.pairs.clone(),
            target: self.grants.of(&relation.entity).ok(),
        })
    }

    /// The GUID, as what it is made of.
    pub(super) fn lookup_guid(&mut self, lookup: &Lookup, at: Place) -> Result<RowGuid, Error> {
        let Some(target) = &lookup.target else { return Ok(RowGuid::none()) };
        let key = (lookup.owner, lookup.name.clone(), at.frame, at.before, at.subquery);
        if let Some(known) = self.lookups.get(&key) {
            return Ok(known.clone());
        }
        let guid = match self.own_identity(lookup, target, at)? {
            Some(guid) => guid,
            None => self.related_identity(lookup, target, at)?,
        };
        self.lookups.insert(key, guid.clone());
        Ok(guid)
    }

    /// The related row's identity, where fields of this row are all of it.
    fn own_identity(
        &mut self,
        lookup: &Lookup,
        target: &Grant,
        at: Place,
    ) -> Result<Option<RowGuid>, Error> {
        let Some(own) = self.binding(lookup.owner) else { return Ok(None) };
        let Some(fields) = identifying(&own, lookup, target) else { return Ok(None) };
        let mut columns = Vec::with_capacity(fields.len());
        for field in &fields {
            columns.push(self.field(lookup.owner, field, at)?);
        }
        let nullable = columns.iter().any(|it| it.nullable);
        let (form, sql) = match (&target.binding().identity, columns.as_slice()) {
            (Identity::Integer { .. }, [column]) => (GuidForm::Integer, column.sql.clone()),
            (Identity::Uuid { .. }, [column]) => (GuidForm::Uuid, column.sql.clone()),
            (Identity::Hash { .. }, columns) => (GuidForm::Hash, hash(columns)),
            _ => return Ok(None),
        };
        let column = Column::raw(sql, form.kind(), nullable);
        let entity_id = target.binding().entity_id;
        Ok(Some(RowGuid { entity_id, form, column, owner: None }))
    }

    fn related_identity(
        &mut self,
        lookup: &Lookup,
        target: &Grant,
        at: Place,
    ) -> Result<RowGuid, Error> {
        let (number, place) = self.open_lookup(target, at);
        let on = self.relate(lookup, at, number, place)?;
        self.guard(number);
        let guid = self.record_guid(number, place)?;
        let filter = and_all(&on).map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let (value, table) = (&guid.column.sql, self.derived(number));
        let sql = format!("(SELECT {value} FROM {table}{filter} LIMIT 1)");
        let column = Column::raw(sql, guid.form.kind(), true);
        Ok(RowGuid { column, owner: None, ..guid })
    }

    /// The rows whose field leads, by a link on that field alone, to the row that has this value in a column
    /// of the link: as an equation of the field. `None` for other links.
    pub(super) fn led_to(
        &mut self,
        link: &pb::LinkEntity,
        column: &pb::ColumnRef,
        value: &pb::Value,
    ) -> Result<Option<String>, Error> {
        use pb::column_ref::Column::Field;
        let Some(pb::link_entity::Target::EntityName(entity)) = &link.target else {
            return Ok(None);
        };
        let (Ok(target), [pair], Some(Field(name))) =
            (self.grants.of(entity), link.on.as_slice(), &column.column)
        else {
            return Ok(None);
        };
        let own = self.named(pair.parent.as_ref(), Place::within(ROOT))?;
        let (number, place) = self.open_lookup(&target, Place::within(ROOT));
        let theirs = match pair.column.as_ref().and_then(|it| it.column.as_ref()) {
            Some(Field(theirs)) => Named::Field(self.field(number, theirs, place)?),
            _ => Named::RecordId(self.record_guid(number, place)?),
        };
        let (own, theirs) = match (own, theirs) {
            (Named::Field(own), Named::Field(theirs)) if own.is_compared_as(&theirs) => {
                (own, theirs)
            }
            (Named::Field(own), Named::RecordId(theirs)) if theirs.form == GuidForm::Uuid => {
                (own, theirs.column)
            }
            _ => return Ok(None),
        };
        let inside = self.field(number, name, Place::within(number))?;
        let is_it = self.equal(&inside, value)?;
        self.scopes[number].filter.push(is_it);
        self.guard(number);
        let table = self.derived(number);
        Ok(Some(format!("{} = (SELECT {} FROM {table} LIMIT 1)", own.sql, theirs.sql)))
    }

    fn open_lookup(&mut self, target: &Grant, at: Place) -> (usize, Place) {
        self.scopes.push(Scope::new(Body::Entity(target.clone()), Join::Subquery, at));
        let number = self.scopes.len() - 1;
        (number, Place { subquery: Some(number), ..at }.of(number))
    }

    /// What makes the row of a scope the one that a relation leads to.
    pub(super) fn relate(
        &mut self,
        lookup: &Lookup,
        at: Place,
        number: usize,
        place: Place,
    ) -> Result<Vec<String>, Error> {
        let mut on = Vec::with_capacity(lookup.pairs.len());
        for (own, related) in &lookup.pairs {
            let column = Named::Field(self.field(lookup.owner, own, at)?);
            let other = Named::Field(self.field(number, related, place)?);
            on.push(self.equal_columns(&other, &column, true, place)?);
        }
        Ok(on)
    }

    pub(super) fn compare_lookup(
        &mut self,
        lookup: &Lookup,
        operator: Operator,
        values: &[pb::Value],
        at: Place,
    ) -> Result<String, Error> {
        let (negated, guids) = match operator {
            Operator::NotNull => (false, None),
            Operator::Null => (true, None),
            operator => {
                let (negated, guids) = super::key::guids(operator, values)?;
                (negated, Some(guids))
            }
        };
        let related = self.leads_to(lookup, guids.as_deref(), at)?;
        Ok(if negated { format!("({related}) IS NOT TRUE") } else { related })
    }

    /// Whether there is a related row, one of these if some are named.
    fn leads_to(
        &mut self,
        lookup: &Lookup,
        guids: Option<&[Uuid]>,
        at: Place,
    ) -> Result<String, Error> {
        let Some(target) = &lookup.target else { return Ok("false".to_owned()) };
        if let Some(guid) = self.own_identity(lookup, target, at)? {
            return Ok(match guids {
                Some(guids) => self.record_ids(&guid, guids),
                None => format!("{} IS NOT NULL", guid.column.sql),
            });
        }
        let (number, place) = self.open_lookup(target, at);
        let on = self.relate(lookup, at, number, place)?;
        if let Some(guids) = guids {
            let guid = self.record_guid(number, Place::within(number))?;
            let one_of_them = self.record_ids(&guid, guids);
            self.scopes[number].filter.push(one_of_them);
        }
        self.guard(number);
        Ok(self.subquery("1", number, &on, "EXISTS "))
    }
}

/// The fields that hold the target's identity, in its order: where the relation is by it and nothing
/// else, every row there is can be seen, and what both sides hold is alike as text too.
fn identifying(own: &Binding, lookup: &Lookup, target: &Grant) -> Option<Vec<String>> {
    let binding = target.binding();
    let joins_inner = |it: &crate::binding::Source| it.join.as_ref().is_some_and(|it| !it.optional);
    if binding.sources.iter().any(joins_inner) {
        return None;
    }
    let columns = match &binding.identity {
        Identity::Integer { column } | Identity::Uuid { column } => std::slice::from_ref(column),
        Identity::Hash { columns, .. } => columns,
    };
    if columns.len() != lookup.pairs.len() {
        return None;
    }
    let paired = |field: &&Field| lookup.pairs.iter().any(|(_, related)| *related == field.name);
    let mut fields = Vec::with_capacity(columns.len());
    for column in columns {
        let related = binding.fields.iter().filter(|it| it.sql == *column).find(paired)?;
        let (name, _) = lookup.pairs.iter().find(|(_, it)| *it == related.name)?;
        let field = own.field(name)?;
        let fits = matches!(
            (&binding.identity, &related.kind, &field.kind),
            (Identity::Integer { .. }, _, Kind::Integer)
                | (Identity::Uuid { .. }, _, Kind::Guid)
                | (Identity::Hash { .. }, Kind::Text, Kind::Text)
                | (Identity::Hash { .. }, Kind::Integer, Kind::Integer)
                | (Identity::Hash { .. }, Kind::Guid, Kind::Guid)
                | (Identity::Hash { .. }, Kind::Date, Kind::Date)
        );
        if !fits {
            return None;
        }
        fields.push(name.clone());
    }
    target.sees_all_by(own, &lookup.pairs).then_some(fields)
}

/// What the hash of a row with these values is; null where one of them is.
fn hash(columns: &[Column]) -> String {
    let texts: Vec<String> = columns.iter().map(|it| format!("{}::text", it.sql)).collect();
    let hash = crate::ids::hash_sql(&texts);
    let nullable = columns.iter().filter(|it| it.nullable);
    let present: Vec<String> = nullable.map(|it| format!("{} IS NOT NULL", it.sql)).collect();
    if present.is_empty() {
        hash
    } else {
        format!("CASE WHEN {} THEN {hash} END", present.join(" AND "))
    }
}
