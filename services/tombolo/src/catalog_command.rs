//! `tombolo catalog`: the administrator's view of what is visible, by gRPC like everybody else's.

mod relationship;

use std::io::Write as _;

use anyhow::Result;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::relationship_service_client::RelationshipServiceClient;
use proto::catalog::v1::{
    CatalogEntry, ListDataEntitiesRequest, RefreshDataEntityRequest, RefreshModelRequest,
    UpdateDataEntityRequest,
};

use crate::cli::{CatalogArgs, CatalogCommand};
use crate::client::{self, Access, PAGE_SIZE, explain};

type Client = CatalogServiceClient<Access>;

pub(crate) async fn run(args: CatalogArgs) -> Result<()> {
    let access = client::connect(&args.server).await?;
    let mut client = CatalogServiceClient::new(access.clone());
    match args.command {
        CatalogCommand::Relationship(command) => {
            relationship::run(RelationshipServiceClient::new(access), command).await
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
