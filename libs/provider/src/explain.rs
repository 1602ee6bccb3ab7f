//! How a query would be executed: its statement, what is bound to it, PostgreSQL's plan, and what an
//! administrator can do about it. The query itself is never executed.

mod notes;
mod text;

use proto::query::v1 as pb;
use rpc::CallContext;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tonic::Status;

use crate::error::Error;
use crate::grant::{Denied, Grants};
use crate::indexes::{self, Indexes};
use crate::plan::{self, Argument, Arguments};
use crate::provider::Provider;

impl Provider {
    /// How [`Self::retrieve_multiple`] would execute a query.
    ///
    /// # Errors
    ///
    /// As [`pb::data_provider_service_server::DataProviderService::explain`] says.
    pub async fn explain(
        &self,
        context: &CallContext,
        grants: &Grants<'_>,
        request: &pb::ExplainRequest,
    ) -> Result<pb::ExplainResponse, Status> {
        let entity = grants.root().binding().name();
        let explained = async {
            // A plan tells of rows that its reader may not see.
            if !context.caller.rights.administrator {
                return Err(Error::Denied(Denied::explain(&context.caller, entity)));
            }
            let query = request.query.as_ref().ok_or(Error::Missing("query"))?;
            if let Some(root) = grants.root().binding().sources.first() {
                // What a query would only have from its second time on is shown at once.
                self.learn(&root.schema, &root.name).await;
            }
            let known = |schema: &str, table: &str| self.known_indexes(schema, table);
            let statement = plan::retrieve_multiple(grants, query, &[], &known)?;
            self.explained(entity, statement.sql, statement.arguments).await
        };
        let answer = tokio::time::timeout(context.remaining(), explained).await;
        answer
            .unwrap_or(Err(Error::DeadlineExceeded))
            .map_err(|error: Error| error.into_status(self.domain(), entity))
    }

    /// A statement, with what is bound to it, PostgreSQL's plan, and what is worth saying about that.
    pub(crate) async fn explained(
        &self,
        entity: &str,
        sql: String,
        arguments: Arguments,
    ) -> Result<pb::ExplainResponse, Error> {
        let literals = arguments.literals();
        let explain = format!("EXPLAIN (FORMAT JSON, VERBOSE) {sql}");
        let plan = self.fetch_text(entity, &explain, arguments).await?;
        let notes = self.notes(entity, &plan).await;
        Ok(pb::ExplainResponse { sql, arguments: literals, plan, notes })
    }

    /// What is worth saying about a plan. A plan without notes is better than none.
    async fn notes(&self, entity: &str, plan: &str) -> Vec<String> {
        let Ok(plan) = serde_json::from_str::<Value>(plan) else { return Vec::new() };
        let Some(plan) = plan.get(0).and_then(|it| it.get("Plan")) else { return Vec::new() };
        let (schemas, names) = notes::tables(plan).into_iter().unzip();
        let mut arguments = Arguments::default();
        arguments.push(Argument::Texts(schemas));
        arguments.push(Argument::Texts(names));
        match self.fetch_text(entity, indexes::READ, arguments).await {
            Ok(json) => match Indexes::parse(&json) {
                Some(indexes) => notes::notes(plan, &indexes),
                None => Vec::new(),
            },
            Err(error) => {
                tracing::warn!(entity, %error, "the database's indexes could not be read");
                vec!["The database's indexes could not be read.".to_owned()]
            }
        }
    }

    /// The one text that a statement answers.
    pub(crate) async fn fetch_text(
        &self,
        entity: &str,
        sql: &str,
        arguments: Arguments,
    ) -> Result<String, Error> {
        let row = self.fetch_one(entity, sql, arguments).await?;
        let row = row.ok_or(Error::Row(sqlx::Error::RowNotFound))?;
        first_text(&row).map_err(Error::Row)
    }
}

fn first_text(row: &PgRow) -> Result<String, sqlx::Error> {
    let value = row.try_get_raw(0)?;
    let decode = |source| sqlx::Error::ColumnDecode { index: "0".to_owned(), source };
    let text = value.as_str().map_err(decode)?;
    Ok(text.to_owned())
}
