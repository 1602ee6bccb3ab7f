//! Licences and the accrual table, for administrators.

use proto::capacity::v1 as pb;
use proto::capacity::v1::licence_service_server::LicenceService;
use tonic::{Request, Response, Status};

use super::{Service, Write, check_reader, convert};
use crate::accruals::{Accrual, ProductKind};
use crate::error::Error;
use crate::licensing::{self, Purchase, Terms};
use crate::names::{self, ACCRUALS, LICENCES, assignment_in, id_in, user_in};
use crate::page_token::Page;
use crate::pool::Amounts;
use crate::store::{accruals, licences};

const LONGEST_TEXT: usize = 4_000;

#[tonic::async_trait]
impl LicenceService for Service {
    async fn list_licences(
        &self,
        request: Request<pb::ListLicencesRequest>,
    ) -> Result<Response<pb::ListLicencesResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let page = Page::<String>::read(LICENCES, request.page_size, &request.page_token)?;
        let mut read = self.state.store.read().await?;
        let found = licences::list(&mut read, page.after.as_deref(), page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| it.licence.id.clone());
        let licences = found.into_iter().map(convert::licence).collect();
        Ok(Response::new(pb::ListLicencesResponse { licences, next_page_token }))
    }

    async fn get_licence(
        &self,
        request: Request<pb::GetLicenceRequest>,
    ) -> Result<Response<pb::GetLicenceResponse>, Status> {
        check_reader(&request)?;
        let name = &request.get_ref().name;
        let id = id_in(LICENCES, name)?;
        let found = licences::get(&mut *self.state.store.read().await?, id).await?;
        let found = found.ok_or_else(|| Error::NotFound(name.clone()))?;
        Ok(Response::new(pb::GetLicenceResponse { licence: Some(convert::licence(found)) }))
    }

    async fn create_licence(
        &self,
        request: Request<pb::CreateLicenceRequest>,
    ) -> Result<Response<pb::CreateLicenceResponse>, Status> {
        let given = request.get_ref();
        let resource = format!("{LICENCES}/{}", given.licence_id);
        let key = &given.idempotency_key;
        let write = Write::by_administrator(&request, "CreateLicence", &resource, key)?;
        self.write(write, async move |mut change| {
            let purchase = purchase(request.into_inner())?;
            let made = licensing::create(&mut change, purchase).await?;
            Ok((change, pb::CreateLicenceResponse { licence: Some(convert::licence(made)) }))
        })
        .await
    }

    async fn update_licence(
        &self,
        request: Request<pb::UpdateLicenceRequest>,
    ) -> Result<Response<pb::UpdateLicenceResponse>, Status> {
        let given = request.get_ref();
        let licence = given.licence.clone().unwrap_or_default();
        let key = &given.idempotency_key;
        let write = Write::by_administrator(&request, "UpdateLicence", &licence.name, key)?;
        self.write(write, async move |mut change| {
            let id = id_in(LICENCES, &licence.name)?;
            let terms = terms(&licence, request.get_ref().update_mask.as_ref())?;
            let updated = licensing::update(&mut change, id, &licence.etag, terms).await?;
            Ok((change, pb::UpdateLicenceResponse { licence: Some(convert::licence(updated)) }))
        })
        .await
    }

    async fn delete_licence(
        &self,
        request: Request<pb::DeleteLicenceRequest>,
    ) -> Result<Response<pb::DeleteLicenceResponse>, Status> {
        let pb::DeleteLicenceRequest { name, etag, idempotency_key } = request.get_ref().clone();
        let write = Write::by_administrator(&request, "DeleteLicence", &name, &idempotency_key)?;
        self.write(write, async move |mut change| {
            licensing::delete(&mut change, id_in(LICENCES, &name)?, &etag).await?;
            Ok((change, pb::DeleteLicenceResponse {}))
        })
        .await
    }

    async fn list_licence_assignments(
        &self,
        request: Request<pb::ListLicenceAssignmentsRequest>,
    ) -> Result<Response<pb::ListLicenceAssignmentsResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let page =
            Page::<(String, String)>::read("assignments", request.page_size, &request.page_token)?;
        let licence = match request.parent.as_str() {
            "licences/-" => None,
            parent => Some(id_in(LICENCES, parent)?),
        };
        let user = match (request.user.as_str(), user_in(&request.user)) {
            ("", _) => None,
            (_, Some(user)) => Some(names::user_key(user)),
            (_, None) => return Err(Error::invalid("user", "is no name of a user").into()),
        };
        let mut read = self.state.store.read().await?;
        if let Some(id) = licence
            && licences::get(&mut read, id).await?.is_none()
        {
            return Err(Error::NotFound(request.parent.clone()).into());
        }
        let (after, limit) = (page.after.as_ref(), page.limit());
        let found =
            licences::list_assignments(&mut read, licence, user.as_deref(), after, limit).await?;
        let (found, next_page_token) =
            page.cut(found, |it| (it.licence.clone(), it.user_key.clone()));
        let licence_assignments = found.into_iter().map(convert::assignment).collect();
        let answer = pb::ListLicenceAssignmentsResponse { licence_assignments, next_page_token };
        Ok(Response::new(answer))
    }

    async fn create_licence_assignment(
        &self,
        request: Request<pb::CreateLicenceAssignmentRequest>,
    ) -> Result<Response<pb::CreateLicenceAssignmentResponse>, Status> {
        let given = request.get_ref();
        let (parent, key) = (given.parent.clone(), &given.idempotency_key);
        let user = given.licence_assignment.clone().unwrap_or_default().user;
        let write = Write::by_administrator(&request, "CreateLicenceAssignment", &parent, key)?;
        self.write(write, async move |mut change| {
            let licence = id_in(LICENCES, &parent)?;
            let user = user_in(&user)
                .ok_or_else(|| Error::invalid("user", "must be the name of a user"))?;
            // Before anything is locked that others wait for.
            let user = self.state.directory.name_of(user).await?;
            let made = licensing::assign(&mut change, licence, &user).await?;
            let licence_assignment = Some(convert::assignment(made));
            Ok((change, pb::CreateLicenceAssignmentResponse { licence_assignment }))
        })
        .await
    }

    async fn delete_licence_assignment(
        &self,
        request: Request<pb::DeleteLicenceAssignmentRequest>,
    ) -> Result<Response<pb::DeleteLicenceAssignmentResponse>, Status> {
        let pb::DeleteLicenceAssignmentRequest { name, idempotency_key: key } =
            request.get_ref().clone();
        // Names of users are not for the log.
        let licence = name.split("/assignments/").next().unwrap_or_default();
        let write = Write::by_administrator(&request, "DeleteLicenceAssignment", licence, &key)?;
        self.write(write, async move |mut change| {
            let (licence, user) = assignment_in(&name)?;
            licensing::take_away(&mut change, licence, user).await?;
            Ok((change, pb::DeleteLicenceAssignmentResponse {}))
        })
        .await
    }

    async fn list_accruals(
        &self,
        request: Request<pb::ListAccrualsRequest>,
    ) -> Result<Response<pb::ListAccrualsResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let page = Page::<String>::read(ACCRUALS, request.page_size, &request.page_token)?;
        let mut read = self.state.store.read().await?;
        let found = accruals::list(&mut read, page.after.as_deref(), page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| it.accrual.id.clone());
        let accruals = found.into_iter().map(convert::accrual).collect();
        Ok(Response::new(pb::ListAccrualsResponse { accruals, next_page_token }))
    }

    async fn get_accrual(
        &self,
        request: Request<pb::GetAccrualRequest>,
    ) -> Result<Response<pb::GetAccrualResponse>, Status> {
        check_reader(&request)?;
        let name = &request.get_ref().name;
        let id = id_in(ACCRUALS, name)?;
        let found = accruals::get(&mut *self.state.store.read().await?, id).await?;
        let found = found.ok_or_else(|| Error::NotFound(name.clone()))?;
        Ok(Response::new(pb::GetAccrualResponse { accrual: Some(convert::accrual(found)) }))
    }

    async fn update_accrual(
        &self,
        request: Request<pb::UpdateAccrualRequest>,
    ) -> Result<Response<pb::UpdateAccrualResponse>, Status> {
        let given = request.get_ref();
        let (accrual, key) = (given.accrual.clone().unwrap_or_default(), &given.idempotency_key);
        let write = Write::by_administrator(&request, "UpdateAccrual", &accrual.name, key)?;
        self.write(write, async move |mut change| {
            let given = request.get_ref();
            let id = id_in(ACCRUALS, &accrual.name)?;
            let edit = |known| edited(id, known, &accrual, given.update_mask.as_ref());
            let missing = given.allow_missing;
            let put = licensing::put_accrual(&mut change, id, &accrual.etag, missing, edit).await?;
            Ok((change, pb::UpdateAccrualResponse { accrual: Some(convert::accrual(put)) }))
        })
        .await
    }
}

