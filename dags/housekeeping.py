"""# Housekeeping

Removes what is no longer needed, every night. Nothing that a partner's next delivery is computed from, that is in flight or
held, or that `resend` would send, ever goes, whatever its age.

| part | what is removed | kept for | changed by |
|---|---|---|---|
| `ledger` | runs and deliveries with all that happened to them; each feed's last stay. Incidents that are over, with their mails | 90 days | `CALLBOARD_KEEP_RUNS_DAYS` |
| `artifacts` | decisions, snapshots, files as they were sent, mappings: what no run or delivery speaks of | with their run; else 48 hours | `CALLBOARD_KEEP_UNREFERENCED_HOURS` |
| `change_log` | the schedule store's change log, oldest first | 400 days | `CALLBOARD_KEEP_CHANGES_DAYS` |
| `airflow_tables` | Airflow's own runs, tasks, XComs and log lines | 30 days | `CALLBOARD_KEEP_AIRFLOW_DAYS` |
| `task_logs` | Airflow's log files | 30 days | `CALLBOARD_KEEP_AIRFLOW_DAYS` |

To see what would go: trigger it with **Dry run**, or `./callboard housekeeping`. Each task's log says in counts what went.

**If it fails**: nothing is lost, the next night does the rest. The parts do not wait for each other.
"""

from include.housekeeping.dag import publish_housekeeping

publish_housekeeping(__doc__)
