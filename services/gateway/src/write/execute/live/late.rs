//! What the other side is told while, or right before, the organization prepares.
//!
//! The ERP applies while the organization prepares; the organization prepares right behind what it applies, without being
//! asked again. That is as safe as one after the other: nothing is decided before the other side has taken the change.
//! What that side's own rules made of it is not asked for: where it is anything, the side refuses to end, all of it is undone
//! and done again, turn by turn, and so is what these maps share from then on.

use std::time::{Duration, Instant};

use commit::step;
use proto::query::v1 as pb;
use tonic::Status;

use super::super::stream::{Part, Transaction};
use super::super::{Again, Refusal, refusal};
use super::Spread;
use crate::error::GatewayError;
use crate::providers::{Store, within};

/// How long the organization stays prepared for the ERP to apply: less than [`commit::RecoveryOptions::grace`], behind
/// which the transaction would be given up.
const HURRY: Duration = Duration::from_secs(10);

/// Rows for the other side.
pub(in super::super) struct Late {
    source: Store,
    rows: Vec<pb::ApplyRow>,
    how: pb::Apply,
    link: String,
    until: Instant,
}

/// Why it does not have them.
pub(in super::super) enum Untold {
    /// With the row at fault, where it is one.
    Refused(Box<Status>, Option<Box<pb::ApplyRow>>),
    /// Its rules made more of them.
    Corrected,
    /// It takes longer than the organization can stay prepared.
    Slow,
    /// The client does not wait for it.
    HungUp,
}

impl Late {
    /// Where the change comes from.
    pub(in super::super) fn source(&self) -> Store {
        self.source
    }

    /// Both sides of it.
    pub(in super::super) fn link(&self) -> &str {
        &self.link
    }

    pub(in super::super) async fn tell(self, peer: &mut Transaction) -> Result<(), Untold> {
        let Self { rows, how, until, .. } = self;
        let hurry = until.min(Instant::now() + HURRY);
        let told = within(hurry, Box::pin(peer.apply(&rows, how, None))).await;
        if told.is_err() && Instant::now() >= hurry && hurry < until {
            return Err(Untold::Slow);
        }
        taken(&rows, told.map(drop))
    }

    pub(in super::super) async fn tell_and_prepare(
        self,
        peer: Transaction,
        part: Part,
    ) -> Result<(), Untold> {
        let Self { rows, how, link, until, .. } = self;
        let part = Part { nothing_left_of_link: link, ..part };
        let told = peer.apply_and_prepare(&rows, how, part);
        taken(&rows, within(until, Box::pin(told)).await)
    }
}

fn taken(rows: &[pb::ApplyRow], told: Result<(), Status>) -> Result<(), Untold> {
    match told {
        Ok(()) => {
            step("applied");
            Ok(())
        }
        Err(status) if refusal::is_unshared(&status) => Err(Untold::Corrected),
        Err(status) => {
            let row = refusal::operation(&status).and_then(|at| rows.get(at));
            let row = row.cloned().map(Box::new);
            Err(Untold::Refused(Box::new(status), row))
        }
    }
}

impl Spread<'_> {
    /// Keeps rows for when the organization prepares. Returns those that cannot wait: new ones, of which the other side fills
    /// in what was left empty, and what maps share whose rows it has made more of before.
    pub(super) fn hurry(
        &mut self,
        source: Store,
        turn: usize,
        (rows, how): (Vec<pb::ApplyRow>, &pb::Apply),
    ) -> Option<Vec<pb::ApplyRow>> {
        let may_wait = self.context.hurries
            && turn == 1
            && self.mixed.is_none()
            && !rows.iter().any(|it| it.created)
            && !self.context.ways.dual_write.makes_more(self.maps.iter());
        if !may_wait {
            return Some(rows);
        }
        let link = self.context.captures.link.clone();
        self.late = Some(Late { source, rows, how: how.clone(), link, until: self.until });
        None
    }

    pub(in super::super) fn take_late(&mut self) -> Option<Late> {
        self.late.take()
    }

    pub(in super::super) async fn untold(&self, untold: Untold) -> Refusal {
        match untold {
            Untold::Corrected => {
                self.context.ways.dual_write.made_more(self.maps.iter());
                let again = Again::Unhurried;
                Refusal { step: None, error: GatewayError::conflict(), again }
            }
            Untold::Slow => {
                let again = Again::Unhurried;
                Refusal { step: None, error: GatewayError::conflict(), again }
            }
            Untold::HungUp => Refusal::of_all(refusal::pending()),
            Untold::Refused(status, row) => {
                self.not_taken(self.source, &status, row.as_deref()).await
            }
        }
    }
}
