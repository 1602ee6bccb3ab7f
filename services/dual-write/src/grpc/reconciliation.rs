//! Comparisons of both sides, and repairs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::reconciliation_service_server::ReconciliationService;
use proto::dual_write::v1::{DifferenceKind, MapState, ReconciliationState, Side};
use tonic::{Request, Response, Status};

use super::Asked;
use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::maps::ActiveMap;
use crate::names;
use crate::page_token::Page;
use crate::reconcile::repair::{self, Order, number_in};
use crate::reconcile::store::{self, After, Comparison};
use crate::reconcile::total;
use crate::store::Write;

const MOST_REPAIRS: usize = 1_000;
/// Of the caller's time, what is kept to record and to answer.
const RESERVE: Duration = Duration::from_secs(1);

/// Serves `ReconciliationService`.
#[derive(Clone, Debug)]
pub(crate) struct Reconciliations {
    core: Arc<Core>,
}

impl Reconciliations {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl ReconciliationService for Reconciliations {
    async fn list_reconciliations(
        &self,
        request: Request<pb::ListReconciliationsRequest>,
    ) -> Result<Response<pb::ListReconciliationsResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        let page = Page::<i64>::read("reconciliations", request.page_size, &request.page_token)?;
        let map = match request.parent.as_str() {
            "maps/-" => None,
            name => Some(self.map(name)?.name.clone()),
        };
        let mut transaction = self.core.store.begin().await?;
        let (map, after) = (map.as_deref(), page.after);
        let found = store::list(&mut transaction, map, after, page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| it.number);
        let now = Utc::now();
        let reconciliations = found.iter().map(|it| it.message(now)).collect();
        Ok(Response::new(pb::ListReconciliationsResponse { reconciliations, next_page_token }))
    }

    async fn get_reconciliation(
        &self,
        request: Request<pb::GetReconciliationRequest>,
    ) -> Result<Response<pb::GetReconciliationResponse>, Status> {
        Actor::reading(&request)?;
        let mut transaction = self.core.store.begin().await?;
        let found = find(&mut transaction, &request.get_ref().name).await?;
        let reconciliation = Some(found.message(Utc::now()));
        Ok(Response::new(pb::GetReconciliationResponse { reconciliation }))
    }

    async fn create_reconciliation(
        &self,
        request: Request<pb::CreateReconciliationRequest>,
    ) -> Result<Response<pb::CreateReconciliationResponse>, Status> {
        let given = request.get_ref();
        let operation = "CreateReconciliation";
        let actor = Actor::writing(&request, operation, &given.parent)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource: &given.parent, key, request: given }
            .once(&self.core, async |write| self.create(write, given).await)
            .await
    }

    async fn cancel_reconciliation(
        &self,
        request: Request<pb::CancelReconciliationRequest>,
    ) -> Result<Response<pb::CancelReconciliationResponse>, Status> {
        let given = request.get_ref();
        let operation = "CancelReconciliation";
        let actor = Actor::writing(&request, operation, &given.name)?;
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource: &given.name, key, request: given }
            .once(&self.core, async |write| cancel(write, given).await)
            .await
    }

    async fn list_differences(
        &self,
        request: Request<pb::ListDifferencesRequest>,
    ) -> Result<Response<pb::ListDifferencesResponse>, Status> {
        Actor::reading(&request)?;
        let request = request.get_ref();
        let page = Page::<After>::read("differences", request.page_size, &request.page_token)?;
        let kind = DifferenceKind::try_from(request.kind)
            .map_err(|_| Error::invalid("kind", "is none of the kinds"))?;
        let mut transaction = self.core.store.begin().await?;
        let comparison = find(&mut transaction, &request.parent).await?;
        let (number, after, limit) = (comparison.number, page.after.as_ref(), page.limit());
        let found = store::differences(&mut transaction, number, kind, after, limit).await?;
        let (found, next_page_token) = page.cut(found, store::Stored::after);
        let differences =
            found.iter().map(|it| it.message(&comparison)).collect::<Result<_, Error>>()?;
        Ok(Response::new(pb::ListDifferencesResponse { differences, next_page_token }))
    }

    async fn repair_differences(
        &self,
        request: Request<pb::RepairDifferencesRequest>,
    ) -> Result<Response<pb::RepairDifferencesResponse>, Status> {
        let given = request.get_ref();
        let operation = "RepairDifferences";
        let actor = Actor::writing(&request, operation, &given.parent)?;
        let deadline = Instant::now() + actor.context.remaining().saturating_sub(RESERVE);
        let key = &given.idempotency_key;
        Asked { actor: &actor, operation, resource: &given.parent, key, request: given }
            .once(&self.core, async |write| self.repair(write, given, deadline).await)
            .await
    }
}

