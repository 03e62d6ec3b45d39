"""Driving one delivery of files to its end: upload, verify, STAGED, rename, DELIVERED, COMMITTED.

Every step can be repeated by whoever comes after a crash. The temporary name carries the fence and the attempt, so that
only this delivery ever touches it: once STAGED is recorded, its absence at the partner proves that it was renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.errors import DeliveryRefused, DeliveryUncertain
from include.ledger import deliveries

if TYPE_CHECKING:
    from include.destinations.files import FileSession
    from include.ledger.records import Claim, Delivery, PayloadFile
    from include.run.services import Services


def drive(delivery: Delivery, claim: Claim, session: FileSession, services: Services) -> None:
    """Take a delivery from whatever state it is in to COMMITTED.

    Raises:
        DestinationUnavailable, DeliveryUncertain: try again; the next try looks before it repeats anything.
        DeliveryRefused: the partner refused us, or holds another file under a final name.
        FencedOut: a newer run has started.
    """
    if delivery.state == "PREPARED":
        delivery = _stage(delivery, claim, session, services)
    if delivery.state == "STAGED":
        delivery = _publish(delivery, claim, session, services)
    with services.ledger("commit") as connection:
        deliveries.commit(connection, claim, delivery)


def discard_uploads(delivery: Delivery, session: FileSession) -> None:
    """Remove what a delivery that published nothing may have uploaded."""
    for file in delivery.files:
        session.remove(file.temp_name)


def _stage(delivery: Delivery, claim: Claim, session: FileSession, services: Services) -> Delivery:
    for file in delivery.files:
        services.artifacts.verify(file.sha256)
        session.upload(services.artifacts.path(file.sha256), file.temp_name)
        if session.sha256(file.temp_name) != file.sha256:
            raise DeliveryUncertain(
                f"Feed {claim.stream}: the partner's copy of {file.final_name} differs from what was sent.",
                next_step="nothing; the next try uploads it again",
            )
    with services.ledger("staged") as connection:
        return deliveries.advance(
            connection, claim, delivery, source="PREPARED", target="STAGED", evidence=session.evidence()
        )


def _publish(delivery: Delivery, claim: Claim, session: FileSession, services: Services) -> Delivery:
    evidence = [_publish_file(file, delivery, session, services) for file in delivery.files]
    with services.ledger("delivered") as connection:
        return deliveries.advance(
            connection, claim, delivery, source="STAGED", target="DELIVERED", evidence={"files": evidence}
        )


def _publish_file(file: PayloadFile, delivery: Delivery, session: FileSession, services: Services) -> dict[str, Any]:
    replace = delivery.destination["publish"] == "posix_rename"
    if session.stat(file.temp_name) is None:
        # Only this delivery renames that name, so it has already become the final one; the partner may have taken it.
        if not replace or session.stat(file.final_name) is None or session.sha256(file.final_name) == file.sha256:
            return {"name": file.final_name, "how": "renamed by an earlier try", "sha256": file.sha256}
        # Unless an older file is still there, which the rename would have replaced: somebody swept our upload away.
        session.upload(services.artifacts.path(file.sha256), file.temp_name)
    if session.publish(file.temp_name, file.final_name, replace=replace):
        return {"name": file.final_name, "how": delivery.destination["publish"], "sha256": file.sha256}
    if session.sha256(file.final_name) != file.sha256:
        raise DeliveryRefused(
            f"Feed {delivery.stream}: the partner already holds another file named {file.final_name}.",
            next_step="compare that file with `./callboard deliveries`, move it away, and run the feed again",
        )
    session.remove(file.temp_name)
    return {"name": file.final_name, "how": "already there with equal content", "sha256": file.sha256}
