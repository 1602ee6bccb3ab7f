//! What roles let be read.

use rpc::RoleDefinitions;

use super::Store;

impl Store {
    /// Keeps exactly this; what is there already is left alone.
    pub(crate) async fn put_readers(&self, roles: &RoleDefinitions) -> Result<(), sqlx::Error> {
        let (mut names, mut tables) = (Vec::new(), Vec::new());
        for (role, table) in roles.readers() {
            names.push(role);
            tables.push(table);
        }
        sqlx::query(
            "WITH given AS (
                 SELECT * FROM unnest($1::text[], $2::text[]) AS given (role, entity)
             ), gone AS (
                 DELETE FROM role_read AS old WHERE NOT EXISTS (
                     SELECT FROM given WHERE (given.role, given.entity) = (old.role, old.entity))
             )
             INSERT INTO role_read (role, entity)
             SELECT role, entity FROM given
             WHERE NOT EXISTS (
                 SELECT FROM role_read AS old WHERE (given.role, given.entity) = (old.role, old.entity))
             ORDER BY role, entity
             ON CONFLICT DO NOTHING",
        )
        .bind(names)
        .bind(tables)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
