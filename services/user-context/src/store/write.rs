//! Plain values as rows: those that differ, a table at a time.

use std::sync::Arc;
use std::time::Duration;

use rpc::Companies;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::content::{Content, Entry, Source, Table, User, key};

type Result = std::result::Result<(), sqlx::Error>;

/// The statements of a table of entries.
struct Entries {
    upsert: &'static str,
    delete: &'static str,
}

/// The statements of a table that joins two.
struct Links {
    delete: &'static str,
    insert: &'static str,
}

/// What the four kinds have in common, as a row.
#[derive(Serialize)]
struct Named<'a> {
    key: String,
    name: &'a str,
    display_name: &'a str,
    source: Source,
}

const PRIVILEGES: Entries = Entries {
    upsert: "INSERT INTO privilege (key, name, display_name, source, grants)
        SELECT key, name, display_name, source, grants FROM jsonb_to_recordset($1::jsonb)
            AS given (key text, name text, display_name text, source text, grants jsonb)
        ON CONFLICT (key) DO UPDATE SET name = excluded.name,
            display_name = excluded.display_name, source = excluded.source,
            grants = excluded.grants",
    delete: "DELETE FROM privilege WHERE key = ANY ($1)",
};

const DUTIES: Entries = Entries {
    upsert: "INSERT INTO duty (key, name, display_name, source)
        SELECT key, name, display_name, source FROM jsonb_to_recordset($1::jsonb)
            AS given (key text, name text, display_name text, source text)
        ON CONFLICT (key) DO UPDATE SET name = excluded.name,
            display_name = excluded.display_name, source = excluded.source",
    delete: "DELETE FROM duty WHERE key = ANY ($1)",
};

const ROLES: Entries = Entries {
    upsert: "INSERT INTO role (key, name, display_name, source)
        SELECT key, name, display_name, source FROM jsonb_to_recordset($1::jsonb)
            AS given (key text, name text, display_name text, source text)
        ON CONFLICT (key) DO UPDATE SET name = excluded.name,
            display_name = excluded.display_name, source = excluded.source",
    delete: "DELETE FROM role WHERE key = ANY ($1)",
};

const USERS: Entries = Entries {
    upsert: "INSERT INTO directory_user (key, name, display_name, system_user_id, object_id,
            erp_user, companies, application_id, disabled, locked, acts_on_behalf,
            serves_portal, time_zone, language, source)
        SELECT key, name, display_name, system_user_id, object_id, erp_user, companies,
            application_id, disabled, locked, acts_on_behalf, serves_portal, time_zone, language,
            source
        FROM jsonb_to_recordset($1::jsonb) AS given (key text, name text, display_name text,
            system_user_id uuid, object_id uuid, erp_user text, companies text[],
            application_id text, disabled boolean, locked boolean, acts_on_behalf boolean,
            serves_portal boolean, time_zone text, language integer, source text)
        ON CONFLICT (key) DO UPDATE SET name = excluded.name,
            display_name = excluded.display_name, object_id = excluded.object_id,
            erp_user = excluded.erp_user, companies = excluded.companies,
            application_id = excluded.application_id, disabled = excluded.disabled,
            locked = excluded.locked,
            acts_on_behalf = excluded.acts_on_behalf, serves_portal = excluded.serves_portal,
            time_zone = excluded.time_zone, language = excluded.language,
            source = excluded.source",
    delete: "DELETE FROM directory_user WHERE key = ANY ($1)",
};

const DUTY_PRIVILEGES: Links = Links {
    delete: "DELETE FROM duty_privilege WHERE duty_key = ANY ($1)",
    insert: "INSERT INTO duty_privilege (duty_key, privilege_key)
        SELECT * FROM unnest($1::text[], $2::text[])",
};

const ROLE_DUTIES: Links = Links {
    delete: "DELETE FROM role_duty WHERE role_key = ANY ($1)",
    insert: "INSERT INTO role_duty (role_key, duty_key)
        SELECT * FROM unnest($1::text[], $2::text[])",
};

const ROLE_PRIVILEGES: Links = Links {
    delete: "DELETE FROM role_privilege WHERE role_key = ANY ($1)",
    insert: "INSERT INTO role_privilege (role_key, privilege_key)
        SELECT * FROM unnest($1::text[], $2::text[])",
};

const USER_ROLES: Links = Links {
    delete: "DELETE FROM user_role WHERE user_key = ANY ($1)",
    insert: "INSERT INTO user_role (user_key, role_key)
        SELECT * FROM unnest($1::text[], $2::text[])",
};

