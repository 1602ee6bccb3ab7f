//! Which licences a user holds, for other services.

use proto::capacity::v1 as pb;
use proto::capacity::v1::user_licence_service_server::UserLicenceService;
use tonic::{Request, Response, Status};

use super::{Service, convert};
use crate::names;
use crate::page_token::Page;
use crate::store::accruals;

#[tonic::async_trait]
impl UserLicenceService for Service {
    async fn list_user_licences(
        &self,
        request: Request<pb::ListUserLicencesRequest>,
    ) -> Result<Response<pb::ListUserLicencesResponse>, Status> {
        let request = request.into_inner();
        let page = Page::<String>::read("user-licences", request.page_size, &request.page_token)?;
        let mut read = self.state.store.read().await?;
        let user = names::user_in(&request.user).map(names::user_key);
        let held = match (request.user.as_str(), &user) {
            ("", _) | (_, Some(_)) => accruals::held(&mut read, user.as_deref()).await?,
            // What cannot be a user holds none.
            (_, None) => Vec::new(),
        };
        let (held, next_page_token) = page.of_all(held, |it| it.accrual.id.clone());
        let ids: Vec<String> = held.iter().map(|it| it.accrual.id.clone()).collect();
        let quantities = accruals::quantities(&mut read, user.as_deref(), &ids).await?;
        let accruals = held.into_iter().map(convert::accrual).collect();
        Ok(Response::new(pb::ListUserLicencesResponse { accruals, next_page_token, quantities }))
    }
}
