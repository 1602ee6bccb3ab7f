//! What people call things, and what that is: an environment by its name, with or without its
//! collection, or by its display name where that is unique.

use anyhow::Result;
use proto::lifecycle::v1 as pb;
use tonic::Code;

use crate::client::{self, PAGE_SIZE, explain};
use crate::exit::{Exit, Failure};
use crate::print::plain;
use crate::system::{System, told};

const ERP: &str = "financeAndOperationsEnvironments";
const PLATFORM: &str = "platformEnvironments";

/// An environment of either half.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Environment {
    Erp(Box<pb::FinanceAndOperationsEnvironment>),
    Platform(Box<pb::PlatformEnvironment>),
}

impl Environment {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Erp(it) => &it.name,
            Self::Platform(it) => &it.name,
        }
    }

    pub(crate) fn display_name(&self) -> &str {
        match self {
            Self::Erp(it) => &it.display_name,
            Self::Platform(it) => &it.display_name,
        }
    }

    /// Empty when not linked.
    pub(crate) fn link(&self) -> &str {
        match self {
            Self::Erp(it) => &it.link,
            Self::Platform(it) => &it.link,
        }
    }

    fn answers_to(&self, name: &str) -> bool {
        self.display_name() == name
            || match self {
                Self::Erp(it) => it.environment_id.eq_ignore_ascii_case(name),
                Self::Platform(it) => it.database.as_ref().is_some_and(|it| it.host_name == name),
            }
    }
}

/// `collection/name`, whether or not the collection is there.
pub(crate) fn resource(collection: &str, name: &str) -> String {
    match name.contains('/') {
        true => name.to_owned(),
        false => format!("{collection}/{name}"),
    }
}

impl System {
    pub(crate) async fn erp_named(
        &self,
        name: &str,
    ) -> Result<pb::FinanceAndOperationsEnvironment> {
        if let Some(it) = self.erp_exactly(name).await? {
            return Ok(it);
        }
        let all = self.erp_environments().await?.into_iter().map(|it| Environment::Erp(it.into()));
        match choose(name, all)? {
            Environment::Erp(it) => Ok(*it),
            Environment::Platform(_) => Err(not_found(name)),
        }
    }

    /// `deleted`: one that is deleted will do.
    pub(crate) async fn platform_named(
        &self,
        name: &str,
        deleted: bool,
    ) -> Result<pb::PlatformEnvironment> {
        if let Some(it) = self.platform_exactly(name).await? {
            return Ok(it);
        }
        let all = self.platform_environments(deleted).await?.into_iter();
        match choose(name, all.map(|it| Environment::Platform(it.into())))? {
            Environment::Platform(it) => Ok(*it),
            Environment::Erp(_) => Err(not_found(name)),
        }
    }

    pub(crate) async fn environment_named(&self, name: &str) -> Result<Environment> {
        if !name.starts_with(PLATFORM)
            && let Some(it) = self.erp_exactly(name).await?
        {
            return Ok(Environment::Erp(it.into()));
        }
        if let Some(it) = self.platform_exactly(name).await? {
            return Ok(Environment::Platform(it.into()));
        }
        let erp = self.erp_environments().await?.into_iter().map(|it| Environment::Erp(it.into()));
        let platform = self.platform_environments(false).await?.into_iter();
        choose(name, erp.chain(platform.map(|it| Environment::Platform(it.into()))))
    }

    /// The platform's half, of which either half may have been named.
    pub(crate) async fn platform_half(&self, name: &str) -> Result<String> {
        let erp = match self.environment_named(name).await? {
            Environment::Platform(it) => return Ok(it.name),
            Environment::Erp(it) => it,
        };
        if erp.link.is_empty() {
            let message = format!("{} is not linked with a platform environment", erp.name);
            return Err(Failure::of(Exit::Refused, message));
        }
        Ok(self.link_of(erp.link).await?.platform_environment)
    }

    /// By the name of the link or of either half.
    pub(crate) async fn link_named(&self, name: &str) -> Result<pb::Link> {
        let link = resource("links", name);
        if link.starts_with("links/") {
            match self.link_of(link).await {
                Err(error) if is_not_found(&error) && !name.contains('/') => {}
                answer => return answer,
            }
        }
        let environment = self.environment_named(name).await?.name().to_owned();
        self.link(pb::get_link_request::Key::Environment(environment)).await
    }

    async fn link_of(&self, name: String) -> Result<pb::Link> {
        self.link(pb::get_link_request::Key::Name(name)).await
    }

    async fn link(&self, key: pb::get_link_request::Key) -> Result<pb::Link> {
        let request = pb::GetLinkRequest { key: Some(key) };
        told(self.setup().get_link(request).await.map_err(explain)?.into_inner().link)
    }

