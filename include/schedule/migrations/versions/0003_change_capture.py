"""Change capture: every change of every table is in the change log, whoever made it, and readers are woken.

Who changed it: the setting ``callboard.user`` of the session or transaction, else the database role. An update that
changes nothing leaves no trace and keeps ``modified_at``. TRUNCATE is refused, because it could not be recorded.

A restore brings a change log and ``modified_at`` back as they were: it switches these triggers off for its transaction,
which only the tables' owner can (:mod:`include.schedule.importing`). No setting of a session does.
"""

from alembic import op

revision = "schedule_0003"
down_revision = "schedule_0002"
branch_labels = None
depends_on = None

KEYS = {
    "departments": ("department_id",),
    "personnel": ("emp_id",),
    "personnel_ids": ("emp_id", "system"),
    "memberships": ("emp_id", "department_id"),
    "assignments": ("assignment_id",),
    "schedule_periods": ("period_id",),
    "schedules": ("slot_id",),
    "requests": ("request_id",),
    "view_settings": ("view_id",),
    "tallies": ("tally_id",),
}


def upgrade() -> None:
    """Create the functions, and their triggers on every table."""
    op.execute("""
        CREATE FUNCTION schedule.touch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                NEW.modified_at := OLD.modified_at;
                IF NEW IS NOT DISTINCT FROM OLD THEN
                    RETURN NEW;
                END IF;
            END IF;
            NEW.modified_at := now();
            RETURN NEW;
        END $$;

        -- One INSERT per statement, whatever the number of rows. The arguments are the columns of the table's key.
        -- Its owner writes the log, so that a writer needs no right on it; times are written in UTC.
        CREATE FUNCTION schedule.record_changes() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = schedule, pg_temp SET timezone = 'UTC' AS $$
        DECLARE
            changed_by constant text := coalesce(nullif(current_setting('callboard.user', true), ''), session_user);
            entity_id constant text :=
                (SELECT string_agg(format('r.%I', key), ' || ''/'' || ') FROM unnest(TG_ARGV) AS key);
            same_key constant text :=
                (SELECT string_agg(format('o.%1$I = n.%1$I', key), ' AND ') FROM unnest(TG_ARGV) AS key);
            changes text;
        BEGIN
            IF TG_OP = 'INSERT' THEN
                changes := format('SELECT %s, ''insert'', NULL::jsonb, to_jsonb(r) FROM new_rows AS r', entity_id);
            ELSIF TG_OP = 'DELETE' THEN
                changes := format('SELECT %s, ''delete'', to_jsonb(r), NULL::jsonb FROM old_rows AS r', entity_id);
            ELSE
                -- A changed key is a delete and an insert: nothing else says that the old one is gone.
                changes := format(
                    'SELECT coalesce(%s, %s), '
                    'CASE WHEN n IS NULL THEN ''delete'' WHEN o IS NULL THEN ''insert'' ELSE ''update'' END, '
                    'to_jsonb(o), to_jsonb(n) '
                    'FROM old_rows AS o FULL JOIN new_rows AS n ON %s WHERE o IS DISTINCT FROM n',
                    replace(entity_id, 'r.', 'n.'), replace(entity_id, 'r.', 'o.'), same_key);
            END IF;
            EXECUTE 'INSERT INTO change_logs (entity_id, action, old, new, entity, changed_by) '
                    'SELECT changes.*, $1, $2 FROM (' || changes || ') AS changes'
                USING TG_TABLE_NAME, changed_by;
            RETURN NULL;
        END $$;

        CREATE FUNCTION schedule.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE feature_not_supported USING
                MESSAGE = 'TRUNCATE would not be recorded in the change log', HINT = 'Use DELETE.';
        END $$;

        CREATE FUNCTION schedule.wake() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM new_rows) THEN
                PERFORM pg_notify('callboard_changes', '');
            END IF;
            RETURN NULL;
        END $$;

        CREATE TRIGGER wake AFTER INSERT ON schedule.change_logs REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION schedule.wake();
    """)
    for table, key in KEYS.items():
        columns = ", ".join(f"'{column}'" for column in key)
        op.execute(f"""
            CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON schedule.{table}
                FOR EACH ROW EXECUTE FUNCTION schedule.touch();
            CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON schedule.{table}
                FOR EACH STATEMENT EXECUTE FUNCTION schedule.refuse_truncate();
            CREATE TRIGGER record_insert AFTER INSERT ON schedule.{table}
                REFERENCING NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION schedule.record_changes({columns});
            CREATE TRIGGER record_update AFTER UPDATE ON schedule.{table}
                REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION schedule.record_changes({columns});
            CREATE TRIGGER record_delete AFTER DELETE ON schedule.{table}
                REFERENCING OLD TABLE AS old_rows
                FOR EACH STATEMENT EXECUTE FUNCTION schedule.record_changes({columns});
        """)
