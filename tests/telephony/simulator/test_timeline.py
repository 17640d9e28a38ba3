"""The picture of a call."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from telephony.media.frame import silence
from telephony.simulator.timeline import Moment, Span, Timeline

SVG = "{http://www.w3.org/2000/svg}"


def test_a_picture_holds_every_lane_on_one_axis() -> None:
    drawn = Timeline(2.0, pixels_a_second=100.0)
    drawn.voice("caller", np.full(8000, 8000, dtype=np.int16))
    drawn.level("speech", [(0.1, 0.2), (0.2, 0.9)], 0.5)
    drawn.spans("heard", [Span(1.0, 1.5, "fish & <chips>", "heard")])
    drawn.moments("notes", [Moment(1.2, "barge_in", "alarm"), Moment(1.21, "clear")])
    root = ElementTree.fromstring(drawn.svg())
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"0", "1", "2", "caller", "speech", "heard", "notes", "barge_in", "clear"} <= set(texts)
    (box,) = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") == "heard"]
    assert (box.get("x"), box.get("width")) == ("190.0", "50.0")
    assert "1.00-1.50 s  fish & <chips>" in [title.text for title in root.iter(f"{SVG}title")]
    tops = [line.get("y1") for line in root.iter(f"{SVG}line") if line.get("class") in {"alarm", "moment"}]
    assert len(set(tops)) == 2  # too close to share a line


def test_an_empty_call_is_drawn() -> None:
    drawn = Timeline(0.0)
    drawn.voice("caller", silence(0))
    drawn.level("speech", [], 0.5)
    drawn.spans("said", [])
    drawn.moments("notes", [])
    ElementTree.fromstring(drawn.svg())
