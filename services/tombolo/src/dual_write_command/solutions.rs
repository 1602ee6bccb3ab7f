//! Maps as solution files.

use std::path::Path;

use anyhow::{Context as _, Result};
use proto::dual_write::v1 as pb;

use super::DualWrite;
use super::maps::table;
use crate::client::explain;
use crate::names::resource;
use crate::print::{note, plain};

impl DualWrite {
    pub(super) async fn apply(&self, solution_names: Vec<String>) -> Result<()> {
        let idempotency_key = self.write.key();
        let request = pb::ApplySolutionsRequest { solution_names, idempotency_key };
        let answer = self.system.maps().apply_solutions(request).await.map_err(explain)?;
        let maps = answer.into_inner().maps;
        self.output.list(&maps, || table(&maps))
    }

    pub(super) async fn export(
        &self,
        maps: &[String],
        solution_name: String,
        managed: bool,
        out: &Path,
    ) -> Result<()> {
        let mut versions = Vec::with_capacity(maps.len());
        for it in maps {
            versions.push(match it.contains("/versions/") {
                true => resource("maps", it),
                false => self.map(it).await?.active_version,
            });
        }
        let request = pb::ExportMapsRequest { versions, solution_name, managed };
        let answer = self.system.maps().export_maps(request).await.map_err(explain)?;
        let file = answer.into_inner().solution;
        std::fs::write(out, &file).with_context(|| format!("writing {}", out.display()))?;
        note(&format!("{} maps in {}, {} bytes", maps.len(), out.display(), file.len()));
        Ok(())
    }

    pub(super) async fn import(&self, file: &Path) -> Result<()> {
        let solution =
            std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let idempotency_key = self.write.key();
        let request = pb::ImportMapsRequest { solution: solution.into(), idempotency_key };
        let answer = self.system.maps().import_maps(request).await.map_err(explain)?.into_inner();
        self.output.one(&answer, || {
            let maps = answer.versions.iter().map(|it| plain(it)).collect::<Vec<_>>().join(", ");
            let name = &answer.solution_name;
            format!("{name}: {maps}\nOffer them with: tombolo dual-write apply {name}")
        })
    }
}
