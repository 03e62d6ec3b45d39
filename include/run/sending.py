"""Driving one delivery of files to its end: written and verified, STAGED, made visible, DELIVERED, COMMITTED.

Every step can be repeated by whoever comes after a crash. How a file is written and becomes visible is its
destination's way of publishing (:mod:`include.run.publishing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.ledger import deliveries
from include.run.publishing import publishing

if TYPE_CHECKING:
    from include.file_sessions import FileSession
    from include.ledger.records import Claim, Delivery
    from include.run.services import Services


def drive(delivery: Delivery, claim: Claim, session: FileSession, services: Services) -> None:
    """Take a delivery from whatever state it is in to COMMITTED.

    Raises:
        DestinationUnavailable, DeliveryUncertain: try again; the next try looks before it repeats anything.
        DeliveryRefused: the partner refused us, or holds another file under a final name.
        FencedOut: a newer run has started.
    """
    if delivery.state == "PREPARED":
        delivery = stage(delivery, claim, session, services)
    if delivery.state == "STAGED":
        delivery = _publish(delivery, claim, session, services)
    with services.ledger("commit") as connection:
        deliveries.commit(connection, claim, delivery)


def stage(delivery: Delivery, claim: Claim, session: FileSession, services: Services) -> Delivery:
    """Take a delivery from PREPARED to STAGED; raises as :func:`drive` does."""
    way = publishing(delivery.destination)
    for file in delivery.files:
        services.artifacts.verify(file.sha256)
        way.stage(file, services.artifacts.path(file.sha256), session)
    with services.ledger("staged") as connection:
        return deliveries.advance(
            connection, claim, delivery, source="PREPARED", target="STAGED", evidence=session.evidence()
        )


def discard_uploads(delivery: Delivery, session: FileSession, services: Services) -> None:
    """Remove what a delivery that published nothing may have uploaded."""
    for file in delivery.files:
        publishing(delivery.destination).discard(file, services.artifacts.path(file.sha256), session)


def _publish(delivery: Delivery, claim: Claim, session: FileSession, services: Services) -> Delivery:
    way = publishing(delivery.destination)
    evidence = [
        {
            "name": file.final_name,
            "how": way.publish(file, services.artifacts.path(file.sha256), session),
            "sha256": file.sha256,
        }
        for file in delivery.files
    ]
    with services.ledger("delivered") as connection:
        return deliveries.advance(
            connection, claim, delivery, source="STAGED", target="DELIVERED", evidence={"files": evidence}
        )
