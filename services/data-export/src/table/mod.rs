//! One run of one table: what the Web API says becomes a file, and the table's manifest says that the file is
//! part of the export.
//!
//! `manifest` is the truth about a table's folder, `file` a Parquet file, `column` what a column holds.
//! A run writes its file under a name that no reader looks at, makes it durable, gives it its name, and then
//! replaces the manifest, which names the file and the link to the next changes at once. Wherever it is
//! stopped, either the manifest has both, or neither and the next run asks for the same changes again.

mod column;
mod decimal;
mod file;
mod manifest;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::files;
use crate::web_api::{ApiError, Definition, Page, WebApi};
pub(crate) use column::{Column, DoesNotFit, Kind};
use file::{Output, Written};
pub(crate) use manifest::ExportKind;
use manifest::{Contents, Entry, Manifest};

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Rows and deletions that were written.
    pub(crate) rows: u64,
    pub(crate) kind: ExportKind,
}

/// A run did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("its files cannot be written: {0}")]
    Files(#[from] io::Error),
    #[error("{}: {source}", path.display())]
    Manifest { path: PathBuf, source: serde_json::Error },
    #[error("{0}")]
    DoesNotFit(#[from] DoesNotFit),
}

/// What a run reads.
#[derive(Debug)]
enum Plan {
    /// Every row; and then changes, if they are tracked.
    All { tracked: bool },
    /// What changed.
    Changes { link: String },
}

/// A run that has begun.
struct Run<'a> {
    api: &'a WebApi,
    set: &'a str,
    dir: &'a Path,
    definition: &'a Definition,
    before: Option<&'a Manifest>,
    /// Columns with values that did not fit their types, and what they are instead.
    widened: BTreeMap<String, Kind>,
    columns: Vec<Column>,
    plan: Plan,
}

struct Links {
    next: Option<String>,
    delta: Option<String>,
}

/// Brings a table's folder up to date.
pub(crate) async fn export(
    api: &WebApi,
    installation: &Path,
    set: &str,
) -> Result<Exported, ExportError> {
    let dir = installation.join(set);
    let definition = api.definition(set).await?;
    let opened = dir.clone();
    let before = files::blocking(move || manifest::open(&opened)).await?;
    let widened = before.as_ref().map(|it| it.widened_columns.clone()).unwrap_or_default();
    let mut run = Run {
        api,
        set,
        dir: &dir,
        columns: typed(&definition, &widened),
        definition: &definition,
        before: before.as_ref(),
        widened,
        plan: Plan::All { tracked: definition.tracked },
    };
    run.plan = run.first_plan();
    loop {
        match run.execute().await {
            Ok(exported) => return Ok(exported),
            Err(error) => run.adapt(error)?,
        }
    }
}

/// The columns of a table, some of them with another type.
fn typed(definition: &Definition, widened: &BTreeMap<String, Kind>) -> Vec<Column> {
    let typed = definition.columns.iter().map(|it| Column {
        name: it.name.clone(),
        kind: widened.get(&it.name).copied().unwrap_or(it.kind),
    });
    typed.collect()
}

// === impl Run ===

