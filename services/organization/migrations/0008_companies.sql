-- Business units in a tree, teams, and companies that own rows. Names are qualified in functions: whoever writes
-- need not have this schema in the search path.

ALTER TABLE businessunit
    -- Of the root, none.
    ADD COLUMN parentbusinessunitid uuid REFERENCES businessunit CHECK (parentbusinessunitid <> businessunitid);
UPDATE businessunit SET parentbusinessunitid = root.businessunitid
FROM (SELECT businessunitid FROM businessunit ORDER BY createdon, businessunitid LIMIT 1) AS root
WHERE businessunit.businessunitid <> root.businessunitid;
CREATE UNIQUE INDEX businessunit_root ON businessunit ((true)) WHERE parentbusinessunitid IS NULL;
CREATE INDEX businessunit_parentbusinessunitid ON businessunit (parentbusinessunitid);

CREATE TABLE team (
    teamid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE CHECK (name <> ''),
    -- 0 owns rows.
    teamtype integer NOT NULL DEFAULT 0 CHECK (teamtype BETWEEN 0 AND 3),
    businessunitid uuid NOT NULL REFERENCES businessunit ON DELETE CASCADE,
    -- Made with its business unit.
    isdefault boolean NOT NULL DEFAULT false,
    description text,
    createdon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    modifiedon timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX team_businessunitid ON team (businessunitid);
CREATE UNIQUE INDEX team_default ON team (businessunitid) WHERE isdefault;
CREATE TRIGGER stamp_row BEFORE UPDATE ON team FOR EACH ROW EXECUTE FUNCTION organization.stamp_row();
INSERT INTO team (name, businessunitid, isdefault) SELECT name, businessunitid, true FROM businessunit;

CREATE FUNCTION join_tree() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.parentbusinessunitid := (
        SELECT businessunitid FROM organization.businessunit WHERE parentbusinessunitid IS NULL);
    RETURN NEW;
END
$$;
CREATE TRIGGER join_tree BEFORE INSERT ON businessunit
    FOR EACH ROW WHEN (NEW.parentbusinessunitid IS NULL) EXECUTE FUNCTION organization.join_tree();

-- The default team is called what its business unit is called.
CREATE FUNCTION keep_default_team() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO organization.team (name, businessunitid, isdefault)
        VALUES (NEW.name, NEW.businessunitid, true);
    ELSE
        UPDATE organization.team SET name = NEW.name
        WHERE businessunitid = NEW.businessunitid AND isdefault;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_default_team AFTER INSERT OR UPDATE OF name ON businessunit
    FOR EACH ROW EXECUTE FUNCTION organization.keep_default_team();

-- PostgreSQL itself has no SHA-1, which ids of companies are made with.
CREATE FUNCTION sha1(message bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    mask CONSTANT bigint := 4294967295;
    size CONSTANT integer := length(message);
    padded CONSTANT bytea := message || '\x80'::bytea
        || decode(repeat('00', (119 - size % 64) % 64), 'hex') || int8send(size * 8::bigint);
    state bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    words bigint[];
    a bigint; b bigint; c bigint; d bigint; e bigint;
    mixed bigint; added bigint; word bigint;
    digest text := '';
BEGIN
    FOR block IN 0 .. length(padded) / 64 - 1 LOOP
        words := NULL;
        FOR i IN 0 .. 15 LOOP
            word := 0;
            FOR j IN 0 .. 3 LOOP
                word := (word << 8) | get_byte(padded, block * 64 + i * 4 + j);
            END LOOP;
            words[i] := word;
        END LOOP;
        FOR i IN 16 .. 79 LOOP
            word := words[i - 3] # words[i - 8] # words[i - 14] # words[i - 16];
            words[i] := ((word << 1) | (word >> 31)) & mask;
        END LOOP;
        a := state[1]; b := state[2]; c := state[3]; d := state[4]; e := state[5];
        FOR i IN 0 .. 79 LOOP
            CASE i / 20
                WHEN 0 THEN mixed := (b & c) | ((~b) & mask & d); added := 1518500249;
                WHEN 1 THEN mixed := b # c # d; added := 1859775393;
                WHEN 2 THEN mixed := (b & c) | (b & d) | (c & d); added := 2400959708;
                ELSE mixed := b # c # d; added := 3395469782;
            END CASE;
            word := (((a << 5) | (a >> 27)) + mixed + e + added + words[i]) & mask;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & mask; b := a; a := word;
        END LOOP;
        state := ARRAY[(state[1] + a) & mask, (state[2] + b) & mask, (state[3] + c) & mask,
                       (state[4] + d) & mask, (state[5] + e) & mask];
    END LOOP;
    FOREACH word IN ARRAY state LOOP
        digest := digest || lpad(to_hex(word), 8, '0');
    END LOOP;
    RETURN decode(digest, 'hex');
END
$$;

-- The id that every service gives a company of this code: a name-based GUID (version 5), the same in every
-- letter case.
CREATE FUNCTION company_id(code text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    id bytea := substring(organization.sha1('\x6f1d2f0c52a44a0e9c3b7f0a54b1c0de'::bytea
                                            || convert_to(upper(code), 'UTF8')) FROM 1 FOR 16);
BEGIN
    id := set_byte(id, 6, (get_byte(id, 6) & 15) | 80);
    id := set_byte(id, 8, (get_byte(id, 8) & 63) | 128);
    RETURN encode(id, 'hex')::uuid;
END
$$;

ALTER TABLE cdm_company
    ADD COLUMN cdm_isenabledfordualwrite boolean NOT NULL DEFAULT true,
    ADD COLUMN cdm_defaultowningteam uuid REFERENCES team;
CREATE INDEX cdm_company_cdm_defaultowningteam ON cdm_company (cdm_defaultowningteam);

CREATE FUNCTION keep_company() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF btrim(NEW.cdm_companycode) = '' THEN
        RAISE EXCEPTION 'The code of a company cannot be blank.';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF lower(NEW.cdm_companycode) <> lower(OLD.cdm_companycode) THEN
            RAISE EXCEPTION 'The code of company % cannot be changed.', OLD.cdm_companycode;
        END IF;
    ELSIF NEW.cdm_companycode ~ '^[ -~]+$' THEN
        NEW.cdm_companyid := organization.company_id(NEW.cdm_companycode);
    ELSIF NEW.cdm_companyid IS NULL THEN
        -- How other letters change their case depends on the database.
        RAISE EXCEPTION 'The code of a company has ASCII characters only.';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_company BEFORE INSERT OR UPDATE OF cdm_companycode ON cdm_company
    FOR EACH ROW EXECUTE FUNCTION organization.keep_company();

-- An enabled company has a team that owns its rows: until somebody chooses another, one of a business unit of
-- the company's own.
CREATE FUNCTION own_company() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    team_name CONSTANT text := NEW.cdm_companycode || ' Dual Write';
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
    ON CONFLICT (name) DO NOTHING;
    NEW.cdm_defaultowningteam := (SELECT teamid FROM organization.team WHERE name = team_name);
    RETURN NEW;
END
$$;
-- Behind `keep_company`, which gives the id.
CREATE TRIGGER own_company BEFORE INSERT OR UPDATE ON cdm_company
    FOR EACH ROW WHEN (NEW.cdm_isenabledfordualwrite AND NEW.cdm_defaultowningteam IS NULL)
    EXECUTE FUNCTION organization.own_company();
UPDATE cdm_company SET cdm_isenabledfordualwrite = true;

-- "Company to default on Forms".
ALTER TABLE systemuser ADD COLUMN cdm_company uuid REFERENCES cdm_company ON DELETE SET NULL;
CREATE INDEX systemuser_cdm_company ON systemuser (cdm_company);

-- Who owns a new row, where nobody is named: the team of its company; of a row without one, who writes it, or
-- the default team of the root business unit if that is no user.
CREATE FUNCTION default_owner(company uuid, OUT ownerid uuid, OUT owningteam uuid) STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF company IS NOT NULL THEN
        owningteam := (SELECT cdm_defaultowningteam FROM organization.cdm_company WHERE cdm_companyid = company);
    END IF;
    IF owningteam IS NULL THEN
        ownerid := organization.acting_user();
    END IF;
    IF owningteam IS NULL AND ownerid IS NULL THEN
        owningteam := (SELECT teamid FROM organization.team JOIN organization.businessunit USING (businessunitid)
                       WHERE isdefault AND parentbusinessunitid IS NULL);
    END IF;
END
$$;

CREATE FUNCTION own_row_of_company() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO NEW.ownerid, NEW.owningteam FROM organization.default_owner(NEW.msdyn_company);
    RETURN NEW;
END
$$;

CREATE FUNCTION own_row_of_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO NEW.ownerid, NEW.owningteam FROM organization.default_owner(NULL);
    RETURN NEW;
END
$$;

-- A row has one owner, and a new one takes the place of the old.
CREATE FUNCTION keep_one_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.ownerid IS NULL OR NEW.owningteam IS NULL THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.owningteam IS NOT DISTINCT FROM OLD.owningteam THEN
            NEW.owningteam := NULL;
            RETURN NEW;
        ELSIF NEW.ownerid IS NOT DISTINCT FROM OLD.ownerid THEN
            NEW.ownerid := NULL;
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'A row is owned by a user or by a team, not by both.';
END
$$;

CREATE FUNCTION keep_company_of_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The company of a row cannot be changed once it is set.';
END
$$;
