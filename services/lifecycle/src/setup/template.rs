//! What a setup can install, as `templates.toml` lists it.

use std::sync::LazyLock;

use proto::capacity::v1::ListUserLicencesRequest;
use proto::capacity::v1::user_licence_service_client::UserLicenceServiceClient;
use proto::lifecycle::v1 as pb;
use rpc::Channel;
use serde::Deserialize;

use crate::clients::asked;
use crate::error::Error;
use crate::resource::{self, TEMPLATES};

/// The one for environments that exist.
pub(crate) const STANDARD: &str = "standard";
const PAGE: i32 = 1_000;

// A test reads the file, so that it is never a broken one.
static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("templates.toml")).unwrap_or_default());

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    template: Vec<Template>,
}

/// A template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Template {
    pub(crate) id: String,
    display_name: String,
    description: String,
    packages: Vec<String>,
    #[serde(default)]
    dual_write: Vec<String>,
    #[serde(default)]
    pub(crate) dual_write_linked: bool,
    #[serde(default)]
    pub(crate) supports_existing_environment: bool,
    #[serde(default)]
    licence: Option<String>,
}

impl Template {
    /// `templates/…`.
    pub(crate) fn name(&self) -> String {
        resource::name(TEMPLATES, &self.id)
    }

    /// Anchors that come first.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        self.packages
            .iter()
            .map(String::as_str)
            .filter(|it| !self.dual_write.iter().any(|d| d == it))
    }

    /// Anchors of dual-write's stage.
    pub(crate) fn dual_write_packages(&self) -> impl Iterator<Item = &str> {
        self.dual_write.iter().map(String::as_str)
    }

    /// Whether a tenant that has bought these products may use it.
    pub(crate) fn is_licensed(&self, bought: &[String]) -> bool {
        self.licence.as_ref().is_none_or(|it| bought.contains(it))
    }

    /// As it is shown.
    pub(crate) fn to_message(&self) -> pb::Template {
        pb::Template {
            name: self.name(),
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            packages: self.packages.clone(),
            supports_existing_environment: self.supports_existing_environment,
        }
    }
}

/// All of them, as people should read them.
pub(crate) fn all() -> &'static [Template] {
    &TABLE.template
}

/// The one of this id.
pub(crate) fn find(id: &str) -> Option<&'static Template> {
    all().iter().find(|it| it.id == id)
}

/// The one of this name.
pub(crate) fn named(name: &str) -> Result<&'static Template, Error> {
    find(resource::id(TEMPLATES, name)?).ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// Names of the products that the tenant has bought.
pub(crate) async fn bought(capacity: &Channel) -> Result<Vec<String>, Error> {
    let mut client = UserLicenceServiceClient::new(capacity.clone());
    // There are fewer products than fit on a page.
    let request = ListUserLicencesRequest { page_size: PAGE, ..Default::default() };
    let answer = client.list_user_licences(asked(request)).await?.into_inner();
    Ok(answer.accruals.into_iter().map(|it| it.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_three_templates() {
        toml::from_str::<Table>(include_str!("templates.toml")).unwrap();
        let ids: Vec<&str> = all().iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["standard", "standard-with-dual-write", "project-operations"]);
        for it in all() {
            assert_eq!(it.supports_existing_environment, it.id == STANDARD);
            assert!(it.dual_write.iter().all(|anchor| it.packages.contains(anchor)), "{}", it.id);
            assert_eq!(it.packages().count() + it.dual_write_packages().count(), it.packages.len());
        }
        let licensed = |bought: &[String]| all().iter().filter(|it| it.is_licensed(bought)).count();
        assert_eq!(licensed(&[]), 2);
        assert_eq!(licensed(&["accruals/project-operations".into()]), 3);
    }
}
