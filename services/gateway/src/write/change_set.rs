//! What a client wants written, whichever dialect said it: operations in order, all of them or none.

use std::sync::Arc;

use proto::query::v1 as pb;
use uuid::Uuid;

use crate::metadata::Table;
use crate::translate::RowKey;

/// Operations that succeed or fail as one. Later ones may name rows of earlier ones.
#[derive(Debug, Default)]
pub(crate) struct ChangeSet {
    pub(crate) steps: Vec<Step>,
}

/// One operation on one table.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) table: Arc<Table>,
    pub(crate) action: StepAction,
}

/// What is done.
#[derive(Debug)]
pub(crate) enum StepAction {
    Create {
        /// The GUID that the client chose.
        id: Option<Uuid>,
        values: Vec<Assignment>,
    },
    Update {
        row: RowRef,
        values: Vec<Assignment>,
        /// The version that the row must still have.
        etag: Option<String>,
    },
    Upsert {
        key: RowKey,
        values: Vec<Assignment>,
        /// Refused where the row exists.
        create_only: bool,
    },
    Delete {
        row: RowRef,
        etag: Option<String>,
    },
    Perform {
        /// As the provider calls it.
        action: String,
        row: Option<RowRef>,
        parameters: Vec<pb::FieldValue>,
    },
    /// Refused as not found unless the row leads to the other one by this navigation property, to one
    /// row or to many: what taking rows apart by their addresses begins with.
    RequireRelated {
        row: RowRef,
        navigation: String,
        other: RowRef,
    },
}

/// A row, however it is named.
#[derive(Clone, Debug)]
pub(crate) enum RowRef {
    Key(RowKey),
    /// The row of an earlier step, by its index.
    Step(usize),
}

/// What a column is given.
#[derive(Debug)]
pub(crate) enum Assignment {
    /// In the provider's words; null is a value.
    Field(pb::FieldValue),
    /// A lookup, by its single-valued navigation property of this table: the row that it is to lead to,
    /// or none.
    Lookup { navigation: String, target: Option<(Arc<Table>, RowRef)> },
}

/// What became of a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The row that was written; absent for actions that are bound to none.
    pub(crate) id: Option<Uuid>,
    /// Its new version.
    pub(crate) etag: Option<String>,
    /// It was made by this step.
    pub(crate) created: bool,
    /// What an action returned.
    pub(crate) result: Option<pb::Value>,
}

/// Once, however often the client asks: its own id of the request, and a digest of all that it asks.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    pub(crate) key: String,
    pub(crate) digest: [u8; 32],
}
