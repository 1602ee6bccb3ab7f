//! The organization itself, and the imports that keep its users and companies up to date.

use std::collections::HashSet;

use proto::organization::v1 as pb;
use proto::organization::v1::organization_service_server::OrganizationService;
use proto::query::v1::{FiscalCalendar, FiscalPeriodType};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::error::Error;
use crate::store::{Company, Store, User};

/// Serves `OrganizationService`.
#[derive(Debug)]
pub(crate) struct Directory {
    store: Store,
}

impl Directory {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl OrganizationService for Directory {
    async fn import_companies(
        &self,
        request: Request<pb::ImportCompaniesRequest>,
    ) -> Result<Response<pb::ImportCompaniesResponse>, Status> {
        let companies = companies(request.into_inner().companies)?;
        let imported = self.store.import_companies(&companies).await.map_err(Error::from)?;
        Ok(Response::new(pb::ImportCompaniesResponse {
            created_count: imported.created,
            updated_count: imported.updated,
        }))
    }

    async fn import_users(
        &self,
        request: Request<pb::ImportUsersRequest>,
    ) -> Result<Response<pb::ImportUsersResponse>, Status> {
        let users = users(request.into_inner().users)?;
        let imported = self.store.import_users(&users).await.map_err(Error::from)?;
        Ok(Response::new(pb::ImportUsersResponse {
            created_count: imported.created,
            updated_count: imported.updated,
        }))
    }

    async fn get_organization(
        &self,
        _request: Request<pb::GetOrganizationRequest>,
    ) -> Result<Response<pb::GetOrganizationResponse>, Status> {
        let facts = self.store.facts().await.map_err(Error::from)?;
        Ok(Response::new(pb::GetOrganizationResponse {
            organization_id: facts.organization_id.to_string(),
            business_unit_id: facts.business_unit_id.to_string(),
            display_name: facts.name,
            week_start_day: facts.week_start,
            fiscal_calendar: Some(FiscalCalendar {
                start_month: facts.fiscal_month,
                start_day: facts.fiscal_day,
                period_type: period_type(facts.fiscal_period_type).into(),
            }),
        }))
    }

    async fn install_sample_data(
        &self,
        _request: Request<pb::InstallSampleDataRequest>,
    ) -> Result<Response<pb::InstallSampleDataResponse>, Status> {
        self.store.install_sample_data().await.map_err(Error::from)?;
        Ok(Response::new(pb::InstallSampleDataResponse {}))
    }
}

fn period_type(stored: i32) -> FiscalPeriodType {
    match stored {
        2000 => FiscalPeriodType::Annually,
        2001 => FiscalPeriodType::Semiannually,
        2003 => FiscalPeriodType::Monthly,
        // The table admits one more, 2002.
        _ => FiscalPeriodType::Quarterly,
    }
}

fn companies(companies: Vec<pb::Company>) -> Result<Vec<Company>, Error> {
    let mut codes = HashSet::new();
    let company = |it: pb::Company| {
        check_name("code", it.code.trim())?;
        check_text("display_name", &it.display_name)?;
        if !codes.insert(it.code.to_uppercase()) {
            return Err(Error::InvalidValue { field: "code", reason: "stands there twice" });
        }
        Ok(Company { code: it.code, name: it.display_name })
    };
    companies.into_iter().map(company).collect()
}

fn users(users: Vec<pb::SystemUser>) -> Result<Vec<User>, Error> {
    let mut ids = HashSet::new();
    let guid = |field, text: &str| {
        Uuid::parse_str(text).map_err(|_| Error::InvalidValue { field, reason: "is no GUID" })
    };
    let user = |it: pb::SystemUser| {
        let id = guid("system_user_id", &it.system_user_id)?;
        if !ids.insert(id) {
            let reason = "stands there twice";
            return Err(Error::InvalidValue { field: "system_user_id", reason });
        }
        check_name("domain_name", &it.domain_name)?;
        check_text("full_name", &it.full_name)?;
        let object_id = guid("object_id", &it.object_id)?;
        let application_id = match it.application_id.as_str() {
            "" => None,
            given => Some(guid("application_id", given)?),
        };
        let (domain_name, full_name) = (it.domain_name, it.full_name);
        Ok(User { id, object_id, domain_name, full_name, application_id })
    };
    users.into_iter().map(user).collect()
}

pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), Error> {
    match name.is_empty() {
        true => Err(Error::InvalidValue { field, reason: "is empty" }),
        false => check_text(field, name),
    }
}

/// PostgreSQL's text holds every character but one.
pub(super) fn check_text(field: &'static str, text: &str) -> Result<(), Error> {
    match text.contains('\0') {
        true => Err(Error::InvalidValue { field, reason: "holds a NUL character" }),
        false => Ok(()),
    }
}
