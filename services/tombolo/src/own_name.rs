//! The caller's display name, which is typed before something that cannot be undone.

use anyhow::Result;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use proto::gateway::v1::{RetrieveRequest, WhoAmIRequest, retrieve_request::Key};
use proto::query::v1::ColumnBatch;
use proto::query::v1::column_values::Values;
use tonic::Status;

use crate::system::System;

const TABLE: &str = "systemuser";
const COLUMN: &str = "fullname";

impl System {
    /// None where the caller has no row of its own, or may not read it.
    pub(crate) async fn own_name(&self) -> Option<String> {
        self.read_own_name().await.ok().flatten()
    }

    async fn read_own_name(&self) -> Result<Option<String>, Status> {
        let mut client = GatewayServiceClient::new(self.access());
        let user_id = client.who_am_i(WhoAmIRequest {}).await?.into_inner().user_id;
        let request = RetrieveRequest {
            table: TABLE.to_owned(),
            key: Some(Key::Id(user_id)),
            columns: vec![COLUMN.to_owned()],
        };
        Ok(client.retrieve(request).await?.into_inner().row.and_then(name_in))
    }
}

fn name_in(row: ColumnBatch) -> Option<String> {
    let column = row.columns.into_iter().find(|it| it.key == COLUMN)?;
    match column.values? {
        Values::Strings(it) => it.values.into_iter().next().filter(|it| !it.trim().is_empty()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proto::query::v1::{ColumnValues, StringArray};

    use super::*;

    fn row(key: &str, name: &str) -> ColumnBatch {
        let values = Values::Strings(StringArray { values: vec![name.to_owned()] });
        let column =
            ColumnValues { key: key.to_owned(), values: Some(values), ..ColumnValues::default() };
        ColumnBatch { columns: vec![column] }
    }

    #[test]
    fn a_name_is_text_that_says_something() {
        assert_eq!(name_in(row("fullname", "Alice Doe")).as_deref(), Some("Alice Doe"));
        assert_eq!(name_in(row("fullname", " ")), None);
        assert_eq!(name_in(row("systemuserid", "Alice Doe")), None);
        assert_eq!(name_in(ColumnBatch::default()), None);
    }
}
