//! The rows of a leg, page by page: all of them in the order of their keys, or those that were changed since the
//! last run and those that failed in it.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::dual_write::v1::{InitialSyncMode, Side};
use proto::query::v1 as query;
use proto::query::v1::SharedKind;

use super::failure::Stop;
use super::model::Leg;
use super::store::{self, Cursor};
use super::work::Work;
use crate::image;

/// Rows of a range.
pub(super) const PAGE: i32 = 1_000;

/// What a cursor goes on from, as its first byte.
const KEY: u8 = b'k';
const FAILED: u8 = b'e';
const TOUCHED: u8 = b't';
const END: u8 = b'z';

/// Some rows of a leg.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) images: Vec<query::Image>,
    /// Where it ends; `None`: nothing was left.
    pub(super) end: Option<Cursor>,
    pub(super) more: bool,
}

/// The rows of one leg.
#[derive(Clone)]
pub(super) struct Source<'w> {
    work: &'w Work,
    leg: &'w Leg,
}

impl<'w> Source<'w> {
    pub(super) fn new(work: &'w Work, leg: &'w Leg) -> Self {
        Self { work, leg }
    }

    /// What comes behind `after`, at most up to `until`.
    pub(super) async fn page(
        &self,
        after: Option<&[u8]>,
        until: Option<&[u8]>,
    ) -> Result<Page, Stop> {
        match self.work.run.mode {
            InitialSyncMode::Incremental => self.changed(after).await,
            InitialSyncMode::Full | InitialSyncMode::Unspecified => self.all(after, until).await,
        }
    }

    async fn all(&self, after: Option<&[u8]>, until: Option<&[u8]>) -> Result<Page, Stop> {
        let request = query::ReadImagesRequest {
            selection: Some(self.selection()),
            page_size: PAGE,
            after: after.and_then(key_of),
            until: until.and_then(key_of),
        };
        let read = self.read(request).await?;
        let side = self.work.side(self.leg.source);
        let end = read.images.last().map(|it| key_cursor(&image::key(side, it)));
        Ok(Page { images: read.images, end, more: read.more })
    }

    async fn changed(&self, after: Option<&[u8]>) -> Result<Page, Stop> {
        let failed = match after {
            None => Some(0),
            Some([FAILED, id @ ..]) => number(id),
            Some(_) => None,
        };
        if let Some(id) = failed {
            let page = self.failed(id).await?;
            if page.end.is_some() {
                return Ok(page);
            }
        }
        match after {
            Some([END, ..]) => Ok(Page::default()),
            Some([TOUCHED, token @ ..]) => self.touched(&String::from_utf8_lossy(token)).await,
            Some(_) | None => self.touched("").await,
        }
    }

    /// Rows that failed in the run before, as they are now.
    async fn failed(&self, after: i64) -> Result<Page, Stop> {
        let Some(previous) = self.work.run.previous else { return Ok(Page::default()) };
        let mut conn = self.work.conn().await?;
        let (company, source) = (self.leg.company.as_str(), self.leg.source);
        let rows =
            store::failed_rows(&mut conn, previous, company, source, after, PAGE.into()).await?;
        drop(conn);
        let Some((last, _)) = rows.last() else { return Ok(Page::default()) };
        let end = Some(cursor(FAILED, last.to_string().as_bytes()));
        let record_ids = rows.into_iter().map(|it| it.1.into()).collect();
        let images = self.work.images(self.leg.source, record_ids).await?;
        Ok(Page { images, end, more: true })
    }

    /// Rows that were changed, from a page of the list.
    async fn touched(&self, token: &str) -> Result<Page, Stop> {
        let since = self.work.since.of(self.leg.source).unwrap_or_default();
        let request = query::ListTouchedRowsRequest {
            map: self.work.run.map.clone(),
            after_position: since.to_owned(),
            until_position: self.leg.until_position.clone(),
            page_size: PAGE,
            page_token: token.to_owned(),
            ..Default::default()
        };
        let listed = self.work.touched(self.leg.source, request).await?;
        let company = &self.leg.company;
        let images = listed.rows.into_iter().filter_map(|it| it.row).filter(is_there);
        let images = images.filter_map(|it| it.image);
        let images = images.filter(|it| it.company.eq_ignore_ascii_case(company)).collect();
        let next = listed.next_page_token;
        let more = !next.is_empty();
        let end = if more { cursor(TOUCHED, next.as_bytes()) } else { cursor(END, &[]) };
        Ok(Page { images, end: Some(end), more })
    }

    async fn read(
        &self,
        request: query::ReadImagesRequest,
    ) -> Result<query::ReadImagesResponse, Stop> {
        let side = self.leg.source;
        self.work.patiently(side, || self.work.read_images(side, request.clone())).await
    }

    fn selection(&self) -> query::ImageSelection {
        query::ImageSelection {
            map_side: Some(self.work.side(self.leg.source).clone()),
            company: self.leg.company.clone(),
            ..Default::default()
        }
    }
}

/// What is left to copy for an incremental run: by company, how many rows were changed.
pub(super) async fn count_touched(
    work: &Work,
    source: Side,
    until: &str,
) -> Result<BTreeMap<String, i64>, Stop> {
    let mut counts = BTreeMap::new();
    let mut token = String::new();
    loop {
        let request = query::ListTouchedRowsRequest {
            map: work.run.map.clone(),
            after_position: work.since.of(source).unwrap_or_default().to_owned(),
            until_position: until.to_owned(),
            page_size: PAGE,
            page_token: token,
            ..Default::default()
        };
        let listed = work.touched(source, request).await?;
        for row in listed.rows.into_iter().filter_map(|it| it.row).filter(is_there) {
            let company = row.image.map(|it| it.company.to_ascii_lowercase()).unwrap_or_default();
            *counts.entry(company).or_default() += 1;
        }
        token = listed.next_page_token;
        if token.is_empty() {
            return Ok(counts);
        }
    }
}

fn is_there(row: &query::SharedRow) -> bool {
    matches!(row.kind(), SharedKind::Created | SharedKind::Changed)
}

fn key_cursor(key: &query::ImageKey) -> Cursor {
    cursor(KEY, &key.encode_to_vec())
}

fn key_of(cursor: &[u8]) -> Option<query::ImageKey> {
    match cursor {
        [KEY, key @ ..] => query::ImageKey::decode(key).ok(),
        _ => None,
    }
}

fn cursor(kind: u8, rest: &[u8]) -> Cursor {
    [&[kind], rest].concat()
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proto::query::v1::value::Kind;

    use super::*;

    #[test]
    fn a_key_survives_its_cursor() {
        let side = query::MapSide { key_columns: vec![1], ..Default::default() };
        let value = |it| query::Value { kind: Some(Kind::Int64Value(it)) };
        let image = query::Image {
            company: "usmf".to_owned(),
            values: vec![value(1), value(2)],
            ..Default::default()
        };
        let key = image::key(&side, &image);
        assert_eq!(key.values, [value(2)]);
        assert_eq!(key_of(&key_cursor(&key)), Some(key));
        assert_eq!(key_of(&cursor(TOUCHED, b"x")), None);
    }
}
