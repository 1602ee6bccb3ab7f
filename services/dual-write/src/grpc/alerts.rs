//! Alert rules, and when they fired.

use std::sync::Arc;

use chrono::Utc;
use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::alert_service_server::AlertService;
use tonic::{Request, Response, Status};

use super::Asked;
use crate::access::Actor;
use crate::alerts::store::{self, Alert};
use crate::alerts::{RULES, Rule, id_in};
use crate::core::Core;
use crate::error::Error;
use crate::names;
use crate::page_token::Page;
use crate::store::Write;

/// Serves `AlertService`.
#[derive(Clone, Debug)]
pub(crate) struct Alerts {
    core: Arc<Core>,
}

impl Alerts {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn list_alert_rules(
        &self,
        request: Request<pb::ListAlertRulesRequest>,
    ) -> Result<Response<pb::ListAlertRulesResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        let page = Page::<String>::read("alert-rules", request.page_size, &request.page_token)?;
        let mut transaction = self.core.store.begin().await?;
        let found = store::rules(&mut transaction, page.after.as_deref(), page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| it.id.clone());
        let alert_rules = found.iter().map(Rule::message).collect();
        Ok(Response::new(pb::ListAlertRulesResponse { alert_rules, next_page_token }))
    }

    async fn get_alert_rule(
        &self,
        request: Request<pb::GetAlertRuleRequest>,
    ) -> Result<Response<pb::GetAlertRuleResponse>, Status> {
        Actor::reading(&request)?;
        let name = &request.get_ref().name;
        let mut transaction = self.core.store.begin().await?;
        let found = store::rule(&mut transaction, rule_in(name)?).await?;
        let found = found.ok_or_else(|| not_found(name))?;
        Ok(Response::new(pb::GetAlertRuleResponse { alert_rule: Some(found.message()) }))
    }

    async fn create_alert_rule(
        &self,
        request: Request<pb::CreateAlertRuleRequest>,
    ) -> Result<Response<pb::CreateAlertRuleResponse>, Status> {
        let given = request.get_ref();
        let resource = format!("{RULES}/{}", given.alert_rule_id);
        let operation = "CreateAlertRule";
        let actor = Actor::writing(&request, operation, &resource)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource: &resource, key, request: given }
            .once(&self.core, async |write| self.create(write, given).await)
            .await
    }

    async fn update_alert_rule(
        &self,
        request: Request<pb::UpdateAlertRuleRequest>,
    ) -> Result<Response<pb::UpdateAlertRuleResponse>, Status> {
        let given = request.get_ref();
        let resource = given.alert_rule.as_ref().map(|it| it.name.clone()).unwrap_or_default();
        let operation = "UpdateAlertRule";
        let actor = Actor::writing(&request, operation, &resource)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource: &resource, key, request: given }
            .once(&self.core, async |write| self.update(write, given).await)
            .await
    }

    async fn delete_alert_rule(
        &self,
        request: Request<pb::DeleteAlertRuleRequest>,
    ) -> Result<Response<pb::DeleteAlertRuleResponse>, Status> {
        let given = request.get_ref();
        let operation = "DeleteAlertRule";
        let actor = Actor::writing(&request, operation, &given.name)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource: &given.name, key, request: given }
            .once(&self.core, async |write| delete(write, given).await)
            .await
    }

    async fn list_alerts(
        &self,
        request: Request<pb::ListAlertsRequest>,
    ) -> Result<Response<pb::ListAlertsResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        let page = Page::<i64>::read("alerts", request.page_size, &request.page_token)?;
        let rule = match request.parent.as_str() {
            "alertRules/-" => None,
            name => Some(rule_in(name)?),
        };
        let mut transaction = self.core.store.begin().await?;
        if let Some(id) = rule
            && store::rule(&mut transaction, id).await?.is_none()
        {
            return Err(not_found(&request.parent).into());
        }
        let found = store::alerts(&mut transaction, rule, page.after, page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| it.number);
        let alerts = found.iter().map(message).collect::<Result<_, Error>>()?;
        Ok(Response::new(pb::ListAlertsResponse { alerts, next_page_token }))
    }
}

impl Alerts {
    async fn create(
        &self,
        mut write: Write,
        given: &pb::CreateAlertRuleRequest,
    ) -> Result<pb::CreateAlertRuleResponse, Error> {
        let rule = given.alert_rule.as_ref();
        let rule = rule.ok_or_else(|| Error::invalid("alert_rule", "is missing"))?;
        let hosts = &self.core.config.webhook_hosts;
        let rule = Rule::read(&given.alert_rule_id, rule, hosts, Utc::now())?;
        if !store::create_rule(write.connection(), &rule).await? {
            return Err(Error::Exists(rule.name()));
        }
        let answer = pb::CreateAlertRuleResponse { alert_rule: Some(rule.message()) };
        write.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }

    async fn update(
        &self,
        mut write: Write,
        given: &pb::UpdateAlertRuleRequest,
    ) -> Result<pb::UpdateAlertRuleResponse, Error> {
        let rule = given.alert_rule.as_ref();
        let rule = rule.ok_or_else(|| Error::invalid("alert_rule", "is missing"))?;
        let known = lock(&mut write, &rule.name, &rule.etag).await?;
        let paths = given.update_mask.as_ref().map(|it| it.paths.as_slice()).unwrap_or_default();
        let hosts = &self.core.config.webhook_hosts;
        let changed = known.changed(rule, paths, hosts, Utc::now())?;
        store::update_rule(write.connection(), &changed).await?;
        let answer = pb::UpdateAlertRuleResponse { alert_rule: Some(changed.message()) };
        write.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}

async fn delete(
    mut write: Write,
    given: &pb::DeleteAlertRuleRequest,
) -> Result<pb::DeleteAlertRuleResponse, Error> {
    let known = lock(&mut write, &given.name, &given.etag).await?;
    store::delete_rule(write.connection(), &known.id).await?;
    let answer = pb::DeleteAlertRuleResponse {};
    write.commit(&answer.encode_to_vec()).await?;
    Ok(answer)
}

/// The rule as it is, if it is of the version that is asked for.
async fn lock(write: &mut Write, name: &str, etag: &str) -> Result<Rule, Error> {
    let known = store::lock_rule(write.connection(), rule_in(name)?).await?;
    let known = known.ok_or_else(|| not_found(name))?;
    if !etag.is_empty() && etag != known.etag() {
        return Err(Error::VersionMismatch(known.name()));
    }
    Ok(known)
}

fn rule_in(name: &str) -> Result<&str, Error> {
    id_in(RULES, name).ok_or_else(|| not_found(name))
}

fn not_found(name: &str) -> Error {
    Error::NotFound(names::shown(name))
}

fn message(alert: &Alert) -> Result<pb::Alert, Error> {
    let last_error = pb::SyncError::decode(&*alert.last_error);
    let last_error = last_error.map_err(|it| Error::Stored(it.to_string()))?;
    Ok(pb::Alert {
        name: alert.name(),
        map: alert.map.clone(),
        error_count: alert.error_count,
        last_error: Some(last_error),
        action: alert.action.unwrap_or_default(),
        fire_time: Some(names::timestamp(alert.fire_time)),
        auto_resume_time: alert.auto_resume_time.map(names::timestamp),
        delivery_failures: alert.delivery_failures.clone(),
    })
}
