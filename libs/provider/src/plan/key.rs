//! Which row, and which rows at all: record ids, alternate keys, and the caller's grant.

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Operator;
use proto::query::v1::value::Kind as Value;
use uuid::Uuid;

use super::argument::Argument;
use super::condition::{comparable, folded};
use super::{Planner, and};
use crate::binding::Identity;
use crate::error::Error;
use crate::grant::Grant;
use crate::ids;

impl Planner<'_> {
    pub(super) fn compare_record_id(
        &mut self,
        operator: Operator,
        values: &[pb::Value],
    ) -> Result<String, Error> {
        let negated = match operator {
            Operator::Null => return Ok("false".to_owned()),
            Operator::NotNull => return Ok("true".to_owned()),
            Operator::Equal if values.len() == 1 => false,
            Operator::NotEqual if values.len() == 1 => true,
            Operator::In => false,
            Operator::NotIn => true,
            _ => {
                let message = "a record id can be compared with eq, ne, in and not-in only";
                return Err(Error::InvalidQuery(message.to_owned()));
            }
        };
        let guids = values.iter().map(guid).collect::<Result<Vec<_>, _>>()?;
        let inside = self.record_ids(&guids);
        Ok(if negated { format!("NOT ({inside})") } else { inside })
    }

    /// Rows with one of these GUIDs. Those of other entities name no row of this one.
    fn record_ids(&mut self, guids: &[Uuid]) -> String {
        let entity_id = self.binding.entity_id;
        match &self.binding.identity {
            Identity::Integer { column } => {
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
            Identity::Uuid { column } => {
                let list = self.arguments.push(Argument::Guids(guids.to_vec()));
                format!("{column} = ANY({list}::uuid[])")
            }
            Identity::Hash { expression, .. } => {
                let hashes: Vec<String> =
                    guids.iter().filter_map(|&it| ids::decode_hashed_guid(entity_id, it)).collect();
                let list = self.arguments.push(Argument::Texts(hashes));
                format!("{expression} = ANY({list}::text[])")
            }
        }
    }

    /// The predicate of one row's key.
    pub(super) fn key(&mut self, key: &pb::record_key::Key) -> Result<String, Error> {
        match key {
            pb::record_key::Key::RecordId(bytes) => {
                let guid = Uuid::from_slice(bytes)
                    .map_err(|_| Error::InvalidQuery("a record id has 16 bytes".to_owned()))?;
                Ok(self.record_ids(&[guid]))
            }
            pb::record_key::Key::Alternate(key) => {
                let binding = self.binding;
                let mut predicate = None;
                for field in binding.key_fields() {
                    let mut given = key.values.iter().filter(|it| it.field == field.name);
                    let value = match (given.next(), given.next()) {
                        (Some(pb::FieldValue { value: Some(value), .. }), None) => value,
                        _ => return Err(self.not_the_key()),
                    };
                    self.need(field.needs);
                    let equal = self.equal(field, value)?;
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
        let fields: Vec<&str> = self.binding.key_fields().map(|it| it.name.as_str()).collect();
        let key = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
        Error::InvalidQuery(format!("these are not the fields of the entity key: {key}"))
    }

    /// Which rows the caller may see; `None` for all.
    pub(super) fn policy(&mut self, grant: &Grant) -> Option<String> {
        let companies = grant.companies()?;
        let field = self.binding.company_field()?;
        self.need(field.needs);
        let list = self.arguments.push(Argument::Texts(companies.to_vec()));
        Some(format!("{} = ANY({})", comparable(field), folded(&list, field.casing)))
    }
}

fn guid(value: &pb::Value) -> Result<Uuid, Error> {
    match &value.kind {
        Some(Value::GuidValue(bytes)) => Uuid::from_slice(bytes).ok(),
        _ => None,
    }
    .ok_or_else(|| Error::InvalidQuery("a record id is compared with GUIDs".to_owned()))
}
