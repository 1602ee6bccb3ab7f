//! Licences, and who holds them.

use anyhow::Result;
use prost_types::FieldMask;
use proto::capacity::v1 as pb;
use serde_json::json;

use super::Capacity;
use crate::cli::{LicenceFields, NewLicence};
use crate::client::{self, PAGE_SIZE, explain};
use crate::names::resource;
use crate::print::{Table, day, plain, timestamp, when};
use crate::system::told;

impl Capacity {
    pub(super) async fn licences(&self) -> Result<()> {
        let mut client = self.system.licences();
        let licences = client::every(async |page_token| {
            let request = pb::ListLicencesRequest { page_size: PAGE_SIZE, page_token };
            let page = client.list_licences(request).await?.into_inner();
            Ok((page.licences, page.next_page_token))
        });
        let licences = licences.await?;
        self.output.list(&licences, || licence_table(&licences))
    }

    pub(super) async fn add_licence(&self, args: NewLicence) -> Result<()> {
        let licence = pb::Licence {
            accrual: resource("accruals", &args.product),
            quantity: args.quantity,
            start_time: args.start.map(timestamp),
            end_time: args.end.map(timestamp),
            ..pb::Licence::default()
        };
        let request = pb::CreateLicenceRequest {
            licence_id: plain(&args.name).to_owned(),
            licence: Some(licence),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.licences().create_licence(request).await.map_err(explain)?;
        self.licence(told(answer.into_inner().licence)?)
    }

    pub(super) async fn set_licence(&self, args: LicenceFields) -> Result<()> {
        let request =
            pb::UpdateLicenceRequest { idempotency_key: self.write.key(), ..update(args) };
        let answer = self.system.licences().update_licence(request).await.map_err(explain)?;
        self.licence(told(answer.into_inner().licence)?)
    }

    fn licence(&self, it: pb::Licence) -> Result<()> {
        self.output.one(&it, || licence_table(std::slice::from_ref(&it)).to_string())
    }

    pub(super) async fn delete_licence(&self, name: &str) -> Result<()> {
        let name = resource("licences", name);
        let request = pb::DeleteLicenceRequest {
            name: name.clone(),
            etag: String::new(),
            idempotency_key: self.write.key(),
        };
        self.system.licences().delete_licence(request).await.map_err(explain)?;
        self.output.deleted(&name)
    }

    pub(super) async fn assign(&self, licence: &str, holder: &str) -> Result<()> {
        let assignment =
            pb::LicenceAssignment { user: resource("users", holder), ..Default::default() };
        let request = pb::CreateLicenceAssignmentRequest {
            parent: resource("licences", licence),
            licence_assignment: Some(assignment),
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.licences();
        let answer = client.create_licence_assignment(request).await.map_err(explain)?;
        let it = told(answer.into_inner().licence_assignment)?;
        self.output.one(&it, || format!("{} holds {licence}", plain(&it.user)))
    }

    pub(super) async fn unassign(&self, licence: &str, holder: &str) -> Result<()> {
        let name = format!("{}/assignments/{}", resource("licences", licence), plain(holder));
        let idempotency_key = self.write.key();
        let request = pb::DeleteLicenceAssignmentRequest { name: name.clone(), idempotency_key };
        self.system.licences().delete_licence_assignment(request).await.map_err(explain)?;
        let text = || format!("{} holds {licence} no more", plain(holder));
        self.output.value(|| json!({ "deleted": name }), text)
    }

    pub(super) async fn assignments(
        &self,
        licence: Option<String>,
        holder: Option<String>,
    ) -> Result<()> {
        let parent = resource("licences", licence.as_deref().unwrap_or("-"));
        let user = holder.map(|it| resource("users", &it)).unwrap_or_default();
        let mut client = self.system.licences();
        let assignments = client::every(async |page_token| {
            let (parent, user, page_size) = (parent.clone(), user.clone(), PAGE_SIZE);
            let request = pb::ListLicenceAssignmentsRequest { parent, page_size, page_token, user };
            let page = client.list_licence_assignments(request).await?.into_inner();
            Ok((page.licence_assignments, page.next_page_token))
        });
        let assignments = assignments.await?;
        let table = || {
            Table::new(&["LICENCE", "USER", "SINCE"]).rows(assignments.iter().map(|it| {
                let licence = it.name.split_once("/assignments/").map_or("", |it| it.0);
                let since = when(it.create_time.as_ref());
                vec![plain(licence).to_owned(), plain(&it.user).to_owned(), since]
            }))
        };
        self.output.list(&assignments, table)
    }
}

/// The fields that are given, and their names.
fn update(args: LicenceFields) -> pb::UpdateLicenceRequest {
    let paths = [
        ("quantity", args.quantity.is_some()),
        ("start_time", args.start.is_some()),
        ("end_time", args.end.is_some() || args.no_end),
    ];
    let licence = pb::Licence {
        name: resource("licences", &args.name),
        quantity: args.quantity.unwrap_or_default(),
        start_time: args.start.map(timestamp),
        end_time: args.end.map(timestamp),
        ..pb::Licence::default()
    };
    let paths = paths.into_iter().filter(|it| it.1).map(|it| it.0.to_owned()).collect();
    pb::UpdateLicenceRequest {
        licence: Some(licence),
        update_mask: Some(FieldMask { paths }),
        idempotency_key: String::new(),
    }
}

fn licence_table(licences: &[pb::Licence]) -> Table {
    let head = ["LICENCE", "PRODUCT", "BOUGHT", "ASSIGNED", "FROM", "UNTIL"];
    Table::new(&head).numbers(&[2, 3]).rows(licences.iter().map(|it| {
        vec![
            plain(&it.name).to_owned(),
            plain(&it.accrual).to_owned(),
            it.quantity.to_string(),
            it.assigned_quantity.to_string(),
            day(it.start_time.as_ref()),
            day(it.end_time.as_ref()),
        ]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_taken_away_is_named_and_empty() {
        let args = LicenceFields {
            name: "finance".into(),
            quantity: Some(7),
            start: None,
            end: None,
            no_end: true,
        };
        let request = update(args);
        let licence = request.licence.unwrap();
        assert_eq!(licence.name, "licences/finance");
        assert_eq!((licence.quantity, licence.end_time), (7, None));
        assert_eq!(request.update_mask.unwrap().paths, ["quantity", "end_time"]);
    }

    #[test]
    fn licences_are_a_table() {
        let it = pb::Licence {
            name: "licences/finance-2026".into(),
            accrual: "accruals/finance".into(),
            quantity: 20,
            assigned_quantity: 3,
            ..Default::default()
        };
        let expected = "\
LICENCE       PRODUCT  BOUGHT  ASSIGNED  FROM  UNTIL
finance-2026  finance      20         3
";
        assert_eq!(licence_table(&[it]).to_string(), expected);
    }
}
