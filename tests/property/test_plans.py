"""Plans against a naive model: what a document says is what is there afterwards, or nothing has changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cap import new_context

from opencen.domain.errors import PlanRefusedError
from opencen.domain.nouns import Actor
from opencen.domain.plans import Document, Effect, PlannedConnection, PlannedPackage, Present, Subject, plan, undo
from opencen.services import attachments, check, instances, networks, plans
from opencen.services.context import Context

AREA_OF = {
    "us-west-1": "North-America",
    "us-east-1": "North-America",
    "cn-hangzhou": "China",
    "cn-shanghai": "China",
    "eu-west-1": "Europe",
}
CHINA_AMERICA, CHINA_EUROPE = ("China", "North-America"), ("China", "Europe")
PAIRS = sorted(tuple(sorted(pair)) for pair in product(("cn-hangzhou", "cn-shanghai"), ("us-west-1", "eu-west-1")))

packages = st.dictionaries(st.sampled_from([CHINA_AMERICA, CHINA_EUROPE]), st.integers(2, 30)).map(
    lambda found: tuple(PlannedPackage(areas, mbps) for areas, mbps in sorted(found.items()))
)
connections = st.dictionaries(st.sampled_from(PAIRS), st.integers(1, 20)).map(
    lambda found: tuple(PlannedConnection((pair[0], pair[1]), mbps) for pair, mbps in sorted(found.items()))
)
documents = st.builds(Document, st.none() | packages, st.none() | connections)


def fits(document: Document) -> bool:
    """The naive model: every connection has a package of its areas, and none is exceeded."""
    for package in document.packages or ():
        drawn = sum(item.bandwidth_mbps for item in document.connections or () if areas_of(item) == package.areas)
        if drawn > package.bandwidth_mbps:
            return False
    served = {package.areas for package in document.packages or ()}
    return all(areas_of(item) in served for item in document.connections or ())


def areas_of(item: PlannedConnection) -> tuple[str, str]:
    first, second = sorted(AREA_OF[region_id] for region_id in item.regions)
    return first, second


def whole(document: Document, present: Document) -> Document:
    """What a document leaves out stays."""
    return Document(
        present.packages if document.packages is None else document.packages,
        present.connections if document.connections is None else document.connections,
    )


def bare(document: Document) -> Document:
    """Without the ids of packages, which the model does not know."""
    found = tuple(PlannedPackage(item.areas, item.bandwidth_mbps) for item in document.packages or ())
    return Document(found, document.connections)


@contextmanager
def instance() -> Iterator[tuple[Context, Actor, str]]:
    """An instance with a network in each region, and nothing else."""
    with tempfile.TemporaryDirectory() as directory:
        context, actor = new_context(Path(directory))
        cen_id = instances.create(context, actor, name="model").id
        for number, region_id in enumerate(AREA_OF, 1):
            made = networks.create(context, actor, region_id=region_id, cidr_blocks=[f"10.{number}.0.0/16"])
            attachments.attach(context, actor, cen_id, made.id)
        yield context, actor, cen_id
        assert check.check(context) == []
        context.database.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(documents, min_size=1, max_size=6))
def test_a_document_is_carried_out_whole_or_not_at_all(wanted: list[Document]) -> None:
    with instance() as (context, actor, cen_id):
        model = Document((), ())
        for document in wanted:
            after = whole(document, model)
            shown = plans.preview(context, actor, cen_id, document)
            assert bare(plans.present_document(context, actor, cen_id)) == bare(model), "a preview changes nothing"
            try:
                plans.apply(context, actor, cen_id, document, seen_base=shown.base)
            except PlanRefusedError as refused:
                assert not fits(after)
                assert [item.message for item in shown.plan.refusals] == [
                    said["message"] for said in refused.numbers["refusals"]
                ]
            else:
                assert fits(after)
                assert not shown.plan.refusals
                model = after
            now = plans.present_document(context, actor, cen_id)
            assert bare(now) == bare(model)
            assert plans.preview(context, actor, cen_id, now).plan.changes == (), "the present state changes nothing"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents.filter(fits), documents.filter(fits))
def test_what_is_rolled_back_is_as_it_was(first: Document, second: Document) -> None:
    with instance() as (context, actor, cen_id):
        plans.apply(context, actor, cen_id, first)
        before = plans.present_document(context, actor, cen_id)
        after = whole(second, bare(before))
        if not fits(after):
            return
        version = plans.apply(context, actor, cen_id, second, confirm_within_s=60)
        plans.roll_back(context, actor, cen_id, version.number)
        assert plans.present_document(context, actor, cen_id) == before


def present(document: Document) -> Present:
    known = tuple(
        PlannedPackage(item.areas, item.bandwidth_mbps, f"cenbwp-{number}")
        for number, item in enumerate(document.packages or ())
    )
    areas = frozenset(AREA_OF.values())
    return Present(known, document.connections or (), AREA_OF, frozenset(AREA_OF), areas)


@settings(max_examples=300, deadline=None)
@given(documents.filter(fits), documents.filter(fits))
def test_no_step_of_a_plan_exceeds_a_package(before: Document, wanted: Document) -> None:
    """Step after step, in the order of the plan, over the model's dictionaries."""
    made = plan(present(before), wanted)
    if made.refusals:
        return
    size = {item.areas: item.bandwidth_mbps for item in before.packages or ()}
    drawn = {item.regions: item.bandwidth_mbps for item in before.connections or ()}
    for change in made.changes:
        held = size if change.subject is Subject.PACKAGE else drawn
        if change.effect is Effect.GOES:
            del held[change.ends]
        else:
            held[change.ends] = change.after_mbps
        for areas in {areas_of(PlannedConnection(pair, 1)) for pair in drawn}:
            total = sum(mbps for pair, mbps in drawn.items() if areas_of(PlannedConnection(pair, mbps)) == areas)
            assert total <= size[areas]


@given(documents.filter(fits), documents.filter(fits), documents.filter(fits))
def test_undoing_leaves_alone_what_others_changed_since(before: Document, after: Document, now: Document) -> None:
    found = undo(present(now), present(before).document, present(after).document)
    was, became = ({item.regions: item for item in state.connections or ()} for state in (before, after))
    there = {item.regions: item for item in now.connections or ()}
    for pair in PAIRS:
        back = {item.regions: item for item in found.connections or ()}.get(pair)
        assert back == (was.get(pair) if there.get(pair) == became.get(pair) else there.get(pair))
