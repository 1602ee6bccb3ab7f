//! `tombolo catalog`: the administrator's view of what is visible, by gRPC like everybody else's.

mod relationship;

use std::io::Write as _;

use anyhow::{Context as _, Result};
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::relationship_service_client::RelationshipServiceClient;
use proto::catalog::v1::{
    CatalogEntry, ListDataEntitiesRequest, RefreshDataEntityRequest, RefreshModelRequest,
    UpdateDataEntityRequest,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::cli::{CatalogArgs, CatalogCommand};
use crate::token;

const PAGE_SIZE: i32 = 1_000;

type Client = CatalogServiceClient<InterceptedService<Channel, Bearer>>;

#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(crate) async fn run(args: CatalogArgs) -> Result<()> {
    let token = token::mint(&args.data, &args.user)?;
    let bearer = Bearer(format!("Bearer {token}").parse().context("the token is no header")?);
    let endpoint = Endpoint::from_shared(args.server.clone())?;
    let channel = endpoint.connect().await.with_context(|| {
        format!("nothing answers at {}; is `tombolo dev` running there?", args.server)
    })?;
    let mut client = CatalogServiceClient::with_interceptor(channel.clone(), bearer.clone());
    match args.command {
        CatalogCommand::Relationship(command) => {
            relationship::run(RelationshipServiceClient::with_interceptor(channel, bearer), command)
                .await
        }
        CatalogCommand::List => list(&mut client).await,
        CatalogCommand::Show { entity } => set_visible(&mut client, &entity, true).await,
        CatalogCommand::Hide { entity } => set_visible(&mut client, &entity, false).await,
        CatalogCommand::Refresh { entity: Some(entity) } => refresh(&mut client, &entity).await,
        CatalogCommand::Refresh { entity: None } => refresh_model(&mut client).await,
    }
}

async fn list(client: &mut Client) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut page_token = String::new();
    writeln!(out, "{:<8} {:<44} ENTITY SET", "VISIBLE", "DATA ENTITY")?;
    loop {
        let request = ListDataEntitiesRequest { page_size: PAGE_SIZE, page_token, visible: None };
        let page = client.list_data_entities(request).await.map_err(explain)?.into_inner();
        for entry in page.entries {
            let visible = if entry.visible { "yes" } else { "no" };
            let name = entry.name.strip_prefix("dataEntities/").unwrap_or(&entry.name);
            writeln!(out, "{visible:<8} {name:<44} {}", entry.entity_set_name)?;
        }
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        page_token = page.next_page_token;
    }
}

async fn set_visible(client: &mut Client, entity: &str, visible: bool) -> Result<()> {
    let entry = CatalogEntry { name: resource_name(entity), visible, ..CatalogEntry::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["visible".to_owned()] });
    let request = UpdateDataEntityRequest { entry: Some(entry), update_mask };
    let answer = client.update_data_entity(request).await.map_err(explain)?.into_inner();
    let state = if visible { "visible" } else { "hidden" };
    say(&answer.entry.unwrap_or_default(), state)
}

async fn refresh(client: &mut Client, entity: &str) -> Result<()> {
    let request = RefreshDataEntityRequest { name: resource_name(entity) };
    let answer = client.refresh_data_entity(request).await.map_err(explain)?.into_inner();
    say(&answer.entry.unwrap_or_default(), "refreshed")
}

async fn refresh_model(client: &mut Client) -> Result<()> {
    let answer = client.refresh_model(RefreshModelRequest {}).await.map_err(explain)?.into_inner();
    let count = answer.data_entity_count;
    writeln!(std::io::stdout(), "{count} data entities, revision {}", answer.revision)?;
    Ok(())
}

fn say(entry: &CatalogEntry, state: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{} is {state}", entry.logical_name)?;
    Ok(())
}

fn resource_name(entity: &str) -> String {
    format!("dataEntities/{entity}")
}

fn explain(status: Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
