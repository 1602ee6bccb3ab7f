//! What waits, change by change: what each transaction made of each row.

use std::collections::HashMap;
use std::time::SystemTime;

use change_log::Position;
use proto::query::v1 as pb;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::Sharing;
use super::entries::{Columns, Entries, Moment, Touched};
use super::images::{self, Seen};
use super::log::{Reading, configured, skipped, waiting, window};
use super::map::Map;
use super::rights::Unrestricted;
use super::rows;
use super::touched::PageToken;
use crate::changes::Failure;
use crate::error::Error;
use crate::plan::Argument;

/// A page.
pub(super) struct History {
    pub(super) changes: Vec<pb::RowChangeImage>,
    pub(super) until: Position,
    pub(super) next: Option<PageToken>,
    /// On the first page.
    pub(super) total: i64,
    /// What the list leaves out.
    pub(super) skipped: i64,
}

/// One transaction of the window.
struct Step {
    xid: String,
    last: i64,
}

/// What is wanted of the list.
pub(super) struct Wanted {
    pub(super) token: Option<PageToken>,
    pub(super) size: usize,
    pub(super) key: Option<pb::ImageKey>,
}

impl Sharing {
    /// Changes behind a position, in the order of their commits.
    pub(super) async fn history(
        &self,
        map: &str,
        (after, until): (Position, Option<Position>),
        wanted: Wanted,
    ) -> Result<History, Failure> {
        let mut reading = Reading::begin(self).await?;
        let connection = reading.connection()?;
        let map = configured(connection, self, map).await?;
        let (until, begin) = match &wanted.token {
            Some(it) => (Some(it.until.clone()), it.after),
            None => (until, (0, Uuid::nil())),
        };
        let window = window(connection, &map, Some(after), until).await?;
        let entries = waiting(&map, &window);
        let skipped = match wanted.token {
            None => skipped(connection, &map, &window).await?,
            Some(_) => 0,
        };
        let (changes, until) = (Vec::new(), window.until().clone());
        let mut history = History { changes, until, next: None, total: 0, skipped };
        if entries.any(connection).await? {
            let columns = Columns::of(connection, &map).await?;
            let rights = Unrestricted(self.authority());
            let reader =
                Reader { rights: &rights, map: &map, entries: &entries, columns: &columns };
            // How many there are, only the whole list tells.
            let is_first = wanted.token.is_none();
            let most = if is_first { usize::MAX } else { wanted.size + 1 };
            let mut told = reader.tell(connection, begin, wanted.key.as_ref(), most).await?;
            if is_first {
                history.total = i64::try_from(told.len()).unwrap_or(i64::MAX);
            }
            if told.len() > wanted.size {
                told.truncate(wanted.size);
                let until = history.until.clone();
                let last = told.last().map(|it| it.0);
                history.next = last.map(|after| PageToken { until, after });
            }
            history.changes = told.into_iter().map(|it| it.1).collect();
        }
        reading.end().await?.finish();
        Ok(history)
    }
}

struct Reader<'r> {
    rights: &'r Unrestricted<'r>,
    map: &'r Map,
    entries: &'r Entries,
    columns: &'r Columns,
}

/// A change, and its place in the list.
type Told = ((i64, Uuid), pb::RowChangeImage);

// === impl Reader ===