impl Run<'_> {
    /// Changes, where the last run left a link to them and the table still looks the same.
    fn first_plan(&self) -> Plan {
        let tracked = self.definition.tracked;
        let same = self.before.filter(|it| {
            tracked && it.columns == self.columns && it.primary_id == self.definition.primary_id
        });
        match same.and_then(|it| it.delta_link.clone()) {
            Some(link) => Plan::Changes { link },
            None => Plan::All { tracked },
        }
    }

    /// Another plan, if there is one after this error.
    fn adapt(&mut self, error: ExportError) -> Result<(), ExportError> {
        let tracked = self.definition.tracked;
        match (&error, &self.plan) {
            (ExportError::Api(it), Plan::Changes { .. }) if it.is_expired_link() => {
                tracing::info!(
                    table = self.set,
                    "the changes are no longer kept: all rows are read anew"
                );
                self.plan = Plan::All { tracked };
            }
            (ExportError::Api(it), Plan::Changes { .. } | Plan::All { tracked: true })
                if it.is_tracking_disabled() =>
            {
                self.plan = Plan::All { tracked: false };
            }
            (ExportError::DoesNotFit(it), _) => {
                let column = self.columns.iter().find(|column| column.name == it.column);
                let Some(wider) = column.and_then(|it| it.kind.wider()) else { return Err(error) };
                tracing::warn!(
                    table = self.set,
                    column = it.column,
                    "values do not fit the column's type: it gets a wider one, and all rows are read anew"
                );
                self.widened.insert(it.column.clone(), wider);
                self.columns = typed(self.definition, &self.widened);
                if let Plan::Changes { .. } = self.plan {
                    self.plan = Plan::All { tracked };
                }
            }
            _ => return Err(error),
        }
        Ok(())
    }

    async fn execute(&self) -> Result<Exported, ExportError> {
        let primary = &self.definition.primary_id;
        let mut output = Output::new(self.dir, &self.file_name(), &self.columns, primary);
        let mut next: Option<String> = None;
        let delta_link = loop {
            let links = self.page(next.as_deref(), &mut output).await?;
            output.flush_if_full().await?;
            match links.next {
                Some(link) if next.as_ref() == Some(&link) => {
                    return Err(ApiError::Malformed("a page leads to itself".to_owned()).into());
                }
                Some(link) => next = Some(link),
                None => break links.delta,
            }
        };
        if delta_link.is_none() && matches!(self.plan, Plan::Changes { .. }) {
            let message = "the changes end without a link to the next ones";
            return Err(ApiError::Malformed(message.to_owned()).into());
        }
        let written = output.finish().await?;
        self.commit(written, delta_link).await
    }

    async fn page(&self, next: Option<&str>, output: &mut Output) -> Result<Links, ExportError> {
        let mut take = |page: Page<'_>| {
            output.take(&page)?;
            Ok(Links { next: page.next_link, delta: page.delta_link })
        };
        match (next, &self.plan) {
            (Some(link), _) => self.api.follow(link, &mut take).await?,
            (None, Plan::Changes { link }) => self.api.follow(link, &mut take).await?,
            (None, Plan::All { tracked }) => {
                let names: Vec<&str> = self.columns.iter().map(|it| it.name.as_str()).collect();
                self.api.rows(self.set, &names, *tracked, &mut take).await?
            }
        }
    }

    /// Makes what was written part of the export.
    async fn commit(
        &self,
        written: Option<Written>,
        delta_link: Option<String>,
    ) -> Result<Exported, ExportError> {
        let rows = written.as_ref().map_or(0, |it| it.rows);
        let manifest = self.manifest(written.as_ref(), delta_link);
        let kind = manifest.kind;
        let dir = self.dir.to_owned();
        files::blocking(move || {
            if let Some(written) = written {
                commit::step("export-file-written");
                files::finish(&dir, &written.aside, &written.name)?;
                commit::step("export-file-named");
            }
            manifest.write(&dir)?;
            commit::step("export-manifest-written");
            io::Result::Ok(())
        })
        .await?;
        Ok(Exported { rows, kind })
    }

    fn manifest(&self, written: Option<&Written>, delta_link: Option<String>) -> Manifest {
        let (kept, contents) = match (&self.plan, self.before) {
            (Plan::Changes { .. }, Some(before)) => (before.files.clone(), Contents::Changes),
            _ => (Vec::new(), Contents::All),
        };
        let entry = written.map(|it| Entry {
            name: it.name.clone(),
            contents,
            rows: it.rows,
            size_bytes: it.size_bytes,
        });
        Manifest {
            version: manifest::VERSION,
            table: self.set.to_owned(),
            logical_name: self.definition.logical_name.clone(),
            primary_id: self.definition.primary_id.clone(),
            kind: if delta_link.is_some() { ExportKind::Incremental } else { ExportKind::Snapshot },
            generation: self.generation(),
            files: kept.into_iter().chain(entry).collect(),
            columns: self.columns.clone(),
            widened_columns: self.widened.clone(),
            delta_link,
            update_time: chrono::Utc::now(),
        }
    }

    /// All rows begin a new one.
    fn generation(&self) -> u64 {
        let before = self.before.map_or(0, |it| it.generation);
        match self.plan {
            Plan::All { .. } => before + 1,
            Plan::Changes { .. } => before,
        }
    }

    fn file_name(&self) -> String {
        let number = match (&self.plan, self.before) {
            (Plan::Changes { .. }, Some(before)) => before.files.len() + 1,
            _ => 1,
        };
        format!("{:06}-{number:06}.parquet", self.generation())
    }
}
