//! The ERP's own users and rights, read by the queries of a model's `security.toml`: what they say
//! becomes a directory of the source `erp`.
//!
//! Start with [`read`]; `rows` is what each query selects, `rights` what becomes of the grants.

mod rights;
mod rows;

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use model::{DirectoryQueries, Model};
use proto::user_context::v1::{ImportDirectoryRequest, Privilege, Role, User};
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use rights::Rights;
use rows::{FieldGrantRow, GrantRow, RoleRow, UserCompanyRow, UserRoleRow, UserRow};

/// The source's name in the directory.
const SOURCE: &str = "erp";
/// Nothing is written, and all queries see the same moment.
const BEGIN: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s'";

/// What the ERP says.
#[derive(Debug)]
pub(crate) struct ErpDirectory {
    pub(crate) request: ImportDirectoryRequest,
    /// Grants of tables that no entity of the model is of.
    pub(crate) left_out: usize,
}

/// What the queries select.
#[derive(Debug, Default)]
struct Rows {
    users: Vec<UserRow>,
    roles: Vec<RoleRow>,
    user_roles: Vec<UserRoleRow>,
    user_companies: Vec<UserCompanyRow>,
    grants: Vec<GrantRow>,
    field_grants: Vec<FieldGrantRow>,
}

/// Reads the directory of the ERP behind `url`.
pub(crate) async fn read(
    url: &str,
    model: &Model,
    queries: &DirectoryQueries,
) -> Result<ErpDirectory> {
    let connected = PgConnection::connect(url).await;
    let mut connection = connected.context("the ERP's database does not answer")?;
    sqlx::raw_sql(BEGIN).execute(&mut connection).await?;
    let rows = Rows {
        users: select(&mut connection, "users", Some(&queries.users)).await?,
        roles: select(&mut connection, "roles", queries.roles.as_deref()).await?,
        user_roles: select(&mut connection, "user_roles", queries.user_roles.as_deref()).await?,
        user_companies: select(
            &mut connection,
            "user_companies",
            queries.user_companies.as_deref(),
        )
        .await?,
        grants: select(&mut connection, "grants", queries.grants.as_deref()).await?,
        field_grants: select(&mut connection, "field_grants", queries.field_grants.as_deref())
            .await?,
    };
    connection.close().await?;
    directory(rows, model)
}

/// The rows of a query, each as JSON: so that a column which is missing, of another type, or not
/// known is told by its name.
async fn select<T: DeserializeOwned>(
    connection: &mut PgConnection,
    name: &str,
    query: Option<&str>,
) -> Result<Vec<T>> {
    let Some(query) = query else { return Ok(Vec::new()) };
    let query = query.trim().trim_end_matches(';');
    // The model's author wrote it, as the statements of its actions.
    let sql = AssertSqlSafe(format!(
        "SELECT to_jsonb(row_of_query)::text FROM (\n{query}\n) AS row_of_query"
    ));
    let selected: Result<Vec<String>, _> = sqlx::query_scalar(sql).fetch_all(connection).await;
    let rows = selected.with_context(|| format!("the query `{name}` of [import]"))?;
    let parse = |row: String| {
        serde_json::from_str(&row).with_context(|| format!("the query `{name}` of [import]"))
    };
    rows.into_iter().map(parse).collect()
}

fn directory(rows: Rows, model: &Model) -> Result<ErpDirectory> {
    let mut rights = Rights::new(model);
    for row in &rows.grants {
        rights.grant(row)?;
    }
    for row in &rows.field_grants {
        rights.restrict(row)?;
    }
    let left_out = rights.left_out();
    let privileges: Vec<Privilege> = rights.into_privileges();
    let roles = roles(rows.roles, &privileges)?;
    let users = users(rows.users, rows.user_roles, rows.user_companies)?;
    let request = ImportDirectoryRequest {
        source: SOURCE.to_owned(),
        users,
        roles,
        duties: Vec::new(),
        privileges,
    };
    Ok(ErpDirectory { request, left_out })
}

/// The roles with their privileges; every privilege is one role's.
fn roles(rows: Vec<RoleRow>, privileges: &[Privilege]) -> Result<Vec<Role>> {
    let roles: Vec<_> = rows
        .into_iter()
        .map(|it| {
            let privilege = rights::privilege_of(&it.role);
            let resource = format!("privileges/{privilege}");
            let is_there = privileges.iter().any(|it| it.name == resource);
            Role {
                name: format!("roles/{}", it.role),
                display_name: it.label.unwrap_or(it.role),
                privileges: is_there.then_some(privilege).into_iter().collect(),
                ..Role::default()
            }
        })
        .collect();
    for privilege in privileges {
        let has_role = |it: &Role| {
            it.privileges
                .iter()
                .any(|name| privilege.name.strip_prefix("privileges/") == Some(name))
        };
        ensure!(
            roles.iter().any(has_role),
            "the query `grants` of [import] has a role that the query `roles` has not: {}",
            privilege.display_name
        );
    }
    Ok(roles)
}

fn users(
    rows: Vec<UserRow>,
    roles: Vec<UserRoleRow>,
    companies: Vec<UserCompanyRow>,
) -> Result<Vec<User>> {
    let mut users: Vec<User> = rows.into_iter().map(Into::into).collect();
    let mut places = HashMap::new();
    for (place, user) in users.iter().enumerate() {
        if places.insert(user.erp_user.clone(), place).is_some() {
            bail!("the query `users` of [import] has the user `{}` twice", user.erp_user);
        }
    }
    let find = |erp_user: &str, query: &str| -> Result<usize> {
        places.get(erp_user).copied().with_context(|| {
            format!("the query `{query}` of [import] has a user that `users` has not: `{erp_user}`")
        })
    };
    for UserRoleRow { erp_user, role } in roles {
        let place = find(&erp_user, "user_roles")?;
        add(users.get_mut(place).map(|it| &mut it.roles), role);
    }
    for UserCompanyRow { erp_user, company } in companies {
        let place = find(&erp_user, "user_companies")?;
        add(users.get_mut(place).map(|it| &mut it.companies), company);
    }
    Ok(users)
}

fn add(names: Option<&mut Vec<String>>, name: String) {
    if let Some(names) = names.filter(|it| !it.contains(&name)) {
        names.push(name);
    }
}

#[cfg(test)]
mod tests;