impl Reader<'_> {
    async fn tell(
        &self,
        connection: &mut PgConnection,
        begin: (i64, Uuid),
        key: Option<&pb::ImageKey>,
        most: usize,
    ) -> Result<Vec<Told>, Error> {
        let mut told = Vec::new();
        for step in self.steps(connection, begin.0).await? {
            for (touched, row, before) in self.step(connection, &step).await? {
                let place = (step.last, touched.id);
                let is_wanted = key.is_none_or(|it| self.has_key(&row, before.as_ref(), it));
                if place <= begin || !is_wanted {
                    continue;
                }
                let change = pb::RowChangeImage {
                    change: touched.last,
                    row: Some(row),
                    before,
                    user: touched.actor.clone().unwrap_or_default(),
                    change_time: Some(SystemTime::from(touched.at).into()),
                };
                told.push((place, change));
            }
            if told.len() >= most {
                break;
            }
        }
        Ok(told)
    }

    fn has_key(&self, row: &pb::SharedRow, before: Option<&pb::Image>, key: &pb::ImageKey) -> bool {
        let has_it = |it: &pb::Image| {
            let own = self.map.key_of(it);
            own.values == key.values && own.company.eq_ignore_ascii_case(&key.company)
        };
        row.image.iter().chain(before).any(has_it)
    }

    /// Transactions from one on.
    async fn steps(&self, connection: &mut PgConnection, from: i64) -> Result<Vec<Step>, Error> {
        let mut arguments = self.entries.arguments.clone();
        let from = arguments.int(from);
        let sql = format!(
            "SELECT xid::text, max(seq) FROM tombolo.change_log WHERE {} GROUP BY xid \
             HAVING max(seq) >= {from}::bigint ORDER BY max(seq)",
            self.entries.condition
        );
        let arguments = arguments.encode().map_err(Error::database)?;
        let rows: Vec<(String, i64)> = sqlx::query_as_with(AssertSqlSafe(sql), arguments)
            .fetch_all(connection)
            .await
            .map_err(Error::database)?;
        Ok(rows.into_iter().map(|(xid, last)| Step { xid, last }).collect())
    }

    /// What one transaction did.
    async fn step(
        &self,
        connection: &mut PgConnection,
        step: &Step,
    ) -> Result<Vec<(Touched, pb::SharedRow, Option<pb::Image>)>, Error> {
        let mut own = self.entries.clone();
        let xid = own.arguments.push(Argument::Text(step.xid.clone()));
        own.condition = format!("{} AND xid = {xid}::text::xid8", own.condition);
        let touched = own.touched(connection, self.map, self.columns, None).await?;
        let ids: Vec<Uuid> = touched.iter().map(|it| it.id).collect();
        let past = |moment| own.past(self.map, self.columns, moment);
        let mut before =
            images::then(connection, self.rights, self.map, &ids, past(Moment::Before)).await?;
        let first = touched.iter().map(|it| it.first).min().unwrap_or_default();
        self.complete(connection, first, &ids, &mut before).await?;
        let mut after =
            images::then(connection, self.rights, self.map, &ids, past(Moment::After)).await?;
        self.complete(connection, step.last + 1, &ids, &mut after).await?;
        let mut told = Vec::with_capacity(touched.len());
        for touched in touched {
            let (before, after) = (before.get(&touched.id), after.get(&touched.id));
            if let Some(row) = rows::shared(self.map, &touched, before, after) {
                let correction = touched.is_correction;
                let row = pb::SharedRow { correction, ..row };
                told.push((touched, row, before.map(|it| it.image.clone())));
            }
        }
        Ok(told)
    }

    /// Rows that cannot be made because what they are joined to has gone since: with the images of that which
    /// the log has from an entry on.
    async fn complete(
        &self,
        connection: &mut PgConnection,
        from: i64,
        ids: &[Uuid],
        seen: &mut HashMap<Uuid, Seen>,
    ) -> Result<(), Error> {
        let missing: Vec<Uuid> = ids.iter().filter(|it| !seen.contains_key(*it)).copied().collect();
        if missing.is_empty() || self.map.binding.sources.len() < 2 {
            return Ok(());
        }
        let mut later = Entries { condition: String::new(), arguments: Default::default() };
        let relations = later.arguments.push(Argument::Texts(self.map.relations()));
        let from = later.arguments.int(from);
        later.condition = format!("relation = ANY({relations}::text[]) AND seq >= {from}::bigint");
        let past = later.past(self.map, self.columns, Moment::Before);
        seen.extend(images::then(connection, self.rights, self.map, &missing, past).await?);
        Ok(())
    }
}
