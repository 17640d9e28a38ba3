from __future__ import annotations

from app.engines.llm.openai_chat import chat_messages
from app.engines.ports import Message

ASK = (Message("system", "Be kind."), Message("user", "Where is it?"))


def test_a_model_is_told_what_was_said_of_its_reply_and_asked_to_go_on() -> None:
    *before, said, ask = chat_messages(ASK, "Your parcel is ")
    assert before == chat_messages(ASK)
    assert said == {"role": "assistant", "content": "Your parcel is "}
    assert ask["role"] == "user"
    assert "Do not repeat" in ask["content"]
