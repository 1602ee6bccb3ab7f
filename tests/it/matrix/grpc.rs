//! The ways in over gRPC.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use gateway::EntryPoint;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::relationship_service_client::RelationshipServiceClient;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use proto::query::v1 as query;
use proto::query::v1::value::Kind;
use proto::user_context::v1 as users;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::{Code, Request, Status};

use super::world::{Prepared, World};
use super::{Actor, Said, tenant};

/// With what becomes of a user behind the answer.
const PATIENCE: Duration = Duration::from_secs(30);
const CUSTOMER: &str = "mserp_custcustomerv3entity";

/// A request with the actor's token and headers.
pub(super) fn as_actor<T>(actor: &Actor, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", format!("Bearer {}", actor.web.token()).parse()?);
    for (name, value) in &actor.headers {
        let name: MetadataKey<_> = name.to_ascii_lowercase().parse()?;
        metadata.insert(name, MetadataValue::try_from(value)?);
    }
    Ok(request)
}

pub(super) async fn perform(world: &World, actor: &Actor, point: EntryPoint) -> Result<Said> {
    let prepared = world.prepare(actor, point).await?;
    try_on(world, actor, point, &prepared).await
}

pub(super) async fn try_on(
    world: &World,
    actor: &Actor,
    point: EntryPoint,
    prepared: &Prepared,
) -> Result<Said> {
    let path = point.grpc_path().context("not gRPC's")?;
    let service = path.split('/').nth(1).unwrap_or_default();
    let answer = match service {
        "tombolo.gateway.v1.GatewayService" => messages(world, actor, point, prepared).await?,
        "tombolo.user_context.v1.DirectoryService" => {
            directory(world, actor, point, prepared).await?
        }
        _ if ["lifecycle", "capacity", "dual_write"]
            .iter()
            .any(|it| path.starts_with(&format!("/tombolo.{it}."))) =>
        {
            return tenant::perform(world, actor, path).await;
        }
        _ => others(world, actor, point, prepared).await?,
    };
    Ok(match answer {
        Ok(()) => Said::Allowed,
        Err(status) => match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => Said::Denied,
            // Not even there for who is no service.
            Code::Unimplemented if is_internal(point) => Said::Denied,
            code => Said::Other(format!("{code:?} {}", status.message())),
        },
    })
}

fn is_internal(point: EntryPoint) -> bool {
    matches!(
        point,
        EntryPoint::GrpcWatchDataEntities
            | EntryPoint::GrpcResolveCaller
            | EntryPoint::GrpcWatchTrust
            | EntryPoint::GrpcCheckPortalUser
            | EntryPoint::GrpcLookupUser
    )
}

type Answer = Result<(), Status>;

