//! `tombolo catalog relationship`: relationships between virtual and native tables.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use proto::catalog::v1::relationship_service_client::RelationshipServiceClient;
use proto::catalog::v1::{
    CreateRelationshipRequest, DeleteRelationshipRequest, ListRelationshipsRequest, Relationship,
    RelationshipPair,
};

use crate::cli::RelationshipCommand;
use crate::client::{Access, PAGE_SIZE, explain};

type Client = RelationshipServiceClient<Access>;

pub(super) async fn run(mut client: Client, command: RelationshipCommand) -> Result<()> {
    match command {
        RelationshipCommand::Add { id, from, to, pairs, label } => {
            let relationship = Relationship {
                source: from,
                target: to,
                pairs: pairs.iter().map(|it| pair(it)).collect::<Result<_>>()?,
                display_name: label.unwrap_or_default(),
                ..Relationship::default()
            };
            add(&mut client, id, relationship).await
        }
        RelationshipCommand::List => list(&mut client).await,
        RelationshipCommand::Remove { id } => {
            let request = DeleteRelationshipRequest { name: format!("relationships/{id}") };
            client.delete_relationship(request).await.map_err(explain)?;
            writeln!(std::io::stdout(), "{id} is removed")?;
            Ok(())
        }
    }
}

async fn add(client: &mut Client, id: String, relationship: Relationship) -> Result<()> {
    let request =
        CreateRelationshipRequest { relationship_id: id, relationship: Some(relationship) };
    let answer = client.create_relationship(request).await.map_err(explain)?.into_inner();
    let schema_name = answer.relationship.unwrap_or_default().schema_name;
    writeln!(std::io::stdout(), "{schema_name} is declared")?;
    Ok(())
}

async fn list(client: &mut Client) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut page_token = String::new();
    loop {
        let request = ListRelationshipsRequest { page_size: PAGE_SIZE, page_token };
        let page = client.list_relationships(request).await.map_err(explain)?.into_inner();
        for it in page.relationships {
            let id = it.name.strip_prefix("relationships/").unwrap_or(&it.name);
            let pairs = it.pairs.iter().map(|it| format!("{}={}", it.column, it.target));
            let pairs = pairs.collect::<Vec<_>>().join(" ");
            writeln!(out, "{id:<24} {} -> {} on {pairs}", it.source, it.target)?;
        }
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        page_token = page.next_page_token;
    }
}

fn pair(text: &str) -> Result<RelationshipPair> {
    let (column, target) =
        text.split_once('=').with_context(|| format!("`{text}` is not COLUMN=COLUMN"))?;
    Ok(RelationshipPair { column: column.trim().to_owned(), target: target.trim().to_owned() })
}
