"""Local and UTC times of slots agree, whoever writes them; slots lie within their period; zones are IANA's.

A writer may give the local time, the instant, or both:

* local alone (or changed alone): the instant is computed; a local time that does not exist or exists twice is refused;
* instant alone (or changed alone): the local time is computed;
* both: refused unless they agree.

When a department's time zone changes, the *local* times of its slots stay and their instants are computed anew: people
read wall clocks, and a wrong zone is what such a change mends.
"""

from alembic import op

revision = "schedule_0002"
down_revision = "schedule_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the functions and triggers."""
    op.execute("""
        CREATE FUNCTION schedule.instant_of(wall timestamp, zone text) RETURNS timestamptz
        LANGUAGE plpgsql STABLE STRICT AS $$
        DECLARE
            guess constant timestamptz := wall AT TIME ZONE zone;
            -- The zone's offsets on either side: they differ around a change of the clocks and nowhere else.
            day_before constant timestamptz := guess - interval '24 hours';
            day_after constant timestamptz := guess + interval '24 hours';
            earlier constant timestamptz :=
                (wall - ((day_before AT TIME ZONE zone) - (day_before AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC';
            later constant timestamptz :=
                (wall - ((day_after AT TIME ZONE zone) - (day_after AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC';
            earlier_exists constant boolean := earlier AT TIME ZONE zone = wall;
            later_exists constant boolean := later AT TIME ZONE zone = wall;
        BEGIN
            IF earlier_exists AND later_exists AND earlier <> later THEN
                RAISE check_violation USING
                    MESSAGE = format('local time %s is ambiguous in %s: the clocks are set back', wall, zone),
                    HINT = 'Give the UTC time too.', CONSTRAINT = 'local_time_is_unambiguous';
            ELSIF earlier_exists THEN
                RETURN earlier;
            ELSIF later_exists THEN
                RETURN later;
            END IF;
            RAISE check_violation USING
                MESSAGE = format('local time %s does not exist in %s: the clocks are set forward', wall, zone),
                CONSTRAINT = 'local_time_exists';
        END $$;

        CREATE FUNCTION schedule.check_times(wall timestamp, instant timestamptz, zone text) RETURNS void
        LANGUAGE plpgsql STABLE AS $$
        BEGIN
            IF instant AT TIME ZONE zone IS DISTINCT FROM wall THEN
                RAISE check_violation USING
                    MESSAGE = format('local time %s and UTC time %s disagree in %s',
                                     wall, instant AT TIME ZONE 'UTC', zone),
                    CONSTRAINT = 'local_and_utc_agree';
            END IF;
        END $$;

        CREATE FUNCTION schedule.derive_slot() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            zone text;
            first_day date;
            last_day date;
            before schedule.schedules;  -- all null for an insert
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                before := OLD;
                IF (NEW.period_id, NEW.assignment_id, NEW.department_id, NEW.slot_date,
                    NEW.start_local, NEW.stop_local, NEW.start_utc, NEW.stop_utc)
                    IS NOT DISTINCT FROM
                   (OLD.period_id, OLD.assignment_id, OLD.department_id, OLD.slot_date,
                    OLD.start_local, OLD.stop_local, OLD.start_utc, OLD.stop_utc) THEN
                    RETURN NEW;
                END IF;
            END IF;

            -- Shared locks: neither the zone nor the dates may change before this writer has committed.
            SELECT department.department_id, department.time_zone INTO NEW.department_id, zone
            FROM schedule.assignments AS assignment JOIN schedule.departments AS department USING (department_id)
            WHERE assignment.assignment_id = NEW.assignment_id FOR SHARE OF department;
            IF NOT FOUND THEN
                RAISE foreign_key_violation USING
                    MESSAGE = 'the slot''s assignment does not exist', CONSTRAINT = 'slot_has_an_assignment';
            END IF;
            IF before.department_id <> NEW.department_id THEN
                RAISE check_violation USING
                    MESSAGE = 'a slot keeps its department: its id may not be used again for another one',
                    CONSTRAINT = 'slot_keeps_its_department';
            END IF;

            SELECT period.start_date, period.end_date INTO first_day, last_day
            FROM schedule.schedule_periods AS period WHERE period.period_id = NEW.period_id FOR SHARE;
            IF NEW.slot_date NOT BETWEEN first_day AND last_day THEN
                RAISE check_violation USING
                    MESSAGE = 'slot_date lies outside the schedule period', CONSTRAINT = 'slot_within_period';
            END IF;

            IF NEW.start_utc IS NULL
                OR (NEW.start_utc = before.start_utc AND NEW.start_local <> before.start_local) THEN
                NEW.start_utc := schedule.instant_of(NEW.start_local, zone);
            ELSIF NEW.start_local IS NULL
                OR (NEW.start_local = before.start_local AND NEW.start_utc <> before.start_utc) THEN
                NEW.start_local := NEW.start_utc AT TIME ZONE zone;
            ELSE
                PERFORM schedule.check_times(NEW.start_local, NEW.start_utc, zone);
            END IF;

            IF NEW.stop_utc IS NULL
                OR (NEW.stop_utc = before.stop_utc AND NEW.stop_local <> before.stop_local) THEN
                NEW.stop_utc := schedule.instant_of(NEW.stop_local, zone);
            ELSIF NEW.stop_local IS NULL
                OR (NEW.stop_local = before.stop_local AND NEW.stop_utc <> before.stop_utc) THEN
                NEW.stop_local := NEW.stop_utc AT TIME ZONE zone;
            ELSE
                PERFORM schedule.check_times(NEW.stop_local, NEW.stop_utc, zone);
            END IF;
            RETURN NEW;
        END $$;

        CREATE TRIGGER derive BEFORE INSERT OR UPDATE ON schedule.schedules
            FOR EACH ROW EXECUTE FUNCTION schedule.derive_slot();

        CREATE FUNCTION schedule.follow_time_zone() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE schedule.schedules SET start_utc = NULL, stop_utc = NULL WHERE department_id = NEW.department_id;
            RETURN NULL;
        END $$;

        CREATE TRIGGER follow_time_zone AFTER UPDATE OF time_zone ON schedule.departments
            FOR EACH ROW WHEN (OLD.time_zone <> NEW.time_zone) EXECUTE FUNCTION schedule.follow_time_zone();

        -- One look at the server's list of zones for all rows of a statement: reading it takes a while.
        CREATE FUNCTION schedule.check_zones() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT time_zone FROM changed
                EXCEPT
                SELECT name FROM pg_timezone_names
                WHERE name !~ '^(posix|right)/' AND name NOT IN ('Factory', 'localtime', 'posixrules')
            ) THEN
                RAISE check_violation USING
                    MESSAGE = 'a department''s time_zone is no IANA time zone', HINT = 'Write it like America/Chicago.',
                    CONSTRAINT = 'time_zone_is_iana';
            END IF;
            RETURN NULL;
        END $$;

        CREATE TRIGGER check_inserted_zones AFTER INSERT ON schedule.departments REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION schedule.check_zones();
        CREATE TRIGGER check_updated_zones AFTER UPDATE ON schedule.departments REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION schedule.check_zones();

        -- At the commit, so that one transaction may shorten a period and move its slots, in any order.
        CREATE FUNCTION schedule.check_period() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM schedule.schedules AS slot JOIN schedule.schedule_periods AS period USING (period_id)
                WHERE period.period_id = NEW.period_id
                  AND slot.slot_date NOT BETWEEN period.start_date AND period.end_date
            ) THEN
                RAISE check_violation USING
                    MESSAGE = 'the schedule period would leave out some of its slots',
                    CONSTRAINT = 'slot_within_period';
            END IF;
            RETURN NULL;
        END $$;

        CREATE CONSTRAINT TRIGGER check_period AFTER UPDATE OF start_date, end_date ON schedule.schedule_periods
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION schedule.check_period();
    """)
