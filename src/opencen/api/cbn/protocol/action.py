"""How an action is declared: name, parameters, answer and particular errors in one place.

ACTIONS = Actions[Context](CBN)

    @ACTIONS.action("DeleteCen", errors={PackagesBoundError: Refusal("InvalidOperation.CenInstanceStatus", 409)})
def delete_cen(call: Call[Context], given: DeleteCen) -> Answer:
    instances.delete(call.context, call.actor, given.cen_id)
    return {}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_type_hints

from opencen.api.cbn.protocol.errors import ErrorMap, RpcError
from opencen.api.cbn.protocol.parameters import compile_declaration, declared_parameters
from opencen.domain.nouns import Actor

C = TypeVar("C")
P = TypeVar("P")
Answer = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Product:
    """One of the provider's APIs: chosen by its version, with the errors that are its own."""

    name: str
    version: str
    errors: ErrorMap = field(default_factory=dict)
    operations: frozenset[str] = frozenset()
    """The names of operations that are known to exist, served here or not."""


@dataclass(frozen=True, slots=True)
class Call(Generic[C]):
    """An authenticated call: who acts, on what services, to which address."""

    context: C
    actor: Actor
    request_id: str
    host: str


@dataclass(frozen=True, slots=True)
class Action(Generic[C]):
    """A declared action. `run` reads the parameters and answers; it raises RpcError or a DomainError."""

    product: Product
    name: str
    parameters: tuple[tuple[str, bool], ...]
    errors: ErrorMap
    run: Callable[[Call[C], Mapping[str, str]], Answer]

    @property
    def takes_token(self) -> bool:
        """Whether a call of it may carry a client token."""
        return any(name == "ClientToken" for name, _ in self.parameters)


class Actions(Generic[C]):
    """The actions of one module, all of one product."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self._declared: list[Action[C]] = []

    def __iter__(self) -> Iterator[Action[C]]:
        return iter(self._declared)

    def action(
        self, name: str, *, errors: ErrorMap | None = None
    ) -> Callable[[Callable[[Call[C], P], Answer]], Callable[[Call[C], P], Answer]]:
        """Declares the decorated function as action `name`; its second parameter's type declares the parameters."""

        def declare(handle: Callable[[Call[C], P], Answer]) -> Callable[[Call[C], P], Answer]:
            declaration = _declaration_of(handle)
            read = compile_declaration(declaration)

            def run(call: Call[C], given: Mapping[str, str]) -> Answer:
                return handle(call, read(given))

            parameters = tuple((known.name, known.required) for known in declared_parameters(declaration).values())
            self._declared.append(Action(self.product, name, parameters, errors or {}, run))
            return handle

        return declare


class Registry(Generic[C]):
    """Every action that is served, by version and name."""

    def __init__(self, groups: Iterable[Actions[C]]) -> None:
        self._by_version: dict[str, dict[str, Action[C]]] = {}
        self._products: dict[str, Product] = {}
        for group in groups:
            version = group.product.version
            self._products[version] = group.product
            actions = self._by_version.setdefault(version, {})
            for action in group:
                if action.name in actions:
                    raise ValueError(f"{group.product.name} {action.name} is declared twice")
                actions[action.name] = action

    def __iter__(self) -> Iterator[Action[C]]:
        for actions in self._by_version.values():
            yield from actions.values()

    def product_name(self, version: str) -> str:
        """The product of a version; empty when there is none."""
        product = self._products.get(version)
        return product.name if product else ""

    def counted_name(self, version: str, name: str) -> str:
        """`name`, when the product has such an operation, served or not; empty for what a caller made up."""
        product = self._products.get(version)
        return name if product and (name in product.operations or name in self._by_version[version]) else ""

    def find(self, version: str, name: str) -> Action[C]:
        """Raises RpcError `InvalidVersion` or `InvalidAction.NotFound`."""
        actions = self._by_version.get(version)
        if actions is None:
            served = ", ".join(f"{product.name} {product.version}" for product in self._products.values())
            raise RpcError(
                "InvalidVersion",
                400,
                f"Specified parameter Version is not valid: {version[:64]!r}; served are {served}.",
            )
        action = actions.get(name)
        if action is None:
            raise RpcError(
                "InvalidAction.NotFound",
                404,
                f"Specified api is not found, please check your url and method: {self._products[version].name} "
                f"has no action {name[:128]!r} here.",
            )
        return action


def _declaration_of(handle: Callable[..., Any]) -> type[Any]:
    names = handle.__code__.co_varnames[: handle.__code__.co_argcount]
    declaration = get_type_hints(handle)[names[1]]
    assert isinstance(declaration, type)
    return declaration
