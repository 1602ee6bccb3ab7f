//! Which row, and which rows at all: record ids, alternate keys, and the caller's grant.

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Operator;
use proto::query::v1::value::Kind as Value;
use uuid::Uuid;

use super::argument::Argument;
use super::column::{GuidForm, RowGuid};
use super::condition::{comparable, folded};
use super::scope::{Body, Place, ROOT};
use super::{Planner, and};
use crate::binding::Kind;
use crate::error::Error;
use crate::grant::Grant;
use crate::ids;

impl Planner<'_> {
    pub(super) fn compare_record_id(
        &mut self,
        guid: &RowGuid,
        operator: Operator,
        values: &[pb::Value],
    ) -> Result<String, Error> {
        let nullable = guid.column.nullable;
        match operator {
            Operator::Null | Operator::NotNull if nullable => {
                let not = if operator == Operator::NotNull { "NOT " } else { "" };
                return Ok(format!("{} IS {not}NULL", guid.column.sql));
            }
            Operator::Null => return Ok("false".to_owned()),
            Operator::NotNull => return Ok("true".to_owned()),
            _ => {}
        }
        let (negated, guids) = guids(operator, values)?;
        let inside = self.record_ids(guid, &guids);
        Ok(match (negated, nullable) {
            (false, _) => inside,
            (true, false) => format!("NOT ({inside})"),
            (true, true) => format!("({inside}) IS NOT TRUE"),
        })
    }

    /// Rows with one of these GUIDs. Those of other entities name no row of this one. Of one the database knows that it
    /// is one, and needs no plan of its own for each.
    pub(super) fn record_ids(&mut self, guid: &RowGuid, guids: &[Uuid]) -> String {
        let (entity_id, column) = (guid.entity_id, &guid.column.sql);
        match guid.form {
            GuidForm::Integer => {
                let ids: Vec<i64> =
                    guids.iter().filter_map(|&it| ids::decode_record_guid(entity_id, it)).collect();
                match ids.as_slice() {
                    [] => "false".to_owned(),
                    [id] => format!("{column} = {}::bigint", self.arguments.int(*id)),
                    _ => {
                        let list = self.arguments.push(Argument::Ints(ids));
                        format!("{column} = ANY({list}::bigint[])")
                    }
                }
            }
            GuidForm::Uuid => match guids {
                [id] => format!("{column} = {}::uuid", self.arguments.push(Argument::Guid(*id))),
                _ => {
                    let list = self.arguments.push(Argument::Guids(guids.to_vec()));
                    format!("{column} = ANY({list}::uuid[])")
                }
            },
            GuidForm::Hash => {
                let hashes: Vec<String> =
                    guids.iter().filter_map(|&it| ids::decode_hashed_guid(entity_id, it)).collect();
                match hashes.as_slice() {
                    [] => "false".to_owned(),
                    [hash] => {
                        let hash = self.arguments.push(Argument::Text(hash.clone()));
                        format!("{column} = {hash}::text")
                    }
                    _ => {
                        let list = self.arguments.push(Argument::Texts(hashes));
                        format!("{column} = ANY({list}::text[])")
                    }
                }
            }
        }
    }

    /// The predicate of one row's key.
    pub(super) fn key(&mut self, key: &pb::record_key::Key) -> Result<String, Error> {
        match key {
            pb::record_key::Key::RecordId(bytes) => {
                let guid = Uuid::from_slice(bytes)
                    .map_err(|_| Error::InvalidQuery("a record id has 16 bytes".to_owned()))?;
                let own = self.record_guid(ROOT, Place::within(ROOT))?;
                Ok(self.record_ids(&own, &[guid]))
            }
            pb::record_key::Key::Alternate(key) => {
                let binding = self.root();
                let mut predicate = None;
                for field in binding.key_fields() {
                    let mut given = key.values.iter().filter(|it| it.field == field.name);
                    let value = match (given.next(), given.next()) {
                        (Some(pb::FieldValue { value: Some(value), .. }), None) => value,
                        _ => return Err(self.not_the_key()),
                    };
                    let column = self.field(ROOT, &field.name, Place::within(ROOT))?;
                    let equal = self.equal(&column, value)?;
                    predicate = Some(and(predicate, equal));
                }
                match predicate {
                    Some(predicate) if key.values.len() == binding.key.len() => Ok(predicate),
                    _ => Err(self.not_the_key()),
                }
            }
        }
    }

    fn not_the_key(&self) -> Error {
        let root = self.root();
        let fields: Vec<&str> = root.key_fields().map(|it| it.name.as_str()).collect();
        let key = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
        Error::InvalidQuery(format!("these are not the fields of the entity key: {key}"))
    }

    /// Which rows of a scope the caller may see; `None` for all.
    pub(super) fn policy(&mut self, scope: usize) -> Option<String> {
        let Some(Body::Entity(grant)) = self.scopes.get(scope).map(|it| &it.body) else {
            return None;
        };
        let grant = grant.clone();
        let allowed = self.allowed(scope, &grant);
        let Some(policies) = grant.policies() else { return allowed };
        self.scopes[scope].need(policies.needs());
        let predicate = policies.predicate(grant.binding(), &mut self.arguments);
        Some(match allowed {
            Some(allowed) => format!("{allowed} AND {predicate}"),
            None => predicate,
        })
    }

    /// Rows of which one field holds what it may; `None` where any do.
    fn allowed(&mut self, scope: usize, grant: &Grant) -> Option<String> {
        let field = &grant.restricted_field()?.name;
        let allowed = grant.allowed().to_vec();
        let Ok(column) = self.any_field(scope, field, Place::within(scope)) else {
            return Some("false".to_owned());
        };
        if matches!(column.kind, Kind::Guid) {
            let guids = allowed.iter().filter_map(|it| it.parse().ok()).collect();
            let list = self.arguments.push(Argument::Guids(guids));
            return Some(format!("{} = ANY({list}::uuid[])", column.sql));
        }
        let list = self.arguments.push(Argument::Texts(allowed));
        Some(format!("{} = ANY({})", comparable(&column), folded(&list, column.casing)))
    }
}

/// What a record id is compared with, and whether it must be none of them.
pub(super) fn guids(operator: Operator, values: &[pb::Value]) -> Result<(bool, Vec<Uuid>), Error> {
    let negated = match operator {
        Operator::Equal if values.len() == 1 => false,
        Operator::NotEqual if values.len() == 1 => true,
        Operator::In => false,
        Operator::NotIn => true,
        _ => {
            let message = "a record id can be compared with eq, ne, in and not-in only";
            return Err(Error::InvalidQuery(message.to_owned()));
        }
    };
    Ok((negated, values.iter().map(guid).collect::<Result<_, _>>()?))
}

fn guid(value: &pb::Value) -> Result<Uuid, Error> {
    match &value.kind {
        Some(Value::GuidValue(bytes)) => Uuid::from_slice(bytes).ok(),
        _ => None,
    }
    .ok_or_else(|| Error::InvalidQuery("a record id is compared with GUIDs".to_owned()))
}