fn purchase(request: pb::CreateLicenceRequest) -> Result<Purchase, Error> {
    if !names::is_id(&request.licence_id) {
        let reason = "has 1 to 63 lower-case letters, digits and hyphens, no hyphen first";
        return Err(Error::invalid("licence_id", reason));
    }
    let given = request.licence.unwrap_or_default();
    let accrual = id_in(ACCRUALS, &given.accrual)
        .map_err(|_| Error::invalid("accrual", "must be the name of an accrual"))?;
    let terms = Terms {
        quantity: Some(given.quantity),
        start_time: convert::read_time("start_time", given.start_time)?,
        end_time: Some(convert::read_time("end_time", given.end_time)?),
    };
    Ok(Purchase { id: request.licence_id, accrual: accrual.to_owned(), terms })
}

/// Without a mask, what is given.
fn terms(given: &pb::Licence, mask: Option<&prost_types::FieldMask>) -> Result<Terms, Error> {
    let start_time = convert::read_time("start_time", given.start_time)?;
    let end_time = convert::read_time("end_time", given.end_time)?;
    let Some(mask) = mask.filter(|it| !it.paths.is_empty()) else {
        let quantity = Some(given.quantity).filter(|it| *it != 0);
        return Ok(Terms { quantity, start_time, end_time: end_time.map(Some) });
    };
    let mut terms = Terms::default();
    for path in &mask.paths {
        match path.as_str() {
            "quantity" => terms.quantity = Some(given.quantity),
            "start_time" => {
                let required = || Error::invalid("start_time", "is required");
                terms.start_time = Some(start_time.ok_or_else(required)?);
            }
            "end_time" => terms.end_time = Some(end_time),
            _ => {
                let reason = "may name `quantity`, `start_time` and `end_time`";
                return Err(Error::invalid("update_mask", reason));
            }
        }
    }
    Ok(terms)
}

