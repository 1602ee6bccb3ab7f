//! Maps come and go.

use change_log::{Error as LogError, Gap, Position, install};
use proto::query::v1 as pb;

use super::Sharing;
use super::log::{Reading, window};
use super::map::Map;
use super::maps;
use super::rights::Unrestricted;
use crate::changes::Failure;
use crate::error::Error;

impl Sharing {
    /// Stores the map, and waits until changes of its tables are captured.
    pub(super) async fn store(&self, side: pb::MapSide) -> Result<Position, Failure> {
        if side.map.is_empty() {
            return Err(Error::Missing("map").into());
        }
        if side.phase() == pb::SharePhase::Unspecified {
            return Err(Error::Missing("phase").into());
        }
        let rights = Unrestricted(self.authority());
        let map = Map::compile(&rights, side)?;
        let database = |error| Failure::Provider(Error::database(error));
        let mut lease = self.lease().await?;
        let connection = lease.connection().map_err(database)?;
        install(connection).await?;
        maps::store(connection, &map).await.map_err(database)?;
        lease.finish();
        let position = self.captured(&map).await?;
        let mut lease = self.lease().await?;
        let connection = lease.connection().map_err(database)?;
        maps::begin(connection, &map.side.map, &position).await.map_err(database)?;
        lease.finish();
        Ok(position)
    }

    /// The present, from when on changes are captured.
    async fn captured(&self, map: &Map) -> Result<Position, Failure> {
        let mut looks = self.changes().looks();
        self.changes().look();
        loop {
            let mut reading = Reading::begin(self).await?;
            let window = window(reading.connection()?, map, None, None).await;
            reading.end().await?.finish();
            match window {
                Ok(window) => return Ok(window.until().clone()),
                Err(LogError::NotCaptured(relation)) => {
                    if let Some(why) = looks.refusal(&relation) {
                        return Err(Failure::Unmet(why));
                    }
                    self.changes().look();
                    looks.next().await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn forget(&self, map: &str) -> Result<(), Failure> {
        let database = |error| Failure::Provider(Error::database(error));
        let mut lease = self.lease().await?;
        let connection = lease.connection().map_err(database)?;
        if maps::are_there(connection, self.provider()).await.map_err(database)? {
            maps::remove(connection, map).await.map_err(database)?;
        }
        lease.finish();
        Ok(())
    }

    /// Maps whose names come behind `after`; from the first one on, also what escapes the log.
    pub(super) async fn list(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<(Vec<pb::MapSide>, Vec<pb::CaptureGap>), Failure> {
        let database = |error| Failure::Provider(Error::database(error));
        let mut reading = Reading::begin(self).await?;
        let connection = reading.connection()?;
        let (mut listed, mut gaps) = (Vec::new(), Vec::new());
        if maps::are_there(connection, self.provider()).await.map_err(database)? {
            listed = maps::list(connection, after, limit).await.map_err(database)?;
            if after.is_empty() {
                let relations = maps::relations(connection).await.map_err(database)?;
                gaps = change_log::gaps(connection, &relations).await?;
            }
        }
        reading.end().await?.finish();
        let mut looks = self.changes().looks();
        let gap = |Gap { relation, table, reason }| {
            let refused = looks.refusal(&relation).map(|it| format!(": {it}")).unwrap_or_default();
            pb::CaptureGap { table, reason: format!("{reason}{refused}") }
        };
        Ok((listed, gaps.into_iter().map(gap).collect()))
    }

    /// The present.
    pub(super) async fn present(&self) -> Result<Position, Failure> {
        let mut reading = Reading::begin(self).await?;
        let window =
            change_log::Window::open(reading.connection()?, None, None, Vec::new()).await?;
        reading.end().await?.finish();
        Ok(window.until().clone())
    }
}
