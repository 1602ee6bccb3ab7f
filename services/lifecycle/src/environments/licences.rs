//! How many environments of the ERP the tenant's licences give it (spec CAP-07).

use std::sync::Arc;

use proto::capacity::v1::user_licence_service_client::UserLicenceServiceClient;
use proto::capacity::v1::{ListUserLicencesRequest, ListUserLicencesResponse, ProductKind};
use proto::lifecycle::v1::FinanceAndOperationsEnvironmentType as ErpType;
use sqlx::PgConnection;

use crate::Deps;
use crate::caller::Actor;
use crate::clients::asked;
use crate::error::Error;
use crate::store::finance_and_operations;

const PAGE: i32 = 1_000;

/// Every product of finance and operations gives one production environment and one sandbox, and every sandbox
/// add-on another sandbox; cloud-hosted ones take none. Of several at once, one after the other.
pub(super) async fn check(
    deps: &Arc<Deps>,
    transaction: &mut PgConnection,
    actor: &Actor,
    kind: ErpType,
) -> Result<(), Error> {
    if !matches!(kind, ErpType::Production | ErpType::Sandbox) {
        return Ok(());
    }
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('lifecycle.licences', 0))";
    sqlx::query(lock).execute(&mut *transaction).await?;
    let request = ListUserLicencesRequest { page_size: PAGE, ..Default::default() };
    let mut client = UserLicenceServiceClient::new(deps.clients.capacity.clone());
    let bought = client.list_user_licences(asked(request)).await?.into_inner();
    let allowed = allowed(&bought, kind);
    let there = finance_and_operations::count(transaction, kind).await?;
    match there < allowed {
        true => Ok(()),
        false => Err(Error::Licence {
            user: actor.caller.user.name.clone(),
            message: format!(
                "The tenant's licences for finance and operations give it {allowed} such environments, and it \
                 has {there}: each product gives one sandbox and one production environment, and each sandbox \
                 add-on another sandbox."
            ),
        }),
    }
}

fn allowed(bought: &ListUserLicencesResponse, kind: ErpType) -> i64 {
    let quantities = bought.quantities.iter().copied().chain(std::iter::repeat(1));
    let of_product =
        |(accrual, quantity): (&proto::capacity::v1::Accrual, i64)| match accrual.kind() {
            ProductKind::FinanceAndOperations => 1,
            ProductKind::SandboxAddOn if kind == ErpType::Sandbox => quantity.max(0),
            ProductKind::SandboxAddOn
            | ProductKind::PlatformUser
            | ProductKind::StorageAddOn
            | ProductKind::Unspecified => 0,
        };
    bought.accruals.iter().zip(quantities).map(of_product).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::capacity::v1::Accrual;

    #[test]
    fn products_give_one_of_each_and_add_ons_sandboxes() {
        let accrual = |kind: ProductKind| Accrual { kind: kind.into(), ..Default::default() };
        let bought = ListUserLicencesResponse {
            accruals: vec![
                accrual(ProductKind::FinanceAndOperations),
                accrual(ProductKind::PlatformUser),
                accrual(ProductKind::SandboxAddOn),
                accrual(ProductKind::FinanceAndOperations),
            ],
            quantities: vec![20, 100, 3, 20],
            ..Default::default()
        };
        assert_eq!(allowed(&bought, ErpType::Production), 2);
        assert_eq!(allowed(&bought, ErpType::Sandbox), 5);
        assert_eq!(allowed(&ListUserLicencesResponse::default(), ErpType::Sandbox), 0);
    }
}