async fn messages(
    world: &World,
    actor: &Actor,
    point: EntryPoint,
    prepared: &Prepared,
) -> Result<Answer> {
    let mut client = GatewayServiceClient::new(world.channel().await?);
    let table = CUSTOMER.to_owned();
    let note = || vec![text("mserp_notes", "changed")];
    let new = || {
        vec![
            text("mserp_dataareaid", "USMF"),
            text("mserp_customeraccount", &prepared.name),
            text("mserp_organizationname", "New"),
            text("mserp_customergroupid", "10"),
        ]
    };
    let asked = query::QueryExpression {
        entity_name: table.clone(),
        columns: vec![output("mserp_customeraccount")],
        page: Some(query::Page { size: 1, ..Default::default() }),
        ..Default::default()
    };
    let update = || pb::UpdateRequest {
        table: CUSTOMER.to_owned(),
        key: Some(pb::update_request::Key::Id(prepared.customer.clone())),
        values: note(),
        ..Default::default()
    };
    use EntryPoint as E;
    Ok(match point {
        E::GrpcRetrieve => {
            let request = pb::RetrieveRequest {
                table,
                key: Some(pb::retrieve_request::Key::Id(prepared.visible.clone())),
                columns: vec!["mserp_customeraccount".to_owned()],
            };
            client.retrieve(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcRetrieveMultiple => {
            let request = pb::RetrieveMultipleRequest { query: Some(asked), ..Default::default() };
            match client.retrieve_multiple(as_actor(actor, request)?).await {
                Ok(stream) => stream.into_inner().message().await.map(drop),
                Err(status) => Err(status),
            }
        }
        E::GrpcExplain => {
            let request = pb::ExplainRequest { query: Some(asked) };
            client.explain(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcFetchXmlToQueryExpression => {
            let fetch_xml =
                "<fetch><entity name=\"account\"><attribute name=\"name\"/></entity></fetch>";
            let request = pb::FetchXmlToQueryExpressionRequest { fetch_xml: fetch_xml.to_owned() };
            client.fetch_xml_to_query_expression(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcQueryExpressionToFetchXml => {
            let query = query::QueryExpression {
                entity_name: "account".to_owned(),
                columns: vec![output("name")],
                ..Default::default()
            };
            let request = pb::QueryExpressionToFetchXmlRequest { query: Some(query) };
            client.query_expression_to_fetch_xml(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcCreate => {
            let request = pb::CreateRequest { table, values: new(), ..Default::default() };
            client.create(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcUpdate => client.update(as_actor(actor, update())?).await.map(drop),
        E::GrpcUpsert => {
            let request = pb::UpsertRequest {
                table,
                key: Some(pb::upsert_request::Key::Id(prepared.customer.clone())),
                values: note(),
                ..Default::default()
            };
            client.upsert(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcDelete => {
            let request = pb::DeleteRequest {
                table,
                key: Some(pb::delete_request::Key::Id(prepared.customer.clone())),
                ..Default::default()
            };
            client.delete(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcPerformAction => {
            let action = world.actions.iter().find(|it| it.ends_with("_HoldCustomer"));
            let request = pb::PerformActionRequest {
                action: action.context("no action")?.clone(),
                id: prepared.customer.clone(),
                parameters: vec![text("Reason", "tried")],
                ..Default::default()
            };
            client.perform_action(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcExecuteTransaction => {
            let operation = Some(pb::transaction_operation::Operation::Update(update()));
            let operations = vec![pb::TransactionOperation { operation }];
            let request = pb::ExecuteTransactionRequest { operations, ..Default::default() };
            client.execute_transaction(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcWhoAmI => client.who_am_i(as_actor(actor, pb::WhoAmIRequest {})?).await.map(drop),
        _ => bail!("{} is not performed", point.name()),
    })
}

async fn directory(
    world: &World,
    actor: &Actor,
    point: EntryPoint,
    prepared: &Prepared,
) -> Result<Answer> {
    let mut client = DirectoryServiceClient::new(world.channel().await?);
    let named = |collection: &str| format!("{collection}/{}", prepared.name);
    // What is to be deleted has to be there.
    if matches!(
        point,
        EntryPoint::GrpcDeleteUser
            | EntryPoint::GrpcDeleteRole
            | EntryPoint::GrpcDeleteDuty
            | EntryPoint::GrpcDeletePrivilege
    ) {
        make_entries(world, prepared).await?;
    }
    use EntryPoint as E;
    Ok(match point {
        E::GrpcListUsers => client.list_users(as_actor(actor, Default::default())?).await.map(drop),
        E::GrpcGetUser => {
            let request = users::GetUserRequest { name: "users/admin".to_owned() };
            client.get_user(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcUpdateUser => {
            client.update_user(as_actor(actor, user(named("users")))?).await.map(drop)
        }
        E::GrpcDeleteUser => {
            let request = users::DeleteUserRequest { name: named("users"), allow_missing: false };
            client.delete_user(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcListRoles => client.list_roles(as_actor(actor, Default::default())?).await.map(drop),
        E::GrpcUpdateRole => {
            client.update_role(as_actor(actor, role(named("roles")))?).await.map(drop)
        }
        E::GrpcDeleteRole => {
            let request = users::DeleteRoleRequest { name: named("roles"), allow_missing: false };
            client.delete_role(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcListDuties => {
            client.list_duties(as_actor(actor, Default::default())?).await.map(drop)
        }
        E::GrpcUpdateDuty => {
            client.update_duty(as_actor(actor, duty(named("duties")))?).await.map(drop)
        }
        E::GrpcDeleteDuty => {
            let request = users::DeleteDutyRequest { name: named("duties"), allow_missing: false };
            client.delete_duty(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcListPrivileges => {
            client.list_privileges(as_actor(actor, Default::default())?).await.map(drop)
        }
        E::GrpcUpdatePrivilege => {
            let request = privilege(named("privileges"));
            client.update_privilege(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcDeletePrivilege => {
            let request =
                users::DeletePrivilegeRequest { name: named("privileges"), allow_missing: false };
            client.delete_privilege(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcImportDirectory => {
            let request =
                users::ImportDirectoryRequest { source: "erp".to_owned(), ..Default::default() };
            client.import_directory(as_actor(actor, request)?).await.map(drop)
        }
        _ => bail!("{} is not performed", point.name()),
    })
}

async fn make_entries(world: &World, prepared: &Prepared) -> Result<()> {
    let admin = world.actor(super::Who::SystemAdministrator)?;
    let mut client = DirectoryServiceClient::new(world.channel().await?);
    let named = |collection: &str| format!("{collection}/{}", prepared.name);
    client.update_user(as_actor(admin, user(named("users")))?).await?;
    client.update_role(as_actor(admin, role(named("roles")))?).await?;
    client.update_duty(as_actor(admin, duty(named("duties")))?).await?;
    client.update_privilege(as_actor(admin, privilege(named("privileges")))?).await?;
    // The platform lists the user a little later: so that it is not taken for the next attempt's doing.
    let listed = format!("systemusers?$filter=contains(domainname,'{}')", prepared.name);
    let is_listed = |it: &tests::Answer| it.status == 200 && it.body.contains("systemuserid");
    world.admin.eventually(&listed, PATIENCE, is_listed).await?;
    Ok(())
}

fn user(name: String) -> users::UpdateUserRequest {
    let user = users::User { name, ..Default::default() };
    users::UpdateUserRequest { user: Some(user), update_mask: None, allow_missing: true }
}

fn role(name: String) -> users::UpdateRoleRequest {
    let role = users::Role { name, ..Default::default() };
    users::UpdateRoleRequest { role: Some(role), allow_missing: true }
}

fn duty(name: String) -> users::UpdateDutyRequest {
    let duty = users::Duty { name, ..Default::default() };
    users::UpdateDutyRequest { duty: Some(duty), allow_missing: true }
}

fn privilege(name: String) -> users::UpdatePrivilegeRequest {
    let grant = users::EntityGrant {
        entities: vec!["CurrencyEntity".to_owned()],
        operations: vec![users::Operation::Read.into()],
        ..Default::default()
    };
    let privilege = users::Privilege { name, grants: vec![grant], ..Default::default() };
    users::UpdatePrivilegeRequest { privilege: Some(privilege), allow_missing: true }
}

async fn others(
    world: &World,
    actor: &Actor,
    point: EntryPoint,
    prepared: &Prepared,
) -> Result<Answer> {
    let channel = world.channel().await?;
    let mut entities = CatalogServiceClient::new(channel.clone());
    let mut relationships = RelationshipServiceClient::new(channel.clone());
    let mut callers = UserContextServiceClient::new(channel);
    let entity = || "dataEntities/CurrencyEntity".to_owned();
    use EntryPoint as E;
    Ok(match point {
        E::GrpcListDataEntities => {
            entities.list_data_entities(as_actor(actor, Default::default())?).await.map(drop)
        }
        E::GrpcGetDataEntity => {
            let request = catalog::GetDataEntityRequest { name: entity() };
            entities.get_data_entity(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcUpdateDataEntity => {
            let entry =
                catalog::CatalogEntry { name: entity(), visible: true, ..Default::default() };
            let request = catalog::UpdateDataEntityRequest {
                entry: Some(entry),
                update_mask: Some(prost_types::FieldMask { paths: vec!["visible".to_owned()] }),
            };
            entities.update_data_entity(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcRefreshDataEntity => {
            let request = catalog::RefreshDataEntityRequest { name: entity() };
            entities.refresh_data_entity(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcRefreshModel => entities
            .refresh_model(as_actor(actor, catalog::RefreshModelRequest {})?)
            .await
            .map(drop),
        E::GrpcWatchDataEntities => {
            entities.watch_data_entities(as_actor(actor, Default::default())?).await.map(drop)
        }
        E::GrpcListRelationships => {
            relationships.list_relationships(as_actor(actor, Default::default())?).await.map(drop)
        }
        E::GrpcGetRelationship => {
            declare(world, "MatrixKept", true).await?;
            let request =
                catalog::GetRelationshipRequest { name: "relationships/MatrixKept".into() };
            relationships.get_relationship(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcCreateRelationship => {
            let id = identifier(&prepared.name);
            relationships.create_relationship(as_actor(actor, relationship(&id))?).await.map(drop)
        }
        E::GrpcDeleteRelationship => {
            let id = identifier(&prepared.name);
            declare(world, &id, false).await?;
            let request =
                catalog::DeleteRelationshipRequest { name: format!("relationships/{id}") };
            relationships.delete_relationship(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcResolveCaller => {
            callers.resolve_caller(as_actor(actor, Default::default())?).await.map(drop)
        }
        E::GrpcWatchTrust => {
            callers.watch_trust(as_actor(actor, users::WatchTrustRequest {})?).await.map(drop)
        }
        E::GrpcGetCaller => {
            callers.get_caller(as_actor(actor, users::GetCallerRequest {})?).await.map(drop)
        }
        E::GrpcCheckPortalUser => {
            let request = users::CheckPortalUserRequest { erp_user: "visitor".to_owned() };
            callers.check_portal_user(as_actor(actor, request)?).await.map(drop)
        }
        E::GrpcLookupUser => {
            let request =
                users::LookupUserRequest { user: "users/admin".into(), ..Default::default() };
            callers.lookup_user(as_actor(actor, request)?).await.map(drop)
        }
        _ => bail!("{} is not performed", point.name()),
    })
}

/// Declares a relationship as an administrator; one that is there already may be good enough.
async fn declare(world: &World, id: &str, may_exist: bool) -> Result<()> {
    let admin = world.actor(super::Who::SystemAdministrator)?;
    let mut client = RelationshipServiceClient::new(world.channel().await?);
    match client.create_relationship(as_actor(admin, relationship(id))?).await {
        Err(status) if may_exist && status.code() == Code::AlreadyExists => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}

/// From customers to accounts, by their numbers.
fn relationship(id: &str) -> catalog::CreateRelationshipRequest {
    let relationship = catalog::Relationship {
        source: CUSTOMER.to_owned(),
        target: "account".to_owned(),
        pairs: vec![catalog::RelationshipPair {
            column: "mserp_customeraccount".to_owned(),
            target: "accountnumber".to_owned(),
        }],
        ..Default::default()
    };
    catalog::CreateRelationshipRequest {
        relationship_id: id.to_owned(),
        relationship: Some(relationship),
    }
}

fn identifier(name: &str) -> String {
    name.replace('-', "")
}

fn text(column: &str, value: &str) -> pb::ColumnValue {
    pb::ColumnValue {
        row_of_operation: 0,
        column: column.to_owned(),
        value: Some(query::Value { kind: Some(Kind::StringValue(value.to_owned())) }),
    }
}

fn output(name: &str) -> query::OutputColumn {
    let column = query::column_ref::Column::Field(name.to_owned());
    query::OutputColumn {
        column: Some(query::ColumnRef { column: Some(column), ..Default::default() }),
        ..Default::default()
    }
}
