"""The tables of the schedule store: the exchange files' names and columns, and what must hold between them."""

from alembic import op

revision = "schedule_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. References can be deferred to the commit, for writers that replace much at once."""
    op.execute("""
        CREATE TABLE schedule.departments (
            department_id           text PRIMARY KEY,
            name                    text NOT NULL,
            time_zone               text NOT NULL,
            facility                text,
            "group"                 text,
            kronos_department_id    text,
            coid                    text,
            active                  boolean NOT NULL DEFAULT true,
            modified_at             timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE schedule.personnel (
            emp_id          text PRIMARY KEY,
            display_name    text NOT NULL,
            last_name       text,
            first_name      text,
            personnel_type  text NOT NULL,
            unique_id       text,
            custom1         text,
            custom2         text,
            custom3         text,
            custom4         text,
            npi             text,
            email           text,
            cell_phone      text,
            pager           text,
            phone           text,
            home_coid       text,
            away_coid       text,
            is_placeholder  boolean NOT NULL DEFAULT false,
            active          boolean NOT NULL DEFAULT true,
            modified_at     timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE schedule.personnel_ids (
            emp_id      text NOT NULL REFERENCES schedule.personnel DEFERRABLE,
            system      text NOT NULL,
            value       text NOT NULL,
            modified_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (emp_id, system)
        );

        CREATE TABLE schedule.memberships (
            emp_id          text NOT NULL REFERENCES schedule.personnel DEFERRABLE,
            department_id   text NOT NULL REFERENCES schedule.departments DEFERRABLE,
            is_primary      boolean NOT NULL DEFAULT false,
            modified_at     timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (emp_id, department_id)
        );

        CREATE TABLE schedule.assignments (
            assignment_id   text PRIMARY KEY,
            department_id   text NOT NULL REFERENCES schedule.departments DEFERRABLE,
            name            text NOT NULL,
            compact_name    text,
            assignment_type text NOT NULL,
            information     text,
            default_start   time,
            default_stop    time,
            call_order      bigint,
            active          boolean NOT NULL DEFAULT true,
            modified_at     timestamptz NOT NULL DEFAULT now(),
            UNIQUE (assignment_id, department_id)
        );

        CREATE TABLE schedule.schedule_periods (
            period_id       text PRIMARY KEY,
            department_id   text NOT NULL REFERENCES schedule.departments DEFERRABLE,
            name            text NOT NULL,
            start_date      date NOT NULL,
            end_date        date NOT NULL,
            published_at    timestamptz,
            modified_at     timestamptz NOT NULL DEFAULT now(),
            UNIQUE (period_id, department_id),
            CONSTRAINT period_ends_after_it_starts CHECK (end_date >= start_date)
        );

        -- department_id is the assignment's, and the period must be of the same department: both by reference.
        CREATE TABLE schedule.schedules (
            slot_id         text PRIMARY KEY,
            period_id       text NOT NULL,
            assignment_id   text NOT NULL,
            emp_id          text REFERENCES schedule.personnel DEFERRABLE,
            slot_date       date NOT NULL,
            start_local     timestamp NOT NULL,
            stop_local      timestamp NOT NULL,
            start_utc       timestamptz NOT NULL,
            stop_utc        timestamptz NOT NULL,
            note            text,
            location        text,
            call_order      bigint,
            is_pending      boolean NOT NULL DEFAULT false,
            work_units      numeric(18, 6),
            modified_at     timestamptz NOT NULL DEFAULT now(),
            department_id   text NOT NULL,
            FOREIGN KEY (assignment_id, department_id)
                REFERENCES schedule.assignments (assignment_id, department_id) DEFERRABLE,
            CONSTRAINT slot_and_period_of_one_department FOREIGN KEY (period_id, department_id)
                REFERENCES schedule.schedule_periods (period_id, department_id) DEFERRABLE,
            CONSTRAINT slot_stops_after_it_starts CHECK (stop_utc >= start_utc),
            CONSTRAINT slot_of_this_age CHECK (
                start_utc >= '1899-12-31 00:00+00' AND stop_utc < '2200-01-03 00:00+00'
            )
        );
        -- A window: what stops after its begin and starts before its end. Old slots are never touched.
        CREATE INDEX schedules_window ON schedule.schedules (stop_utc, start_utc);
        CREATE INDEX schedules_slot_date ON schedule.schedules (slot_date);
        CREATE INDEX schedules_emp_id ON schedule.schedules (emp_id, slot_date);
        CREATE INDEX schedules_period_id ON schedule.schedules (period_id, slot_date);
        CREATE INDEX schedules_assignment_id ON schedule.schedules (assignment_id);

        CREATE TABLE schedule.requests (
            request_id      text PRIMARY KEY,
            emp_id          text NOT NULL REFERENCES schedule.personnel DEFERRABLE,
            assignment_id   text REFERENCES schedule.assignments DEFERRABLE,
            request_type    text NOT NULL,
            start_date      date NOT NULL,
            end_date        date NOT NULL,
            status          text NOT NULL,
            note            text,
            submitted_at    timestamptz,
            decided_at      timestamptz,
            modified_at     timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT request_ends_after_it_starts CHECK (end_date >= start_date)
        );
        CREATE INDEX requests_emp_id ON schedule.requests (emp_id);

        CREATE TABLE schedule.view_settings (
            view_id         text PRIMARY KEY,
            name            text NOT NULL,
            owner_emp_id    text REFERENCES schedule.personnel DEFERRABLE,
            settings        jsonb,
            modified_at     timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE schedule.tallies (
            tally_id        text PRIMARY KEY,
            name            text NOT NULL,
            assignment_type text,
            assignment_id   text REFERENCES schedule.assignments DEFERRABLE,
            unit            text NOT NULL CHECK (unit IN ('slots', 'hours', 'work_units')),
            period          text NOT NULL CHECK (period IN ('week', 'month', 'year', 'all')),
            modified_at     timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE schedule.change_logs (
            change_id   bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            changed_at  timestamptz NOT NULL DEFAULT now(),
            changed_by  text DEFAULT session_user,
            entity      text NOT NULL,
            entity_id   text NOT NULL,
            action      text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
            old         jsonb,
            new         jsonb,
            -- For readers that must lose nothing: a lower change_id may be committed later, a snapshot of xids knows.
            xid         xid8 NOT NULL DEFAULT pg_current_xact_id()
        );
        CREATE INDEX change_logs_xid ON schedule.change_logs (xid);
        CREATE INDEX change_logs_entity ON schedule.change_logs (entity, entity_id, change_id);
    """)
