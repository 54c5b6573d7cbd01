"""The table of actions: what is served, with which parameters, and whether it changes anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.keys import Identity
from emulator.params import parse_spec

if TYPE_CHECKING:
    from emulator.world import World


@dataclass(slots=True)
class Call:
    """One call on its way through a handler, with checked parameters."""

    world: World
    identity: Identity
    action: str
    params: dict[str, Any]
    host: str = ""

    def text(self, name: str) -> str:
        """A text parameter, empty when absent."""
        return str(self.params.get(name, ""))

    def number(self, name: str, default: int) -> int:
        """A number, or the default when absent."""
        return int(self.params.get(name, default))


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Action:
    """One action of one product.

    :param spec: Tencent: a JSON spec; Alibaba: a tuple of text parameters.
    :param methods: HTTP methods that the gateway takes for it.
    :param bare: the answer carries no ``Success`` field (DMS's ListAuthorized actions).
    :param signed: False for the STS actions that are sent without a signature.
    """

    product: str
    name: str
    handler: Handler
    spec: Any
    write: bool = False
    methods: tuple[str, ...] = ("POST",)
    bare: bool = False
    signed: bool = True


class ActionTable:
    """Collects the actions of one product by decorator."""

    def __init__(self, product: str, methods: tuple[str, ...] = ("POST",)) -> None:
        self.product = product
        self.methods = methods
        self.actions: dict[str, Action] = {}

    def action(
        self,
        name: str,
        spec: Any = "",
        *,
        write: bool = False,
        methods: tuple[str, ...] | None = None,
        bare: bool = False,
        signed: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Register a handler under the vendor's action name."""

        def register(handler: Handler) -> Handler:
            parsed = parse_spec(spec) if isinstance(spec, str) else spec
            self.actions[name] = Action(
                self.product, name, handler, parsed, write, methods or self.methods, bare, signed
            )
            return handler

        return register
