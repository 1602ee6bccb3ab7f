//! Company GUIDs and the codes they stand for: virtual tables store the code, the platform asks
//! for the GUID (spec VE-053).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use tonic::Status;
use uuid::Uuid;

use crate::error::GatewayError;
use crate::metadata::{Snapshot, Table};
use crate::providers::{Call, Providers};

const TABLE: &str = "cdm_company";
const CODE: &str = "cdm_companycode";
const FRESH_FOR: Duration = Duration::from_secs(30);
const MOST_COMPANIES: i32 = 5_000;

/// Codes by GUID.
pub(crate) type Codes = HashMap<Uuid, String>;

/// The platform's companies as a caller sees them.
#[derive(Debug)]
pub(crate) struct Companies {
    cache: Cache<[Uuid; 3], Arc<Codes>>,
}

impl Companies {
    pub(crate) fn new() -> Self {
        Self { cache: Cache::builder().max_capacity(10_000).time_to_live(FRESH_FOR).build() }
    }

    /// Forgets what it knows, if the table is the one that it knows from.
    pub(crate) fn forget(&self, table: &Table) {
        if table.logical_name == TABLE {
            self.cache.invalidate_all();
        }
    }

    /// The codes of all companies that the caller may see.
    pub(crate) async fn codes(
        &self,
        call: Call<'_>,
        snapshot: &Snapshot,
        providers: &Providers,
    ) -> Result<Arc<Codes>, GatewayError> {
        let Some(table) = snapshot.by_name(TABLE) else { return Ok(Arc::default()) };
        // Who may not see companies knows none, and can still read what names none.
        if !call.session.may_read(table, &[]) {
            return Ok(Arc::default());
        }
        let read = read(call, table, providers);
        let codes = self.cache.try_get_with(call.session.who(), read).await;
        codes.map_err(|status| GatewayError::of_provider(&status, table))
    }
}

async fn read(call: Call<'_>, table: &Table, providers: &Providers) -> Result<Arc<Codes>, Status> {
    let output = |name: &str| {
        let column = table.by_name(name)?.external.clone();
        Some(pb::OutputColumn { column: Some(column), key: name.to_owned(), ..Default::default() })
    };
    let (Some(id), Some(code)) = (output(&table.primary_id), output(CODE)) else {
        return Ok(Arc::default());
    };
    let query = pb::QueryExpression {
        entity_name: table.external_name.clone(),
        columns: vec![id, code],
        page: Some(pb::Page { size: MOST_COMPANIES, ..Default::default() }),
        ..Default::default()
    };
    let request = pb::RetrieveMultipleRequest {
        query: Some(query),
        format: pb::RowFormat::Columns.into(),
        ..Default::default()
    };
    let mut rows = providers.retrieve_multiple(call, table.source, request).await?;
    let mut codes = Codes::new();
    collect(&rows.first, &mut codes);
    let mut ended = rows.first.end.is_some();
    while !ended {
        let batch = rows.next().await?;
        collect(&batch, &mut codes);
        ended = batch.end.is_some();
    }
    Ok(Arc::new(codes))
}

fn collect(message: &pb::RetrieveMultipleResponse, codes: &mut Codes) {
    let Some(pb::RowBatch { rows: Some(pb::row_batch::Rows::Columns(batch)), .. }) = &message.batch
    else {
        return;
    };
    if let [ids, names] = batch.columns.as_slice()
        && let (Some(Values::Guids(ids)), Some(Values::Strings(names))) =
            (&ids.values, &names.values)
    {
        let ids = ids.chunks_exact(16).filter_map(|it| Uuid::from_slice(it).ok());
        codes.extend(ids.zip(names.values.iter().cloned()));
    }
}
