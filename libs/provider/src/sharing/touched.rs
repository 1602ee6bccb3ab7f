//! Rows with changes that wait for the other side.

use std::time::SystemTime;

use change_log::Position;
use proto::query::v1 as pb;
use uuid::Uuid;

use super::Sharing;
use super::entries::{Columns, Pages, Touched};
use super::log::{Reading, configured, skipped, waiting, window};
use super::maps;
use super::rights::Unrestricted;
use super::rows::{self, Changed};
use crate::changes::Failure;
use crate::error::Error;

/// Where a page begins: the end of the window, and the last row that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageToken {
    pub(super) until: Position,
    pub(super) after: (i64, Uuid),
}

/// A page.
pub(super) struct Page {
    pub(super) rows: Vec<pb::TouchedRow>,
    pub(super) until: Position,
    pub(super) next: Option<PageToken>,
    /// Entries that it leaves out.
    pub(super) skipped: i64,
}

// === impl PageToken ===

impl PageToken {
    pub(super) fn encode(&self) -> String {
        format!("{}.{}.{}", self.until.encode(), self.after.0, self.after.1.simple())
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let until = Position::decode(parts.next()?).ok()?;
        let after = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { until, after })
    }
}

impl Sharing {
    /// Rows that were touched behind a position, each once. Who asks of all rows has taken what is before it.
    pub(super) async fn touched(
        &self,
        map: &str,
        (after, until): (Position, Option<Position>),
        (token, among): (Option<PageToken>, Vec<Uuid>),
        size: i64,
    ) -> Result<Page, Failure> {
        let mut reading = Reading::begin(self).await?;
        let connection = reading.connection()?;
        let map = configured(connection, self, map).await?;
        let acknowledges = token.is_none() && among.is_empty();
        let (until, cursor) = match token {
            Some(it) => (Some(it.until), it.after),
            None => (until, (0, Uuid::nil())),
        };
        let window = window(connection, &map, Some(after.clone()), until).await?;
        let entries = waiting(&map, &window);
        let skipped = match acknowledges {
            true => skipped(connection, &map, &window).await?,
            false => 0,
        };
        let mut page =
            Page { rows: Vec::new(), until: window.until().clone(), next: None, skipped };
        if entries.any(connection).await? {
            let columns = Columns::of(connection, &map).await?;
            let pages = Pages { among: &among, after: cursor, limit: size + 1 };
            let mut touched = entries.touched(connection, &map, &columns, Some(pages)).await?;
            if i64::try_from(touched.len()).unwrap_or(i64::MAX) > size {
                touched.pop();
                let last = touched.last();
                let until = page.until.clone();
                page.next = last.map(|it| PageToken { until, after: (it.first, it.id) });
            }
            let rights = Unrestricted(self.authority());
            let source = (&entries, Some(&columns));
            let changed = rows::changed(connection, &rights, &map, source, touched).await?;
            page.rows = changed.into_iter().map(row).collect();
        }
        let mut lease = reading.end().await?;
        if acknowledges {
            let database = |error| Failure::Provider(Error::database(error));
            let connection = lease.connection().map_err(database)?;
            maps::acknowledge(connection, &map.side.map, &after).await.map_err(database)?;
        }
        lease.finish();
        Ok(page)
    }
}

fn row(Changed { touched, row }: Changed) -> pb::TouchedRow {
    let Touched { first, transactions, at, .. } = touched;
    pb::TouchedRow {
        row: Some(row),
        first_change: first,
        change_count: transactions,
        first_change_time: Some(SystemTime::from(at).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_that_were_given_out_are_taken() {
        for bad in ["", "a", "a.1", "..", "x.1.00000000000000000000000000000000"] {
            assert_eq!(PageToken::decode(bad), None, "{bad}");
        }
    }
}
