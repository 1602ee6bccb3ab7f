//! Platform integration: its prerequisites, the setup, and dual-write.

use anyhow::Result;
use proto::lifecycle::v1 as pb;
use rpc::ErrorReason;
use tonic::Status;

use super::{Env, show};
use crate::cli::{AgreementArgs, SetupArgs};
use crate::client::{self, PAGE_SIZE, explain};
use crate::confirm;
use crate::exit::{Exit, Failure};
use crate::names::resource;
use crate::print::Table;

const DEFAULT_TEMPLATE: &str = "standard";

const TERMS: &str = "This is subject to the terms of the platform and of its licences.";

const IRREVERSIBLE: &str = "\
This action cannot be reversed: there is no unlink and no relink, as the runtime
depends on the link and would lose data without it. The link ends only when the
finance-and-operations environment is deleted.";

/// What a setup needs of the one who asks for it.
pub(super) struct Consent {
    pub(super) agreed: bool,
    pub(super) confirmed_user_name: String,
}

/// Told before anything is asked; the system tells it, too, of what was linked meanwhile.
fn not_linked(it: &pb::FinanceAndOperationsEnvironment) -> Result<()> {
    match it.link.as_str() {
        "" => Ok(()),
        _ => {
            let message = format!("{} is linked already, and a link is for good", it.name);
            Err(Failure::of(Exit::Refused, message))
        }
    }
}

impl Env {
    pub(super) async fn check(&self, name: &str, platform: Option<String>) -> Result<()> {
        let environment = self.system.erp_named(name).await?;
        let unlinked = not_linked(&environment);
        let request = pb::CheckPrerequisitesRequest {
            finance_and_operations_environment: environment.name,
            platform_environment: self.existing(platform).await?.unwrap_or_default(),
        };
        let answer = self.system.setup().check_prerequisites(request).await.map_err(explain)?;
        let answer = answer.into_inner();
        self.output.one(&answer, || show::checks(&answer))?;
        unlinked?;
        match answer.checks.iter().filter(|it| !it.passed && !it.skipped).count() {
            0 => Ok(()),
            1 => Err(Failure::of(Exit::Refused, "a prerequisite fails")),
            count => Err(Failure::of(Exit::Refused, format!("{count} prerequisites fail"))),
        }
    }

    pub(super) async fn setup(&self, args: SetupArgs) -> Result<()> {
        let environment = self.system.erp_named(&args.name).await?;
        not_linked(&environment)?;
        let platform = self.existing(args.platform).await?;
        // An existing environment takes the standard one by itself.
        let template = match (args.template, &platform) {
            (Some(it), _) => resource("templates", &it),
            (None, Some(_)) => String::new(),
            (None, None) => resource("templates", DEFAULT_TEMPLATE),
        };
        let other = platform.as_deref().unwrap_or("its initial platform environment");
        let what = format!("Links {} with {other}.", environment.name);
        let Consent { agreed, confirmed_user_name } = self.consent(args.agreement, &what).await?;
        let request = pb::StartSetupRequest {
            finance_and_operations_environment: environment.name,
            platform_environment: platform.unwrap_or_default(),
            template,
            agreed,
            confirmed_user_name,
            idempotency_key: self.write.key(),
        };
        let answer = match self.system.setup().start_setup(request).await {
            Ok(answer) => answer,
            Err(status) => return Err(self.refused(status).await),
        };
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
    /// Given, or asked for on a terminal, `what` will happen being told before. Where neither is
    /// possible, everything that is missing is named at once.
    pub(super) async fn consent(&self, given: AgreementArgs, what: &str) -> Result<Consent> {
        let own = match given.confirm {
            Some(_) => None,
            None => self.system.own_name().await,
        };
        let what = format!("{what}\n{IRREVERSIBLE}");
        if !given.agree && given.confirm.is_none() && !confirm::is_terminal() {
            let add = confirm::own_name_argument(own.as_deref());
            let message = format!("{what}\n{TERMS}\nTo go on, add --agree {add}");
            return Err(Failure::of(Exit::Usage, message));
        }
        Ok(Consent {
            agreed: confirm::agreement(given.agree, TERMS)?,
            confirmed_user_name: confirm::own_name(given.confirm, &what, own.as_deref())?,
        })
    }

    /// Who typed another name is told its own.
    async fn refused(&self, status: Status) -> anyhow::Error {
        let own = match rpc::reason(&status) {
            Some(ErrorReason::ConfirmationRequired) => self.system.own_name().await,
            _ => None,
        };
        let mut failure = Failure::from(status);
        if let Some(own) = own {
            failure.message += &format!(" Yours is {own}.");
        }
        failure.into()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_set_up_no_more() {
        let mut it = pb::FinanceAndOperationsEnvironment {
            name: "financeAndOperationsEnvironments/dev".into(),
            ..Default::default()
        };
        assert!(not_linked(&it).is_ok());
        it.link = "links/dev".into();
        let error = not_linked(&it).unwrap_err();
        assert_eq!(error.downcast_ref::<Failure>().unwrap().exit, Exit::Refused);
    }
}
