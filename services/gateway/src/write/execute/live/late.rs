//! What the ERP is told while the organization prepares already.
//!
//! That is as safe as one after the other: the ERP has the record that decides, so that recovery waits for it, and
//! nothing is decided before it has taken the change. It is quicker by what preparing takes. Where the ERP's own rules
//! make more of the change, the organization can no longer be told: all of it is undone and done again, one after the
//! other, and so is what these maps share from then on.

use std::time::Instant;

use commit::step;
use proto::query::v1 as pb;
use tonic::Status;

use super::super::stream::Transaction;
use super::super::{Again, Refusal, refusal};
use super::Spread;
use crate::error::GatewayError;
use crate::providers::{Store, within};

/// Rows for the ERP.
pub(in super::super) struct Late {
    rows: Vec<pb::ApplyRow>,
    how: pb::Apply,
    link: String,
    until: Instant,
}

/// Why the ERP does not have them.
pub(in super::super) enum Untold {
    /// With the row at fault, where it is one.
    Refused(Status, Option<pb::ApplyRow>),
    /// Its rules made more of them.
    Corrected,
    /// The client does not wait for it.
    HungUp,
}

impl Late {
    pub(in super::super) async fn tell(self, erp: &mut Transaction) -> Result<(), Untold> {
        let Self { rows, how, link, until } = self;
        match within(until, erp.apply(&rows, how, Some(&link))).await {
            Ok((_, corrections)) if corrections.is_empty() => {
                step("applied");
                Ok(())
            }
            Ok(_) => Err(Untold::Corrected),
            Err(status) => {
                let row = refusal::operation(&status).and_then(|at| rows.get(at));
                let row = row.cloned();
                Err(Untold::Refused(status, row))
            }
        }
    }
}

impl Spread<'_> {
    /// Keeps rows for when the organization prepares. Returns those that cannot wait: new ones, of which the ERP fills in
    /// what was left empty, and what maps share whose rows it has made more of before.
    pub(super) fn hurry(
        &mut self,
        source: Store,
        turn: usize,
        (rows, how): (Vec<pb::ApplyRow>, &pb::Apply),
    ) -> Option<Vec<pb::ApplyRow>> {
        let may_wait = self.context.hurries
            && source == Store::Organization
            && turn == 1
            && self.mixed.is_none()
            && !rows.iter().any(|it| it.created)
            && !self.context.ways.dual_write.makes_more(self.maps.iter());
        if !may_wait {
            return Some(rows);
        }
        let link = self.context.captures.link.clone();
        self.late = Some(Late { rows, how: how.clone(), link, until: self.until });
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
            Untold::HungUp => Refusal::of_all(refusal::pending()),
            Untold::Refused(status, row) => {
                self.not_taken(Store::Organization, &status, row.as_ref()).await
            }
        }
    }
}