    /// By its name alone; none where that is no name of one.
    async fn erp_exactly(&self, name: &str) -> Result<Option<pb::FinanceAndOperationsEnvironment>> {
        let given_whole = name.starts_with(ERP);
        let id = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        if !given_whole && !name.chars().all(id) {
            return Ok(None);
        }
        let request = pb::GetFinanceAndOperationsEnvironmentRequest { name: resource(ERP, name) };
        match self.erp().get_finance_and_operations_environment(request).await {
            Ok(answer) => told(answer.into_inner().finance_and_operations_environment).map(Some),
            Err(status) if status.code() == Code::NotFound && !given_whole => Ok(None),
            Err(status) => Err(explain(status)),
        }
    }

    async fn platform_exactly(&self, name: &str) -> Result<Option<pb::PlatformEnvironment>> {
        let given_whole = name.starts_with(PLATFORM);
        if !given_whole && uuid::Uuid::try_parse(name).is_err() {
            return Ok(None);
        }
        let request = pb::GetPlatformEnvironmentRequest { name: resource(PLATFORM, name) };
        match self.platform().get_platform_environment(request).await {
            Ok(answer) => told(answer.into_inner().platform_environment).map(Some),
            Err(status) if status.code() == Code::NotFound && !given_whole => Ok(None),
            Err(status) => Err(explain(status)),
        }
    }

    pub(crate) async fn erp_environments(
        &self,
    ) -> Result<Vec<pb::FinanceAndOperationsEnvironment>> {
        let mut client = self.erp();
        client::every(async |page_token| {
            let request = pb::ListFinanceAndOperationsEnvironmentsRequest {
                page_size: PAGE_SIZE,
                page_token,
            };
            let page = client.list_finance_and_operations_environments(request).await?.into_inner();
            Ok((page.finance_and_operations_environments, page.next_page_token))
        })
        .await
    }

    pub(crate) async fn platform_environments(
        &self,
        show_deleted: bool,
    ) -> Result<Vec<pb::PlatformEnvironment>> {
        let mut client = self.platform();
        client::every(async |page_token| {
            let request = pb::ListPlatformEnvironmentsRequest {
                page_size: PAGE_SIZE,
                page_token,
                show_deleted,
            };
            let page = client.list_platform_environments(request).await?.into_inner();
            Ok((page.platform_environments, page.next_page_token))
        })
        .await
    }
}

/// The one that is meant.
fn choose(name: &str, all: impl IntoIterator<Item = Environment>) -> Result<Environment> {
    let (mut exact, mut others) = (Vec::new(), Vec::new());
    for it in all {
        if it.name() == name || plain(it.name()) == name {
            exact.push(it);
        } else if it.answers_to(name) {
            others.push(it);
        }
    }
    let mut found = if exact.is_empty() { others } else { exact };
    match (found.pop(), found.as_slice()) {
        (None, _) => Err(not_found(name)),
        (Some(it), []) => Ok(it),
        (Some(last), before) => {
            let names = before.iter().chain([&last]).map(Environment::name);
            let names = names.collect::<Vec<_>>().join(" or ");
            let message = format!("\"{name}\" may be {names}: give the whole name");
            Err(Failure::of(Exit::Usage, message))
        }
    }
}

fn not_found(name: &str) -> anyhow::Error {
    Failure::of(Exit::NotFound, format!("there is no environment \"{name}\""))
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failure>().is_some_and(|it| it.exit == Exit::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn erp(id: &str, display_name: &str) -> Environment {
        let it = pb::FinanceAndOperationsEnvironment {
            name: resource(ERP, id),
            display_name: display_name.to_owned(),
            ..Default::default()
        };
        Environment::Erp(it.into())
    }

    fn platform(id: &str, display_name: &str) -> Environment {
        let it = pb::PlatformEnvironment {
            name: resource(PLATFORM, id),
            display_name: display_name.to_owned(),
            ..Default::default()
        };
        Environment::Platform(it.into())
    }

    fn chosen(name: &str) -> Result<String, String> {
        let all = [
            erp("uat", "Contoso UAT"),
            platform("1", "Contoso UAT"),
            platform("2", "Contoso"),
            platform("3", "uat"),
        ];
        choose(name, all).map(|it| it.name().to_owned()).map_err(|it| it.to_string())
    }

    #[test]
    fn a_name_is_stronger_than_a_display_name() {
        assert_eq!(chosen("uat").unwrap(), "financeAndOperationsEnvironments/uat");
        assert_eq!(chosen("platformEnvironments/3").unwrap(), "platformEnvironments/3");
        assert_eq!(chosen("Contoso").unwrap(), "platformEnvironments/2");
    }

    #[test]
    fn what_may_be_two_says_between_which() {
        let expected = "\"Contoso UAT\" may be financeAndOperationsEnvironments/uat or \
                        platformEnvironments/1: give the whole name";
        assert_eq!(chosen("Contoso UAT").unwrap_err(), expected);
        assert_eq!(chosen("nothing").unwrap_err(), "there is no environment \"nothing\"");
    }

    #[test]
    fn a_collection_is_added_once() {
        assert_eq!(resource("operations", "1"), "operations/1");
        assert_eq!(resource("operations", "operations/1"), "operations/1");
    }
}