/// Without a mask, all fields.
fn edited(
    id: &str,
    known: Option<Accrual>,
    given: &pb::Accrual,
    mask: Option<&prost_types::FieldMask>,
) -> Result<Accrual, Error> {
    const ALL: [&str; 6] =
        ["display_name", "kind", "tenant_amounts", "unit_amounts", "permits_setup", "source"];
    let masked: Vec<&str> =
        mask.into_iter().flat_map(|it| it.paths.iter().map(String::as_str)).collect();
    // A new row has nothing that could stay.
    let paths = if masked.is_empty() || known.is_none() { ALL.to_vec() } else { masked };
    let mut row = known.unwrap_or_else(|| Accrual {
        id: id.to_owned(),
        display_name: String::new(),
        kind: ProductKind::PlatformUser,
        tenant_amounts: Amounts::NONE,
        unit_amounts: Amounts::NONE,
        permits_setup: false,
        source: String::new(),
    });
    for path in paths {
        match path {
            "display_name" => row.display_name = text("display_name", &given.display_name)?,
            "kind" => row.kind = convert::read_kind(given.kind)?,
            "tenant_amounts" => {
                row.tenant_amounts =
                    convert::read_amounts("tenant_amounts", &given.tenant_amounts)?;
            }
            "unit_amounts" => {
                row.unit_amounts = convert::read_amounts("unit_amounts", &given.unit_amounts)?;
            }
            "permits_setup" => row.permits_setup = given.permits_setup,
            "source" => row.source = text("source", &given.source)?,
            _ => {
                let reason = format!("may name {}", ALL.join(", "));
                return Err(Error::invalid("update_mask", reason));
            }
        }
    }
    Ok(row)
}

fn text(field: &'static str, given: &str) -> Result<String, Error> {
    if given.len() > LONGEST_TEXT || given.chars().any(|it| it.is_control() && it != '\n') {
        let reason = format!("has at most {LONGEST_TEXT} bytes and no control characters");
        return Err(Error::invalid(field, reason));
    }
    Ok(given.to_owned())
}