/// Those named come before those who name them, and go after them.
pub(super) async fn differences(
    transaction: &mut Transaction<'_, Postgres>,
    before: &Content,
    after: &Content,
) -> Result {
    let privileges = changed(&before.privileges, &after.privileges);
    let duties = changed(&before.duties, &after.duties);
    let roles = changed(&before.roles, &after.roles);
    let users = changed(&before.users, &after.users);
    delete(transaction, &USERS, &gone(&before.users, &after.users)).await?;
    let row = |it: &crate::content::Privilege| {
        let mut row = named(it, &it.display_name);
        add(&mut row, json!({ "grants": it.grants }));
        row
    };
    upsert(transaction, &PRIVILEGES, privileges.iter().map(|it| row(it))).await?;
    upsert(transaction, &DUTIES, duties.iter().map(|it| named(&***it, &it.display_name))).await?;
    upsert(transaction, &ROLES, roles.iter().map(|it| named(&***it, &it.display_name))).await?;
    upsert(transaction, &USERS, users.iter().map(|it| user(it))).await?;
    link(transaction, &DUTY_PRIVILEGES, &duties, |it| &it.privileges).await?;
    link(transaction, &ROLE_DUTIES, &roles, |it| &it.duties).await?;
    link(transaction, &ROLE_PRIVILEGES, &roles, |it| &it.privileges).await?;
    link(transaction, &USER_ROLES, &users, |it| &it.roles).await?;
    delete(transaction, &ROLES, &gone(&before.roles, &after.roles)).await?;
    delete(transaction, &DUTIES, &gone(&before.duties, &after.duties)).await?;
    delete(transaction, &PRIVILEGES, &gone(&before.privileges, &after.privileges)).await
}

/// Also forgets those that are older than any assertion.
pub(super) async fn revocations(
    transaction: &mut Transaction<'_, Postgres>,
    revoked: &[Uuid],
    remembered: Duration,
) -> Result {
    sqlx::query("DELETE FROM revocation WHERE revoked_at < now() - make_interval(secs => $1)")
        .bind(remembered.as_secs_f64())
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "INSERT INTO revocation (system_user_id, revision)
         SELECT id, number FROM unnest($1::uuid[]) AS id, revision
         ON CONFLICT (system_user_id)
             DO UPDATE SET revision = excluded.revision, revoked_at = now()",
    )
    .bind(revoked)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn changed<'c, T: PartialEq>(before: &Table<T>, after: &'c Table<T>) -> Vec<&'c Arc<T>> {
    after.iter().filter(|(key, it)| before.get(*key) != Some(it)).map(|(_, it)| it).collect()
}

fn gone<T>(before: &Table<T>, after: &Table<T>) -> Vec<String> {
    before.keys().filter(|it| !after.contains_key(*it)).cloned().collect()
}

async fn delete(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &Entries,
    keys: &[String],
) -> Result {
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(entries.delete).bind(keys).execute(&mut **transaction).await?;
    Ok(())
}

async fn upsert(
    transaction: &mut Transaction<'_, Postgres>,
    entries: &Entries,
    rows: impl Iterator<Item = Value>,
) -> Result {
    let rows: Vec<Value> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    let rows = Value::Array(rows).to_string();
    sqlx::query(entries.upsert).bind(rows).execute(&mut **transaction).await?;
    Ok(())
}

async fn link<T: Entry>(
    transaction: &mut Transaction<'_, Postgres>,
    links: &Links,
    owners: &[&Arc<T>],
    members: impl Fn(&T) -> &[String],
) -> Result {
    if owners.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = owners.iter().map(|it| key(it.name())).collect();
    sqlx::query(links.delete).bind(&keys).execute(&mut **transaction).await?;
    let pairs = owners
        .iter()
        .flat_map(|owner| members(owner).iter().map(|it| (key(owner.name()), key(it))));
    let (owners, members): (Vec<String>, Vec<String>) = pairs.unzip();
    sqlx::query(links.insert).bind(owners).bind(members).execute(&mut **transaction).await?;
    Ok(())
}

fn named<T: Entry>(entry: &T, display_name: &str) -> Value {
    json!(Named {
        key: key(entry.name()),
        name: entry.name(),
        display_name,
        source: entry.source(),
    })
}

fn user(user: &User) -> Value {
    let mut row = named(user, &user.display_name);
    let every = [String::from("*")];
    let companies = match &user.companies {
        Companies::All => every.as_slice(),
        Companies::Only(codes) => codes,
    };
    let more = json!({
        "system_user_id": user.system_user_id,
        "object_id": user.object_id,
        "erp_user": user.erp_user,
        "companies": companies,
        "application_id": user.application_id.as_deref().unwrap_or_default(),
        "disabled": user.disabled,
        "locked": user.locked,
        "acts_on_behalf": user.acts_on_behalf,
        "serves_portal": user.serves_portal,
        "time_zone": user.time_zone,
        "language": user.language,
    });
    add(&mut row, more);
    row
}

fn add(row: &mut Value, more: Value) {
    if let (Value::Object(row), Value::Object(more)) = (row, more) {
        row.extend(more);
    }
}
