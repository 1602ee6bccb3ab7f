//! The Dataverse database of a platform environment, as it is asked for.

use std::sync::Arc;

use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{OperationKind, PlatformEnvironmentState as State};
use sqlx::PgConnection;
use uuid::Uuid;

use super::platform::counts;
use super::{Begin, Desk, invalid, new_id, once, platform as named, required};
use crate::Deps;
use crate::caller::Actor;
use crate::databases;
use crate::environments::capacity::{self, Need};
use crate::environments::locations::{self, Location};
use crate::environments::order::Order;
use crate::environments::rules;
use crate::error::Error;
use crate::setup::{defaults, web_api_url};
use crate::store::platform::{self, Dataverse, Platform};
use crate::store::settings;

/// A database that is to be made.
pub(super) struct Wanted {
    environment: Uuid,
    dataverse: Dataverse,
    /// The best first.
    hosts: Vec<String>,
    /// What URLs are made of.
    url: Box<dyn Fn(&str) -> String + Send + Sync>,
}

/// What a request wants; of no host, one like the environment's display name.
pub(super) async fn wanted(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    environment: &Platform,
    location: &'static Location,
    asked: &pb::PlatformDatabase,
) -> Result<Wanted, Error> {
    let hosts = match asked.host_name.as_str() {
        "" => {
            let first = defaults::host_of(&environment.display_name);
            defaults::host_names(&first).collect()
        }
        host => {
            rules::check_host("database.host_name", host)?;
            vec![host.to_owned()]
        }
    };
    let country = settings::read(transaction).await?.country_code;
    let (language, currency_code) = language_and_currency(asked, &country)?;
    let database = databases::platform(environment.id);
    let dataverse = Dataverse {
        host_name: String::new(),
        url: String::new(),
        organization_id: new_id(),
        language,
        currency_code,
        d365_apps_enabled: asked.d365_apps_enabled,
        role: database.clone(),
        database,
    };
    let deps = Arc::clone(desk.deps);
    let url = Box::new(move |host: &str| web_api_url(&deps, host, &location.crm));
    Ok(Wanted { environment: environment.id, dataverse, hosts, url })
}

impl Wanted {
    /// Writes what the database is going to be, under the first host that is free.
    pub(super) async fn announce(mut self, transaction: &mut PgConnection) -> Result<(), Error> {
        for host in &self.hosts {
            self.dataverse.host_name.clone_from(host);
            self.dataverse.url = (self.url)(host);
            let (id, dataverse) = (self.environment, &self.dataverse);
            if platform::set_dataverse(transaction, id, dataverse).await? {
                return Ok(());
            }
        }
        Err(host_taken(&self.dataverse.host_name))
    }
}

/// Those that were asked for, and the tenant's where none were (spec PPI-14).
fn language_and_currency(
    asked: &pb::PlatformDatabase,
    country: &str,
) -> Result<(String, String), Error> {
    let (language, currency) = defaults::of_country(country);
    let chosen = |given: &str, default: &str| {
        if given.is_empty() { default.to_owned() } else { given.to_owned() }
    };
    let (language, currency) =
        (chosen(&asked.language, language), chosen(&asked.currency_code, currency));
    let is_letters = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphabetic());
    let parts: Vec<&str> = language.split('-').collect();
    if parts.len() > 3 || language.len() > 20 || !parts.iter().all(|it| is_letters(it)) {
        return Err(invalid("database.language", "it takes a language tag such as `en-us`"));
    }
    if currency.len() != 3 || !currency.bytes().all(|it| it.is_ascii_uppercase()) {
        return Err(invalid("database.currency_code", "it takes an ISO 4217 code such as `USD`"));
    }
    Ok((language, currency))
}

pub(super) fn host_taken(host: &str) -> Error {
    let message = format!(
        "the host name `{host}` is taken; it stays so for a day after its environment was deleted, and for \
         seven where that was a unified one"
    );
    Error::Exists { resource: host.to_owned(), message }
}

/// A database for one that has none.
pub(crate) async fn add_database(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::AddDatabaseRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "AddDatabase", request, |transaction| add(&desk, &mut transaction, request))
}

async fn add(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::AddDatabaseRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.name).await?;
    rules::may_add_database(&found)?;
    rules::check_ready(&found)?;
    let asked = required("database", request.database.as_ref())?;
    let location = locations::all().iter().find(|it| it.id == found.location);
    let location = location.ok_or_else(|| Error::Malformed(found.location.clone()))?;
    let wanted = wanted(desk, transaction, &found, location, asked).await?;
    let takes_capacity = counts(found.kind);
    if takes_capacity {
        let need = Need::new(CapacityOperation::AddDatabase, found.name());
        capacity::check(&desk.deps.clients.capacity, &need).await?;
    }
    let begin = Begin {
        kind: OperationKind::CreateEnvironment,
        order: &Order::AddDatabase { id: found.id, takes_capacity },
        targets: vec![found.name()],
        warnings: Vec::new(),
    };
    let operation = desk.begin(transaction, begin).await?;
    rules::may_add_database(&named(transaction, &request.name).await?)?;
    wanted.announce(transaction).await?;
    platform::set_state(transaction, found.id, State::Preparing).await?;
    Ok(operation)
}
