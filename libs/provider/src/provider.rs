//! Runs statements and hands out their rows.

mod knowledge;
mod sink;
mod writer;
mod writing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::stream::StreamExt as _;
use futures::{TryStreamExt as _, stream};
use proto::query::v1 as pb;
use proto::query::v1::{RetrieveMultipleRequest, RetrieveMultipleResponse, RowFormat};
use rpc::CallContext;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use tonic::Status;
use tracing::Instrument as _;

use crate::action::BusinessLogic;
use crate::error::Error;
use crate::grant::Grants;
use crate::indexes::Memory;
use crate::plan::{self, COUNT_LIMIT, Count, Guard, SortKey, Statement};
use crate::pool::{Lease, Pool};
use crate::row::position;
use crate::write::Tables;
pub use sink::Rows;
use sink::{NotSent, Sink, outlet};
pub(crate) use writer::Writer;

/// A message is sent when it has grown to this many bytes.
const BATCH_BYTES: usize = 128 * 1024;
/// Pages up to this many rows are collected before the answer, which spares them a task.
const SMALL_PAGE: usize = 256;

/// Reads and writes rows of one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provider {
    pool: Pool,
    domain: &'static str,
    memory: Arc<Memory>,
    tables: Arc<Tables>,
    business_logic: BusinessLogic,
    /// The database was seen to have tables for maps of dual-write.
    has_maps: Arc<AtomicBool>,
}

// === impl Provider ===

impl Provider {
    /// Reads through `pool`; `domain` is the service that errors name.
    #[must_use]
    pub fn new(pool: Pool, domain: &'static str) -> Self {
        let business_logic = BusinessLogic::default();
        let (memory, tables, has_maps) = Default::default();
        Self { pool, domain, memory, tables, business_logic, has_maps }
    }

    /// The same, with services that run actions.
    #[must_use]
    pub fn with_business_logic(self, business_logic: BusinessLogic) -> Self {
        Self { business_logic, ..self }
    }

    /// One row.
    ///
    /// # Errors
    ///
    /// As [`pb::data_provider_service_server::DataProviderService::retrieve`] says.
    pub async fn retrieve(
        &self,
        context: &CallContext,
        grants: &Grants<'_>,
        request: pb::RetrieveRequest,
    ) -> Result<pb::RetrieveResponse, Status> {
        let entity = grants.root().binding().name();
        let read = async {
            let statement = plan::retrieve(grants, &request)?;
            let mut writer = Writer::new(request.format(), statement.outputs, statement.keys)?;
            let row = self.fetch_one(entity, &statement.sql, statement.arguments).await?;
            let row = row.ok_or(Error::RecordNotFound)?;
            plan::check_sole(statement.guard, &row, grants.root().binding())?;
            writer.write(&row).map_err(Error::Row)?;
            Ok(pb::RetrieveResponse { batch: Some(writer.take()) })
        };
        let answer = tokio::time::timeout(context.remaining(), read).await;
        answer
            .unwrap_or(Err(Error::DeadlineExceeded))
            .map_err(|error: Error| error.into_status(self.domain, entity))
    }

