"""What was said in a call, turn by turn, and the model's context made from it. Pure.

A reply stands in the context as the caller heard it: the rest of a reply that was cut off was never said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.engines.ports import Message, ToolCall
from app.voice.events import Backchannel
from app.voice.said import NOTHING, Said


@dataclass(slots=True)
class Round:
    """One request to the model within a reply: its text, its tool calls and their results."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)  # tool call id -> text for the model
    wrote: bool = False  # a tool that changes something was used


@dataclass(slots=True)
class Turn:
    """The caller's words and the reply to them. A greeting or a reprompt has no caller's words."""

    index: int
    caller: Said = NOTHING
    rounds: list[Round] = field(default_factory=lambda: [Round()])
    heard_chars: int = 0  # of the reply's text
    interrupted: bool = False
    backchannels: list[Backchannel] = field(default_factory=list)

    @property
    def caller_text(self) -> str:
        """The caller's words."""
        return self.caller.text

    @property
    def wrote(self) -> bool:
        """A tool was used that changes something: the turn cannot be taken back."""
        return any(part.wrote for part in self.rounds)

    @property
    def reply_text(self) -> str:
        """All that the agent meant to say."""
        return "".join(part.text for part in self.rounds).strip()

    @property
    def heard_text(self) -> str:
        """What of it the caller heard."""
        return "".join(part.text for part in self.rounds)[: self.heard_chars].strip()

    def messages(self) -> list[Message]:
        """The turn as the model sees it. A call whose tool never answered is left out with its text kept."""
        found = [Message("user", self.caller_text)] if self.caller_text else []
        left = self.heard_chars
        for part in self.rounds:
            heard = part.text[: max(0, left)].strip()
            left -= len(part.text)
            answered = tuple(call for call in part.calls if call.id in part.results)
            if heard or answered:
                found.append(Message("assistant", heard, tool_calls=answered))
            found += [Message("tool", part.results[call.id], tool_call_id=call.id) for call in answered]
        return found


class Transcript:
    """All turns of a call."""

    def __init__(self, instructions: str) -> None:
        self._instructions = instructions
        self.turns: list[Turn] = []

    def propose(self, caller: Said) -> Turn:
        """A turn that may come to be: it counts from ``adopt`` on."""
        return Turn(len(self.turns), caller)

    def adopt(self, turn: Turn) -> None:
        """A proposed turn is one."""
        turn.index = len(self.turns)
        self.turns.append(turn)

    def open_turn(self, caller: Said) -> Turn:
        """Begin a turn."""
        turn = self.propose(caller)
        self.adopt(turn)
        return turn

    def withdraw(self, turn: Turn) -> None:
        """Forget the newest turn: nothing of its reply was heard and the caller went on talking."""
        if self.turns and self.turns[-1] is turn:
            self.turns.pop()

    def advise(self, text: str) -> None:
        """Add to the model's instructions, from the next reply on.

        One system message at the beginning is all that some models' chat templates take.
        """
        self._instructions = "\n\n".join(filter(None, (self._instructions, text)))

    def messages(self, proposed: Turn | None = None) -> Sequence[Message]:
        """The model's context: instructions, each turn as it was heard, and one that is only proposed."""
        system = [Message("system", self._instructions)] if self._instructions else []
        adopted = proposed is None or any(turn is proposed for turn in self.turns[-1:])
        turns = self.turns if adopted or proposed is None else [*self.turns, proposed]
        return system + [message for turn in turns for message in turn.messages()]
