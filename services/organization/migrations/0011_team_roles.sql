-- Roles of teams, and what a team needs to own rows of tables that dual-write has maps of.

-- Roles are named as user-context knows them; they have no rows here. A name that nobody defined grants nothing.
CREATE TABLE tombolo_teamrole (
    tombolo_teamroleid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tombolo_name text NOT NULL CHECK (btrim(tombolo_name) <> ''),
    tombolo_teamid uuid NOT NULL REFERENCES team ON DELETE CASCADE,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
-- Told apart without regard to the case of ASCII letters, whatever the database's language.
CREATE UNIQUE INDEX tombolo_teamrole_role ON tombolo_teamrole (tombolo_teamid, lower(tombolo_name COLLATE "C"));
CREATE TRIGGER stamp_row BEFORE UPDATE ON tombolo_teamrole
    FOR EACH ROW EXECUTE FUNCTION organization.stamp_row();

-- Which roles let rows of which tables be read, `*` being all of them: a copy of what user-context says, which the
-- service keeps. Roles in lower case.
CREATE TABLE role_read (
    role text,
    entity text,
    PRIMARY KEY (role, entity)
);
INSERT INTO role_read (role, entity) VALUES
    ('finance and operations basic user', '*'),
    ('dual-write app user', 'cdm_company'),
    ('dual-write app user', 'transactioncurrency');

-- What a team owns rows with: the roles of dual-write, and one that reads every table.
CREATE FUNCTION equip_team(team uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO organization.tombolo_teamrole (tombolo_teamid, tombolo_name)
    VALUES (team, 'Dual-write runtime user'), (team, 'Dual-write app user'),
           (team, 'Finance and Operations Basic User')
    ON CONFLICT DO NOTHING
$$;
-- No team was asked for roles before, the root business unit's own among them.
SELECT organization.equip_team(teamid) FROM team;

CREATE OR REPLACE FUNCTION own_company() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    team_name CONSTANT text := NEW.cdm_companycode || ' Dual Write';
    made uuid;
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- An insert that becomes an update, of a company that has one.
        IF EXISTS (SELECT FROM organization.cdm_company WHERE cdm_companyid = NEW.cdm_companyid) THEN
            RETURN NEW;
        END IF;
    ELSIF OLD.cdm_defaultowningteam IS NOT NULL AND OLD.cdm_isenabledfordualwrite THEN
        RAISE EXCEPTION 'The default owning team of company % can be changed, but not cleared while the company is enabled for dual-write.',
            OLD.cdm_companycode;
    END IF;
    INSERT INTO organization.businessunit (name) VALUES (NEW.cdm_companycode) ON CONFLICT (name) DO NOTHING;
    INSERT INTO organization.team (name, businessunitid)
    SELECT team_name, businessunitid FROM organization.businessunit WHERE name = NEW.cdm_companycode
    ON CONFLICT (name) DO NOTHING
    RETURNING teamid INTO made;
    -- Roles that somebody took from a team stay taken.
    IF made IS NOT NULL THEN
        PERFORM organization.equip_team(made);
    END IF;
    NEW.cdm_defaultowningteam := (SELECT teamid FROM organization.team WHERE name = team_name);
    RETURN NEW;
END
$$;

-- A name-based GUID (version 5).
CREATE FUNCTION name_id(namespace bytea, name text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    id bytea := substring(organization.sha1(namespace || convert_to(name, 'UTF8')) FROM 1 FOR 16);
BEGIN
    id := set_byte(id, 6, (get_byte(id, 6) & 15) | 80);
    id := set_byte(id, 8, (get_byte(id, 8) & 63) | 128);
    RETURN encode(id, 'hex')::uuid;
END
$$;

CREATE OR REPLACE FUNCTION company_id(code text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT organization.name_id('\x6f1d2f0c52a44a0e9c3b7f0a54b1c0de', upper(code))
$$;

-- The two numbers by which errors name a privilege, as the definitions of tables tell them: `PrivilegeId` of reading,
-- and `ObjectTypeCode`.
CREATE FUNCTION read_privilege_id(entity text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT organization.name_id('\x9a3b7d1052c45e0f8a613c5d90b271e4', 'privilege/' || entity || '/Read')
$$;
CREATE FUNCTION type_code(entity text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE entity
        WHEN 'account' THEN 1
        WHEN 'contact' THEN 2
        ELSE 10000 + ('x' || left(encode(sha256(convert_to(entity, 'UTF8')), 'hex'), 8))::bit(32)::bigint % 300
    END
$$;

-- What a team lacks to own rows of a table: a role that every such team holds, and what that role is there to read;
-- or, without a role's name, any that reads the table.
CREATE FUNCTION team_lacks(team uuid, entity text, OUT rolename text, OUT unread text)
RETURNS SETOF record STABLE LANGUAGE sql AS $$
    SELECT needed.rolename, needed.unread
    FROM (VALUES (1, 'Dual-write runtime user', 'msdyn_dualwriteruntimeconfig'),
                 (2, 'Dual-write app user', 'cdm_company'),
                 (3, NULL, entity)) AS needed (place, rolename, unread)
    WHERE NOT EXISTS (
        SELECT FROM organization.tombolo_teamrole AS held
        WHERE held.tombolo_teamid = team
          AND (lower(held.tombolo_name COLLATE "C")
                   IN ('system administrator', lower(needed.rolename COLLATE "C"))
               OR needed.rolename IS NULL AND EXISTS (
                   SELECT FROM organization.role_read AS granted
                   WHERE granted.role = lower(held.tombolo_name COLLATE "C")
                     AND granted.entity IN ('*', needed.unread))))
    ORDER BY needed.place
$$;

-- Whether dual-write has a map of the table that runs or is paused. Whoever writes need not see its configuration,
-- which is not there as long as nothing captures changes, and names tables with quotes.
CREATE FUNCTION is_mapped(entity text) RETURNS boolean STABLE LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass('tombolo.dual_write_map') IS NULL THEN
        RETURN false;
    END IF;
    RETURN EXISTS (
        SELECT FROM tombolo.dual_write_map WHERE '"organization"."' || entity || '"' = ANY (relations));
END
$$;

-- Refuses to make a team the owner of rows of a mapped table that it may not own.
CREATE FUNCTION check_owner(team uuid, entity text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lacking record;
BEGIN
    SELECT * INTO lacking FROM organization.team_lacks(team, entity) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Unable to write data to table %. Principal team (Id=%, type=9, roleCount=%), is missing prvRead% privilege (Id=%) on OTC=%. %',
            entity, team,
            (SELECT count(*) FROM organization.tombolo_teamrole WHERE tombolo_teamid = team),
            lacking.unread, organization.read_privilege_id(lacking.unread), organization.type_code(lacking.unread),
            coalesce('Give the team the role ' || lacking.rolename || '.',
                     'Give the team a role that reads ' || lacking.unread || '.');
    END IF;
END
$$;

-- Of many new rows at once, each owner once.
CREATE FUNCTION check_owners_of_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF organization.is_mapped(TG_TABLE_NAME) THEN
        PERFORM organization.check_owner(owningteam, TG_TABLE_NAME)
        FROM (SELECT DISTINCT owningteam FROM made WHERE owningteam IS NOT NULL) AS owners;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION check_new_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF organization.is_mapped(TG_TABLE_NAME) THEN
        PERFORM organization.check_owner(NEW.owningteam, TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END
$$;
DO $$
DECLARE
    it text;
BEGIN
    FOREACH it IN ARRAY ARRAY[
            'account', 'contact', 'msdyn_countryregion', 'msdyn_paymentterm', 'msdyn_customergroup',
            'msdyn_vendorgroup', 'msdyn_vendor', 'msdyn_globalproduct', 'msdyn_sharedproductdetails',
            'salesorder', 'salesorderdetail', 'msdyn_salespriceagreement'] LOOP
        EXECUTE format('CREATE TRIGGER check_owners_of_new AFTER INSERT ON organization.%I
                        REFERENCING NEW TABLE AS made FOR EACH STATEMENT
                        EXECUTE FUNCTION organization.check_owners_of_new()', it);
        EXECUTE format('CREATE TRIGGER check_new_owner AFTER UPDATE OF owningteam ON organization.%I FOR EACH ROW
                        WHEN (NEW.owningteam IS NOT NULL AND NEW.owningteam IS DISTINCT FROM OLD.owningteam)
                        EXECUTE FUNCTION organization.check_new_owner()', it);
    END LOOP;
END
$$;

-- Teams that may not own rows of some mapped table, were there maps of all, and why.
CREATE VIEW tombolo_teamgap AS
SELECT team.teamid AS tombolo_teamgapid,
       team.name AS tombolo_name,
       lacking.roles AS tombolo_missingroles,
       unread.entities AS tombolo_unreadtables,
       -- Of the team that owns rows without company, where no other is named.
       team.isdefault AND unit.parentbusinessunitid IS NULL AS tombolo_ownsglobalrows
FROM organization.team
JOIN organization.businessunit AS unit USING (businessunitid)
CROSS JOIN LATERAL (
    SELECT string_agg(rolename, ', ') AS roles FROM organization.team_lacks(team.teamid, NULL)
) AS lacking
CROSS JOIN LATERAL (
    SELECT string_agg(owned.relname, ', ' ORDER BY owned.relname) AS entities
    FROM pg_catalog.pg_trigger JOIN pg_catalog.pg_class AS owned ON owned.oid = tgrelid
    WHERE tgname = 'check_owners_of_new' AND owned.relnamespace = 'organization'::regnamespace
      AND EXISTS (SELECT FROM organization.team_lacks(team.teamid, owned.relname) WHERE rolename IS NULL)
) AS unread
WHERE lacking.roles IS NOT NULL OR unread.entities IS NOT NULL;