    /// A page of rows, as messages that come while the database still sends.
    ///
    /// # Errors
    ///
    /// As [`pb::data_provider_service_server::DataProviderService::retrieve_multiple`] says; errors
    /// met later end the stream.
    pub async fn retrieve_multiple(
        &self,
        context: &CallContext,
        grants: &Grants<'_>,
        request: RetrieveMultipleRequest,
    ) -> Result<Rows, Status> {
        let entity = grants.root().binding().name().to_owned();
        let refuse = |error: Error| error.into_status(self.domain, &entity);
        let query = request.query.as_ref().ok_or_else(|| refuse(Error::Missing("query")))?;
        let statement = plan::retrieve_multiple(grants, query, &request.keys, &|schema, table| {
            self.known_indexes(schema, table)
        })
        .map_err(refuse)?;
        let format = request.format();
        let deadline = context.remaining();
        if statement.page_size <= SMALL_PAGE {
            let read = self.read(&entity, statement, format, Sink::Kept(Vec::new()));
            let answer = tokio::time::timeout(deadline, read).await;
            let sink = answer.unwrap_or(Err(Error::DeadlineExceeded)).map_err(refuse)?;
            let Sink::Kept(messages) = sink else { return Ok(stream::empty().boxed()) };
            return Ok(stream::iter(messages.into_iter().map(Ok)).boxed());
        }
        let (outlet, rows) = outlet();
        let provider = self.clone();
        let task = async move {
            let read = provider.read(&entity, statement, format, Sink::Sent(outlet.clone()));
            let answer = tokio::time::timeout(deadline, read).await;
            if let Err(error) = answer.unwrap_or(Err(Error::DeadlineExceeded)) {
                outlet.fail(error.into_status(provider.domain, &entity));
            }
        };
        tokio::spawn(task.in_current_span());
        Ok(rows)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn business_logic(&self) -> &BusinessLogic {
        &self.business_logic
    }

    pub(crate) fn has_maps(&self) -> &AtomicBool {
        &self.has_maps
    }

    /// What is known of tables that are written to.
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn domain(&self) -> &'static str {
        self.domain
    }

    /// The first row that a statement answers.
    pub(crate) async fn fetch_one(
        &self,
        entity: &str,
        sql: &str,
        arguments: plan::Arguments,
    ) -> Result<Option<PgRow>, Error> {
        let span = sql_span(sql);
        let fetch = async {
            let mut lease = self.pool.lease().await?;
            let first = query_one(&mut lease, sql, arguments.clone()).await;
            let row = match first {
                Err(error) if is_stale(&lease, &error) => {
                    drop(lease);
                    self.pool.forget_idle();
                    lease = self.pool.lease().await?;
                    query_one(&mut lease, sql, arguments).await?
                }
                first => first?,
            };
            lease.finish();
            Ok(row)
        };
        fetch.instrument(span).await.map_err(|error| Error::of(entity, error))
    }

    async fn read(
        &self,
        entity: &str,
        statement: Statement,
        format: RowFormat,
        sink: Sink,
    ) -> Result<Sink, Error> {
        let Statement { sql, arguments, outputs, keys, position, page_size, count, guard } =
            statement;
        let mut page = Page {
            writer: Writer::new(format, outputs, keys)?,
            keys: position,
            page_size,
            count,
            guard,
            total: None,
            written: 0,
            first: Vec::new(),
            last: None,
            more: false,
            sink,
        };
        let span = sql_span(&sql);
        let of = |error| Error::of(entity, error);
        async {
            let mut lease = self.pool.lease().await.map_err(of)?;
            let encoded = arguments.clone().encode().map_err(of)?;
            let mut outcome = page.fill(&mut lease, &sql, encoded).await;
            if matches!(&outcome, Err(Failure::Database(error)) if page.is_untouched() && is_stale(&lease, error))
            {
                drop(lease);
                self.pool.forget_idle();
                lease = self.pool.lease().await.map_err(of)?;
                let encoded = arguments.encode().map_err(of)?;
                outcome = page.fill(&mut lease, &sql, encoded).await;
            }
            match outcome {
                Ok(()) => lease.finish(),
                Err(Failure::Database(error)) => return Err(of(error)),
                Err(Failure::Row(error)) => return Err(Error::Row(error)),
                Err(Failure::Crossed { allowed, actual }) => {
                    return Err(Error::LimitExceeded { allowed, actual });
                }
                Err(Failure::NotSent(NotSent::SlowReader)) => return Err(Error::SlowReader),
                Err(Failure::NotSent(NotSent::ReaderGone)) => return Ok(page.sink),
            }
            page.end().await
        }
        .instrument(span)
        .await
    }
}

/// A page being read.
struct Page {
    writer: Writer,
    keys: Vec<SortKey>,
    page_size: usize,
    count: Option<Count>,
    guard: Option<Guard>,
    total: Option<i64>,
    written: usize,
    first: Vec<pb::Value>,
    last: Option<PgRow>,
    more: bool,
    sink: Sink,
}

enum Failure {
    Database(sqlx::Error),
    Row(sqlx::Error),
    NotSent(NotSent),
    /// Rows were computed of more rows than they may be.
    Crossed {
        allowed: i64,
        actual: i64,
    },
}

