//! Rules that act when a map fails too often.

use anyhow::Result;
use proto::dual_write::v1 as pb;

use super::{DualWrite, map_names, values};
use crate::cli::{AlertCommand, AlertFields};
use crate::client::{self, PAGE_SIZE, explain};
use crate::names::resource;
use crate::print::{Table, plain, span, when, word};
use crate::system::told;

const RULES: &str = "alertRules";

impl DualWrite {
    pub(super) async fn alerts(&self, command: AlertCommand) -> Result<()> {
        match command {
            AlertCommand::List => self.rules().await,
            AlertCommand::Fired { rule } => self.fired(rule.as_deref()).await,
            AlertCommand::Create(fields) => self.create_rule(*fields).await,
            AlertCommand::Delete { rule } => {
                let name = resource(RULES, &rule);
                let request = pb::DeleteAlertRuleRequest {
                    name: name.clone(),
                    etag: String::new(),
                    idempotency_key: self.write.key(),
                };
                self.system.alerts().delete_alert_rule(request).await.map_err(explain)?;
                self.output.deleted(&name)
            }
        }
    }

    async fn rules(&self) -> Result<()> {
        let mut client = self.system.alerts();
        let rules = client::every(async |page_token| {
            let request = pb::ListAlertRulesRequest { page_size: PAGE_SIZE, page_token };
            let page = client.list_alert_rules(request).await?.into_inner();
            Ok((page.alert_rules, page.next_page_token))
        });
        let rules = rules.await?;
        self.output.list(&rules, || table(&rules))
    }

    async fn create_rule(&self, fields: AlertFields) -> Result<()> {
        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let rule = pb::AlertRule {
            maps: map_names(&fields.maps),
            error_kinds: fields.kinds.into_iter().map(Into::into).collect(),
            error_count: fields.count,
            window: Some(seconds(fields.window.saturating_mul(60))),
            action: fields.action.into(),
            mail_recipients: fields.mails,
            webhook_url: fields.webhook.unwrap_or_default(),
            probe_delay: fields.probe.map(seconds),
            ..Default::default()
        };
        let request = pb::CreateAlertRuleRequest {
            alert_rule_id: plain(&fields.rule).to_owned(),
            alert_rule: Some(rule),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.alerts().create_alert_rule(request).await.map_err(explain)?;
        let rule = told(answer.into_inner().alert_rule)?;
        self.output.one(&rule, || table(std::slice::from_ref(&rule)).to_string())
    }

    async fn fired(&self, rule: Option<&str>) -> Result<()> {
        let parent = resource(RULES, rule.unwrap_or("-"));
        let mut client = self.system.alerts();
        let alerts = client::every(async |page_token| {
            let (parent, page_size) = (parent.clone(), PAGE_SIZE);
            let request = pb::ListAlertsRequest { parent, page_size, page_token };
            let page = client.list_alerts(request).await?.into_inner();
            Ok((page.alerts, page.next_page_token))
        });
        let alerts = alerts.await?;
        self.output.list(&alerts, || {
            let head =
                ["WHEN", "RULE", "MAP", "ERRORS", "ACTION", "RESUMED", "LAST ERROR", "NOT TOLD"];
            Table::new(&head).numbers(&[3]).rows(alerts.iter().map(|it| {
                vec![
                    when(it.fire_time.as_ref()),
                    it.name.split('/').nth(1).unwrap_or_default().to_owned(),
                    plain(&it.map).to_owned(),
                    it.error_count.to_string(),
                    word::<pb::AlertAction>(it.action),
                    when(it.auto_resume_time.as_ref()),
                    values::error(it.last_error.as_ref()),
                    it.delivery_failures.join("; "),
                ]
            }))
        })
    }
}

fn table(rules: &[pb::AlertRule]) -> Table {
    let head = ["RULE", "MAPS", "ERRORS", "WITHIN", "KINDS", "ACTION", "TELLS"];
    Table::new(&head).numbers(&[2]).rows(rules.iter().map(|it| {
        let all_or = |names: Vec<String>| match names.is_empty() {
            true => "all".to_owned(),
            false => names.join(", "),
        };
        let tells =
            it.mail_recipients.iter().chain(Some(&it.webhook_url).filter(|it| !it.is_empty()));
        vec![
            plain(&it.name).to_owned(),
            all_or(it.maps.iter().map(|it| plain(it).to_owned()).collect()),
            it.error_count.to_string(),
            it.window.map(span).unwrap_or_default(),
            all_or(it.error_kinds.iter().map(|it| word::<pb::SyncErrorKind>(*it)).collect()),
            word::<pb::AlertAction>(it.action),
            tells.cloned().collect::<Vec<_>>().join(", "),
        ]
    }))
}
