//! What rows became of what was applied: what this side's rules made of it goes back.

use std::collections::HashMap;

use proto::query::v1 as pb;
use uuid::Uuid;

use super::Run;
use crate::error::Error;
use crate::sharing::apply::correct::correct;
use crate::sharing::images;
use crate::sharing::rights::Unrestricted;
use crate::sharing::value::is_same;
use crate::write::{Known, Session};

impl Run {
    /// What is known of a row that is locked.
    pub(super) fn known(&self, id: Uuid) -> Known {
        let own = self.seen.get(&id).map(|it| it.image.values.as_slice()).unwrap_or_default();
        let own = self.map.side.columns.iter().zip(own);
        let beyond = self.beyond.get(&id).map(Vec::as_slice).unwrap_or_default();
        let names = self.judged.as_ref().map(|it| it.side.columns.as_slice()).unwrap_or_default();
        let beyond = names.iter().skip(self.map.side.columns.len()).zip(beyond);
        let held = own.chain(beyond).map(|(name, value)| (name.clone(), value.clone()));
        Known::new(held.collect::<HashMap<_, _>>())
    }

    /// Compares what a row was to hold with what it does, as far as the statements that wrote to it said so.
    /// What they did not write to holds what it did; where a trigger wrote there, that has an entry of its own.
    pub(super) fn changed(
        &mut self,
        id: Uuid,
        written: &[pb::FieldValue],
        expected: Vec<pb::FieldValue>,
        known: &Known,
    ) -> Result<(), Error> {
        if !written.iter().all(|it| known.is_told(&it.field)) {
            self.note(id, expected);
            return Ok(());
        }
        self.written.insert(id);
        let held = |name: &str| known.held(name);
        let differing = self.differing(expected.into_iter().filter_map(pair), held)?;
        self.corrected.push((id, differing));
        Ok(())
    }

    /// The row is to be looked at when all are written.
    pub(super) fn note(&mut self, id: Uuid, expected: Vec<pb::FieldValue>) {
        self.written.insert(id);
        self.applied.push((id, expected.into_iter().filter_map(pair).collect()));
    }

    /// Looks at what the rows became, and leaves an entry where that is something else.
    pub(super) async fn correct(&mut self, session: &mut Session<'_>) -> Result<(), Error> {
        let applied = std::mem::take(&mut self.applied);
        let ids: Vec<Uuid> = applied.iter().map(|it| it.0).collect();
        let rights = Unrestricted(session.authority);
        let now = images::now(session.connection, &rights, &self.map, &ids).await?;
        for (id, expected) in applied {
            let Some(seen) = now.get(&id) else { continue };
            let held = |name: &str| {
                let at = self.map.side.columns.iter().position(|it| it == name)?;
                seen.image.values.get(at)
            };
            let differing = self.differing(expected.into_iter(), held)?;
            self.corrected.push((id, differing));
        }
        for (id, differing) in &self.corrected {
            let field = |(name, value)| Ok((self.map.field(name)?, value));
            let differing = differing.iter().map(|(name, value)| field((name, value)));
            let differing = differing.collect::<Result<Vec<_>, Error>>()?;
            if !differing.is_empty() {
                correct(session, &self.map, *id, &differing).await?;
            }
        }
        Ok(())
    }

    fn differing<'h>(
        &self,
        expected: impl Iterator<Item = (String, pb::Value)>,
        held: impl Fn(&str) -> Option<&'h pb::Value>,
    ) -> Result<Vec<(String, pb::Value)>, Error> {
        let mut differing = Vec::new();
        for (name, value) in expected {
            let field = self.map.field(&name)?;
            if held(&name).is_some_and(|it| !is_same(field, it, &value)) {
                differing.push((name, value));
            }
        }
        Ok(differing)
    }
}

fn pair(it: pb::FieldValue) -> Option<(String, pb::Value)> {
    Some((it.field, it.value?))
}
