"""Schema `platform`: the installation's epoch and its API keys, reached through functions only.

Creates the services' roles where the connecting user may; otherwise the installation runs with one role.
"""

from alembic import op

from shared.db.revision import create_schema, grant, run_script
from shared.db.roles import CREATE_ROLES, SERVICE_FUNCTIONS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE platform.installation (
    singleton boolean NOT NULL DEFAULT true,
    cluster_id text NOT NULL DEFAULT gen_random_uuid()::text,
    epoch bigint NOT NULL DEFAULT 1,
    single_role boolean NOT NULL DEFAULT false,
    log text,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT pk_installation PRIMARY KEY (singleton),
    CONSTRAINT ck_installation_singleton CHECK (singleton),
    CONSTRAINT ck_installation_epoch CHECK (epoch >= 1)
);
INSERT INTO platform.installation DEFAULT VALUES;

CREATE TABLE platform.api_key (
    id text NOT NULL,
    hash bytea NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    actor text,
    source text,
    public boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT pk_api_key PRIMARY KEY (id),
    CONSTRAINT uq_api_key_hash UNIQUE (hash),
    CONSTRAINT ck_api_key_hash CHECK (length(hash) = 32),
    CONSTRAINT ck_api_key_scopes CHECK (
        cardinality(scopes) > 0 AND scopes <@ ARRAY['ingest', 'read', 'work', 'admin']
    ),
    CONSTRAINT ck_api_key_public CHECK (NOT public OR scopes = ARRAY['ingest'])
);
"""

# `SET search_path` keeps a caller's schemas out of functions that run with their owner's rights.
FUNCTIONS = """
CREATE FUNCTION platform.find_key(key_hash bytea)
RETURNS TABLE (id text, name text, scopes text[], actor text, source text, public boolean,
               expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.id, k.name, k.scopes, k.actor, k.source, k.public, k.expires_at, k.revoked_at
    FROM platform.api_key k WHERE k.hash = key_hash
$$;

CREATE FUNCTION platform.touch_key(key_id text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE platform.api_key k SET last_used_at = statement_timestamp()
    WHERE k.id = key_id
      AND (k.last_used_at IS NULL OR k.last_used_at < statement_timestamp() - interval '1 minute')
$$;

CREATE FUNCTION platform.current_epoch() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT epoch FROM platform.installation
$$;

CREATE FUNCTION platform.cluster_id() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT cluster_id FROM platform.installation
$$;

CREATE FUNCTION platform.agree_on_log(cluster text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Asked first: a database that is read-only just now refuses an update of nothing, too.
    IF EXISTS (SELECT FROM platform.installation WHERE log IS NULL) THEN
        UPDATE platform.installation SET log = cluster WHERE log IS NULL;
    END IF;
    RETURN (SELECT log FROM platform.installation);
END $$;

CREATE FUNCTION platform.raise_epoch() RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    UPDATE platform.installation SET epoch = epoch + 1 RETURNING epoch
$$;

CREATE FUNCTION platform.create_key(
    key_id text, key_hash bytea, key_name text, key_scopes text[], key_actor text, key_source text,
    key_public boolean, key_expires_at timestamptz
) RETURNS timestamptz
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO platform.api_key (id, hash, name, scopes, actor, source, public, expires_at)
    VALUES (key_id, key_hash, key_name, key_scopes, key_actor, key_source, key_public, key_expires_at)
    RETURNING created_at
$$;

CREATE FUNCTION platform.list_keys()
RETURNS TABLE (id text, name text, scopes text[], actor text, source text, public boolean,
               created_at timestamptz, expires_at timestamptz, revoked_at timestamptz,
               last_used_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.id, k.name, k.scopes, k.actor, k.source, k.public,
           k.created_at, k.expires_at, k.revoked_at, k.last_used_at
    FROM platform.api_key k ORDER BY k.created_at, k.id
$$;

CREATE FUNCTION platform.revoke_key(key_id text) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    UPDATE platform.api_key SET revoked_at = coalesce(revoked_at, statement_timestamp())
    WHERE id = key_id RETURNING true
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA platform FROM PUBLIC;
"""


def upgrade() -> None:
    run_script(op, CREATE_ROLES)
    create_schema(op, "platform")
    run_script(op, TABLES)
    run_script(op, FUNCTIONS)
    grant(op, "USAGE ON SCHEMA platform")
    for function in SERVICE_FUNCTIONS:
        grant(op, f"EXECUTE ON FUNCTION platform.{function}")


def downgrade() -> None:
    # The roles stay: other databases of the same server may use them. So does the schema: it holds Alembic's
    # own table.
    run_script(
        op,
        """
        DROP FUNCTION platform.find_key(bytea), platform.touch_key(text), platform.current_epoch(),
            platform.cluster_id(), platform.agree_on_log(text), platform.raise_epoch(), platform.list_keys(),
            platform.revoke_key(text),
            platform.create_key(text, bytea, text, text[], text, text, boolean, timestamptz);
        DROP TABLE platform.api_key, platform.installation;
        """,
    )
