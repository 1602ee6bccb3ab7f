//! Platform integration: its prerequisites, the setup, and dual-write.

use anyhow::Result;
use proto::lifecycle::v1 as pb;

use super::{Env, show};
use crate::cli::SetupArgs;
use crate::client::{self, PAGE_SIZE, explain};
use crate::confirm;
use crate::exit::{Exit, Failure};
use crate::names::resource;
use crate::print::Table;

const DEFAULT_TEMPLATE: &str = "standard";

pub(super) const TERMS: &str = "This is subject to the terms of the platform and of its licences";

pub(super) const IRREVERSIBLE: &str = "\
This action cannot be reversed: there is no unlink and no relink, as the runtime depends on the link and
would lose data without it. It ends only when the finance-and-operations environment is deleted";

impl Env {
    pub(super) async fn check(&self, name: &str, platform: Option<String>) -> Result<()> {
        let request = pb::CheckPrerequisitesRequest {
            finance_and_operations_environment: self.system.erp_named(name).await?.name,
            platform_environment: self.existing(platform).await?.unwrap_or_default(),
        };
        let answer = self.system.setup().check_prerequisites(request).await.map_err(explain)?;
        let answer = answer.into_inner();
        self.output.one(&answer, || show::checks(&answer))?;
        match answer.checks.iter().filter(|it| !it.passed && !it.skipped).count() {
            0 => Ok(()),
            1 => Err(Failure::of(Exit::Refused, "a prerequisite fails")),
            count => Err(Failure::of(Exit::Refused, format!("{count} prerequisites fail"))),
        }
    }

    pub(super) async fn setup(&self, args: SetupArgs) -> Result<()> {
        let environment = self.system.erp_named(&args.name).await?;
        let platform = self.existing(args.platform).await?;
        // An existing environment takes the standard one by itself.
        let template = match (args.template, &platform) {
            (Some(it), _) => resource("templates", &it),
            (None, Some(_)) => String::new(),
            (None, None) => resource("templates", DEFAULT_TEMPLATE),
        };
        let other =
            platform.as_deref().unwrap_or("its initial platform environment, with a new database");
        let agreed = confirm::agreement(args.agreement.agree, TERMS)?;
        let what = format!("Links {} with {other}. {IRREVERSIBLE}", environment.name);
        let request = pb::StartSetupRequest {
            finance_and_operations_environment: environment.name,
            platform_environment: platform.unwrap_or_default(),
            template,
            agreed,
            confirmed_user_name: confirm::own_name(args.agreement.confirm, &what)?,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.setup().start_setup(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn dual_write(&self, link: &str, agree: bool) -> Result<()> {
        let request = pb::ConfigureDualWriteRequest {
            name: self.system.link_named(link).await?.name,
            agreed: confirm::agreement(agree, TERMS)?,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.setup().configure_dual_write(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn links(&self) -> Result<()> {
        let mut client = self.system.setup();
        let links = client::every(async |page_token| {
            let request = pb::ListLinksRequest { page_size: PAGE_SIZE, page_token };
            let page = client.list_links(request).await?.into_inner();
            Ok((page.links, page.next_page_token))
        });
        let links = links.await?;
        self.output.list(&links, || show::links(&links))
    }

    pub(super) async fn templates(&self) -> Result<()> {
        let mut client = self.system.setup();
        let templates = client::every(async |page_token| {
            let request = pb::ListTemplatesRequest { page_size: PAGE_SIZE, page_token };
            let page = client.list_templates(request).await?.into_inner();
            Ok((page.templates, page.next_page_token))
        });
        let templates = templates.await?;
        self.output.list(&templates, || show::templates(&templates))
    }

    async fn existing(&self, platform: Option<String>) -> Result<Option<String>> {
        match platform {
            Some(name) => Ok(Some(self.system.platform_named(&name, false).await?.name)),
            None => Ok(None),
        }
    }
}

impl Env {
    pub(super) async fn locations(&self) -> Result<()> {
        let mut client = self.system.platform();
        let locations = client::every(async |page_token| {
            let request = pb::ListLocationsRequest { page_size: PAGE_SIZE, page_token };
            let page = client.list_locations(request).await?.into_inner();
            Ok((page.locations, page.next_page_token))
        });
        let locations = locations.await?;
        self.output.list(&locations, || -> Table { show::locations(&locations) })
    }
}
