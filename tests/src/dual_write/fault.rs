//! What breaks while clients write.

use std::time::Duration;

use anyhow::Result;
use proto::dual_write::v1::ResumeMode;
use sqlx::Connection as _;

use super::entry::{SHARED, number};
use super::maps::Maps;
use super::network::End;
use super::world::{MAP, World};
use crate::random::Random;

/// Where the system kills itself when `TOMBOLO_CRASH_AT` says so.
pub(super) const STEPS: [&str; 7] = [
    "begun",
    "platform-written",
    "erp-written",
    "platform-prepared",
    "erp-committing",
    "erp-committed",
    "platform-settled",
];

/// One fault. Those that end the life of a process are the run's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The ERP's PostgreSQL is stopped, and started again.
    ErpDown,
    /// Every connection of the ERP is cut.
    ErpCut,
    /// The network to the ERP is away for a while.
    ErpUnplugged,
    /// The network to the ERP is slow for a while.
    ErpSlow,
    /// Every session of the platform's PostgreSQL is ended.
    PlatformCut,
    /// The same of the ERP's.
    ErpSessions,
    /// Somebody holds a row of the ERP.
    Locked,
    /// The map waits for a while, and is resumed.
    Paused,
}

pub(super) const FAULTS: [Fault; 8] = [
    Fault::ErpDown,
    Fault::ErpCut,
    Fault::ErpUnplugged,
    Fault::ErpSlow,
    Fault::PlatformCut,
    Fault::ErpSessions,
    Fault::Locked,
    Fault::Paused,
];

impl Fault {
    /// From its beginning to its end.
    pub(super) async fn happen(
        self,
        world: &World,
        maps: &Maps,
        random: &mut Random,
    ) -> Result<()> {
        let moment = Duration::from_millis(50 + random.below(400) as u64);
        match self {
            Self::ErpDown => {
                world.erp.stop().await?;
                tokio::time::sleep(moment).await;
                world.erp.start().await?;
            }
            Self::ErpCut => world.erp.cut(),
            Self::ErpUnplugged => {
                let end = *random.pick(&[End::Erp, End::Platform]);
                world.network.unplug(&world.erp, end, moment).await?;
            }
            Self::ErpSlow => {
                let delay = Duration::from_millis(20 + random.below(150) as u64);
                world.network.slow(&world.erp, delay, moment).await?;
            }
            Self::PlatformCut => {
                // Those that wait for it are ended, too.
                let ended = world.platform.execute(END_SESSIONS).await;
                tracing_of(ended);
            }
            Self::ErpSessions => tracing_of(world.erp.execute(END_SESSIONS).await),
            Self::Locked => {
                let mut connection = world.erp.connect().await?;
                let mut held = connection.begin().await?;
                let sql = "SELECT FROM erp.custtable
                    WHERE dataareaid = 'USMF' AND accountnum = $1 FOR UPDATE";
                let row = number(random.below(SHARED));
                sqlx::query(sql).bind(row).execute(&mut *held).await?;
                tokio::time::sleep(moment).await;
                held.rollback().await?;
            }
            Self::Paused => pause(maps, moment).await,
        }
        Ok(())
    }
}

/// All but our own.
const END_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'";

/// The system may be away, or the map in another state: then there is no pause.
async fn pause(maps: &Maps, moment: Duration) {
    if maps.pause(MAP).await.is_err() {
        return;
    }
    tokio::time::sleep(moment).await;
    let _ = maps.resume(MAP, ResumeMode::CatchUp).await;
}

/// A session that ends itself among the others says so.
fn tracing_of(ended: Result<()>) {
    if let Err(error) = ended {
        println!("        sessions: {error:#}");
    }
}
