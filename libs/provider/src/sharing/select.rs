//! Which rows a request means.

use proto::query::v1 as pb;
use uuid::Uuid;

use crate::error::Error;
use crate::plan::Which;

/// Most rows that are named at once.
const MOST: usize = 5_000;

/// A selection, taken apart.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) side: pb::MapSide,
    company: String,
    ids: Vec<Uuid>,
    keys: Vec<pb::ImageKey>,
    pub(crate) unfiltered: bool,
}

// === impl Selected ===

impl Selected {
    pub(crate) fn of(selection: pb::ImageSelection) -> Result<Self, Error> {
        let side = selection.map_side.ok_or(Error::Missing("map_side"))?;
        if selection.keys.len() > MOST {
            return Err(Error::InvalidQuery(format!("at most {MOST} rows are named at once")));
        }
        Ok(Self {
            side,
            company: selection.company,
            ids: ids(&selection.record_ids)?,
            keys: selection.keys,
            unfiltered: selection.unfiltered,
        })
    }

    /// By their ids, or by their keys.
    pub(crate) fn names_rows(&self) -> bool {
        !self.ids.is_empty() || !self.keys.is_empty()
    }

    pub(crate) fn which(&self) -> Which<'_> {
        Which {
            company: &self.company,
            ids: Some(self.ids.as_slice()).filter(|it| !it.is_empty()),
            keys: Some(self.keys.as_slice()).filter(|it| !it.is_empty()),
            unfiltered: self.unfiltered,
            ..Which::default()
        }
    }
}

/// Record ids.
pub(crate) fn ids<B: AsRef<[u8]>>(of: &[B]) -> Result<Vec<Uuid>, Error> {
    if of.len() > MOST {
        return Err(Error::InvalidQuery(format!("at most {MOST} rows are named at once")));
    }
    let wrong = |_| Error::InvalidQuery("a record id has 16 bytes".to_owned());
    of.iter().map(|it| Uuid::from_slice(it.as_ref()).map_err(wrong)).collect()
}

/// Refuses a selection that names no rows.
pub(crate) fn check_size(selected: &Selected) -> Result<(), Error> {
    match selected.names_rows() {
        true => Ok(()),
        false => Err(Error::Missing("record_ids")),
    }
}
