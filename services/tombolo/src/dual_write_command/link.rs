//! The pair, and its health.

use anyhow::Result;
use prost_types::FieldMask;
use proto::dual_write::v1 as pb;

use super::DualWrite;
use crate::cli::LinkCommand;
use crate::client::explain;
use crate::confirm;
use crate::exit::{Exit, Failure};
use crate::print::{Table, note, plain, properties, when, word};
use crate::system::told;

const NOTICE: &str = "\
Rows of the maps that are started are copied to the other app, and kept there as long as it keeps them.
Who may see them there is decided by that app.";

impl DualWrite {
    pub(super) async fn link(&self, command: LinkCommand) -> Result<()> {
        match command {
            LinkCommand::Show => {
                let link = self.linked().await?;
                self.output.one(&link, || shown(&link))
            }
            LinkCommand::Create { companies, agree } => self.create_link(companies, agree).await,
            LinkCommand::Companies { companies } => self.companies(companies).await,
            LinkCommand::Reset { companies, agree, force } => {
                self.reset_link(companies, agree, force).await
            }
        }
    }

    async fn linked(&self) -> Result<pb::Link> {
        let answer = self.system.dual_write_link().get_link(pb::GetLinkRequest {}).await;
        told(answer.map_err(explain)?.into_inner().link)
    }

    async fn create_link(&self, companies: Vec<String>, agree: bool) -> Result<()> {
        let request = pb::CreateLinkRequest {
            link: Some(pb::Link { companies, ..Default::default() }),
            consent: confirm::agreement(agree, NOTICE)?,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.dual_write_link().create_link(request).await.map_err(explain)?;
        let answer = answer.into_inner();
        answer.warnings.iter().for_each(|it| note(it));
        let link = told(answer.link)?;
        self.output.one(&link, || shown(&link))
    }

    async fn companies(&self, companies: Vec<String>) -> Result<()> {
        let link = pb::Link { companies, ..self.linked().await? };
        let request = pb::UpdateLinkRequest {
            link: Some(link),
            update_mask: Some(FieldMask { paths: vec!["companies".to_owned()] }),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.dual_write_link().update_link(request).await.map_err(explain)?;
        let answer = answer.into_inner();
        for run in &answer.initial_syncs {
            note(&format!("copying: tombolo dual-write run watch {run}"));
        }
        let link = told(answer.link)?;
        self.output.one(&link, || shown(&link))
    }

    async fn reset_link(&self, companies: Vec<String>, agree: bool, force: bool) -> Result<()> {
        const TERMS: &str =
            "Forgets maps, keys, companies, alerts and history. Rows stay as they are.";
        let request = pb::ResetLinkRequest {
            companies,
            acknowledged: confirm::agreement(agree, TERMS)?,
            force,
            etag: String::new(),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.dual_write_link().reset_link(request).await.map_err(explain)?;
        let link = told(answer.into_inner().link)?;
        self.output.one(&link, || shown(&link))
    }

    /// A check that fails is the command's failure.
    pub(super) async fn health(&self) -> Result<()> {
        let request = pb::RunHealthChecksRequest {};
        let answer = self.system.dual_write_link().run_health_checks(request).await;
        let checks = answer.map_err(explain)?.into_inner().health_checks;
        self.output.list(&checks, || {
            Table::new(&["CHECK", "SIDE", "RESULT", "MESSAGE", "WHAT TO DO"]).rows(
                checks.iter().map(|it| {
                    let result = if it.passed { "passed" } else { "FAILED" };
                    let side = word::<pb::Side>(it.side);
                    let help = if it.passed { String::new() } else { it.help.clone() };
                    vec![it.code.clone(), side, result.to_owned(), it.message.clone(), help]
                }),
            )
        })?;
        match checks.iter().filter(|it| !it.passed).count() {
            0 => Ok(()),
            failed => Err(Failure::of(Exit::Refused, format!("{failed} checks failed"))),
        }
    }
}

fn shown(it: &pb::Link) -> String {
    properties(&[
        ("finance and operations", plain(&it.finance_and_operations_environment).to_owned()),
        ("platform", plain(&it.platform_environment).to_owned()),
        ("companies", it.companies.join(", ")),
        ("linked", when(it.create_time.as_ref())),
        ("agreed by", plain(&it.consent_user).to_owned()),
    ])
}
