//! What licences are worth.

use anyhow::Result;
use prost_types::FieldMask;
use proto::capacity::v1 as pb;

use super::Capacity;
use super::pools::amounts;
use crate::cli::AccrualFields;
use crate::client::{self, PAGE_SIZE, explain};
use crate::names::resource;
use crate::print::{Table, plain, word};
use crate::system::told;

impl Capacity {
    pub(super) async fn accruals(&self) -> Result<()> {
        let mut client = self.system.licences();
        let accruals = client::every(async |page_token| {
            let request = pb::ListAccrualsRequest { page_size: PAGE_SIZE, page_token };
            let page = client.list_accruals(request).await?.into_inner();
            Ok((page.accruals, page.next_page_token))
        });
        let accruals = accruals.await?;
        self.output.list(&accruals, || table(&accruals))
    }

    pub(super) async fn set_accrual(&self, args: AccrualFields) -> Result<()> {
        let request =
            pb::UpdateAccrualRequest { idempotency_key: self.write.key(), ..update(args) };
        let answer = self.system.licences().update_accrual(request).await.map_err(explain)?;
        let it = told(answer.into_inner().accrual)?;
        self.output.one(&it, || table(std::slice::from_ref(&it)).to_string())
    }
}

/// The fields that are given, and their names.
fn update(args: AccrualFields) -> pb::UpdateAccrualRequest {
    let paths = [
        ("source", true),
        ("display_name", args.display_name.is_some()),
        ("kind", args.kind.is_some()),
        ("tenant_amounts", args.tenant_amounts.is_some()),
        ("unit_amounts", args.unit_amounts.is_some()),
        ("permits_setup", args.permits_setup.is_some()),
    ];
    let accrual = pb::Accrual {
        name: resource("accruals", &args.name),
        display_name: args.display_name.unwrap_or_default(),
        kind: args.kind.unwrap_or_default().into(),
        tenant_amounts: args.tenant_amounts.unwrap_or_default(),
        unit_amounts: args.unit_amounts.unwrap_or_default(),
        permits_setup: args.permits_setup.unwrap_or_default(),
        source: args.source,
        etag: String::new(),
    };
    let paths = paths.into_iter().filter(|it| it.1).map(|it| it.0.to_owned()).collect();
    pb::UpdateAccrualRequest {
        accrual: Some(accrual),
        update_mask: Some(FieldMask { paths }),
        allow_missing: true,
        idempotency_key: String::new(),
    }
}

fn table(accruals: &[pb::Accrual]) -> Table {
    let head = ["PRODUCT", "NAME", "KIND", "PER TENANT", "PER UNIT", "SETUP", "SOURCE"];
    Table::new(&head).rows(accruals.iter().map(|it| {
        vec![
            plain(&it.name).to_owned(),
            it.display_name.clone(),
            word::<pb::ProductKind>(it.kind),
            amounts(&it.tenant_amounts),
            amounts(&it.unit_amounts),
            if it.permits_setup { "yes" } else { "no" }.to_owned(),
            it.source.clone(),
        ]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_changes() {
        let args = AccrualFields {
            name: "finance".into(),
            display_name: None,
            kind: None,
            tenant_amounts: None,
            unit_amounts: Some(vec![pb::PoolAmount { pool: 1, size_bytes: 250 }]),
            permits_setup: Some(false),
            source: "guide of 2026".into(),
        };
        let request = update(args);
        let paths = request.update_mask.unwrap().paths;
        assert_eq!(paths, ["source", "unit_amounts", "permits_setup"]);
        assert_eq!(request.accrual.unwrap().name, "accruals/finance");
        assert!(request.allow_missing);
    }
}