impl Reconciliations {
    async fn create(
        &self,
        mut write: Write,
        given: &pb::CreateReconciliationRequest,
    ) -> Result<pb::CreateReconciliationResponse, Error> {
        let map = self.map(&given.parent)?;
        if map.state() == MapState::Initializing {
            return Err(under_way(&map, "it can be compared when it runs"));
        }
        if map.compiled.is_none() {
            return Err(Error::NotReady(Side::FinanceAndOperations));
        }
        let companies = companies(&map, &given.companies)?;
        let rows = total(&self.core, &map, &companies).await?;
        let asked = &given.companies;
        let made = store::create(write.connection(), &map.name, asked, &companies, rows).await?;
        let made = made.ok_or_else(|| under_way(&map, "another comparison is under way"))?;
        let reconciliation = Some(made.message(Utc::now()));
        let answer = pb::CreateReconciliationResponse { reconciliation };
        write.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }

    async fn repair(
        &self,
        mut write: Write,
        given: &pb::RepairDifferencesRequest,
        deadline: Instant,
    ) -> Result<pb::RepairDifferencesResponse, Error> {
        let comparison = find(write.connection(), &given.parent).await?;
        let source = match given.source() {
            Side::Unspecified => return Err(Error::invalid("source", "is missing")),
            side => side,
        };
        if given.names.is_empty() || given.names.len() > MOST_REPAIRS {
            let reason = format!("takes at least 1 and at most {MOST_REPAIRS}");
            return Err(Error::invalid("names", reason));
        }
        let number = |it: &String| {
            number_in(&comparison, it).ok_or_else(|| Error::NotFound(names::shown(it)))
        };
        let numbers = given.names.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        let map = self.map(&comparison.map)?;
        if map.state() != MapState::Running {
            return Err(under_way(&map, "rows can be repaired while it runs"));
        }
        let delete_missing = given.delete_missing;
        let order = Order { comparison: &comparison, source, delete_missing, deadline };
        let answer = repair::repair(&self.core, write.connection(), &map, order, &numbers).await?;
        write.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }

    fn map(&self, name: &str) -> Result<Arc<ActiveMap>, Error> {
        self.core.maps.get(name).ok_or_else(|| Error::NotFound(names::shown(name)))
    }
}

async fn cancel(
    mut write: Write,
    given: &pb::CancelReconciliationRequest,
) -> Result<pb::CancelReconciliationResponse, Error> {
    let found = find(write.connection(), &given.name).await?;
    let state = ReconciliationState::Cancelled;
    if !store::end(write.connection(), found.number, state, None).await? {
        return Err(Error::StateText {
            resource: found.name(),
            state: "ended",
            message: format!("`{}` has ended", found.name()),
        });
    }
    let cancelled = find(write.connection(), &given.name).await?;
    let reconciliation = Some(cancelled.message(Utc::now()));
    let answer = pb::CancelReconciliationResponse { reconciliation };
    write.commit(&answer.encode_to_vec()).await?;
    Ok(answer)
}

async fn find(connection: &mut sqlx::PgConnection, name: &str) -> Result<Comparison, Error> {
    let not_found = || Error::NotFound(names::shown(name));
    let (map, id) = name.split_once("/reconciliations/").ok_or_else(not_found)?;
    store::get(connection, map, id).await?.ok_or_else(not_found)
}

/// Those to compare, in order; of a map without companies, one that is empty.
fn companies(map: &ActiveMap, asked: &[String]) -> Result<Vec<String>, Error> {
    let side = map.side(Side::FinanceAndOperations);
    let mut linked = side.companies;
    if side.company_column.is_empty() {
        return match asked {
            [] => Ok(vec![String::new()]),
            _ => Err(Error::invalid("companies", "must be empty: the map's rows have none")),
        };
    }
    let known = |it: &String| linked.iter().any(|company| company.eq_ignore_ascii_case(it));
    if let Some(unknown) = asked.iter().find(|it| !known(it)) {
        let reason = format!("`{}` is not linked", names::shown(unknown));
        return Err(Error::invalid("companies", reason));
    }
    if !asked.is_empty() {
        linked.retain(|it| asked.iter().any(|company| company.eq_ignore_ascii_case(it)));
    }
    linked.sort_unstable();
    Ok(linked)
}

fn under_way(map: &ActiveMap, needed: &'static str) -> Error {
    Error::State { resource: map.name.clone(), state: map.state(), needed }
}