// === impl Page ===

impl Page {
    /// Nothing was read yet, so that the statement may be run again.
    fn is_untouched(&self) -> bool {
        self.written == 0 && self.total.is_none()
    }

    async fn fill(
        &mut self,
        lease: &mut Lease,
        sql: &str,
        arguments: sqlx::postgres::PgArguments,
    ) -> Result<(), Failure> {
        let connection = lease.connection().map_err(Failure::Database)?;
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
        let mut rows = query.fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(Failure::Database)? {
            self.check(&row)?;
            self.take(row).map_err(Failure::Row)?;
            if self.writer.len() >= BATCH_BYTES {
                self.push(None).await.map_err(Failure::NotSent)?;
            }
        }
        Ok(())
    }

    /// The first row says it for all; nothing is written before.
    fn check(&mut self, row: &PgRow) -> Result<(), Failure> {
        let Some(Guard { column, limit }) = self.guard.take() else { return Ok(()) };
        match int_at(row, column).map_err(Failure::Row)? {
            Some(actual) if actual > limit => Err(Failure::Crossed { allowed: limit, actual }),
            _ => Ok(()),
        }
    }

    fn take(&mut self, row: PgRow) -> Result<(), sqlx::Error> {
        if let Some(count) = self.count {
            self.total = Some(int_at(&row, count.column)?.unwrap_or(0));
            let present = match count.present {
                Some(column) => int_at(&row, column)?.is_some(),
                None => false,
            };
            if !present {
                return Ok(());
            }
        }
        if self.written == self.page_size {
            self.more = true;
            return Ok(());
        }
        self.writer.write(&row)?;
        if self.written == 0 {
            self.first = position(&row, &self.keys)?;
        }
        self.written += 1;
        self.last = Some(row);
        Ok(())
    }

    fn message(&mut self) -> RetrieveMultipleResponse {
        let limited = self.count.is_some_and(|it| it.limited);
        let total = self.total.take();
        let exceeded = limited && total.is_some_and(|it| it > COUNT_LIMIT);
        if total.is_some() {
            self.count = None;
        }
        RetrieveMultipleResponse {
            batch: Some(self.writer.take()),
            total_count: if exceeded { Some(COUNT_LIMIT) } else { total },
            total_count_limit_exceeded: exceeded,
            end: None,
        }
    }

    async fn push(&mut self, end: Option<pb::PageEnd>) -> Result<(), NotSent> {
        let bytes = self.writer.len();
        let message = RetrieveMultipleResponse { end, ..self.message() };
        self.sink.push(message, bytes).await
    }

    async fn end(mut self) -> Result<Sink, Error> {
        let last = match &self.last {
            Some(row) => position(row, &self.keys).map_err(Error::Row)?,
            None => Vec::new(),
        };
        let first = std::mem::take(&mut self.first);
        match self.push(Some(pb::PageEnd { more_rows: self.more, first, last })).await {
            Err(NotSent::SlowReader) => Err(Error::SlowReader),
            // A reader that has gone away needs no end.
            Ok(()) | Err(NotSent::ReaderGone) => Ok(self.sink),
        }
    }
}

/// A connection that broke while it lay idle: the database was restarted, or the network dropped it.
/// A read may then be tried again on a new one.
fn is_stale(lease: &Lease, error: &sqlx::Error) -> bool {
    let broken = match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|it| it.starts_with("57P")),
        _ => false,
    };
    broken && !lease.is_fresh()
}

async fn query_one(
    lease: &mut Lease,
    sql: &str,
    arguments: plan::Arguments,
) -> Result<Option<PgRow>, sqlx::Error> {
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments.encode()?);
    query.fetch_optional(lease.connection()?).await
}

fn int_at(row: &PgRow, column: usize) -> Result<Option<i64>, sqlx::Error> {
    use sqlx::Row as _;
    row.try_get(column)
}

fn sql_span(sql: &str) -> tracing::Span {
    tracing::info_span!(
        "sql",
        otel.name = "SELECT",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.query.text = sql,
    )
}
