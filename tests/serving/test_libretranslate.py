"""LibreTranslate's own client against a real server."""

from typing import Any
from urllib.error import HTTPError

import pytest
from libretranslatepy import LibreTranslateAPI

from tests.serving.live import Live


@pytest.fixture
def client(live: Live) -> LibreTranslateAPI:
    return LibreTranslateAPI(live.url)


def predicted(live: Live, text: str) -> str:
    return str(live.service.models.named("de-en").pipeline.predict(text))


def test_a_text_is_translated(client: LibreTranslateAPI, live: Live) -> None:
    assert client.translate("bal", "de", "en") == predicted(live, "bal")
    assert client.translate("", "de", "en") == ""


def test_paragraphs_keep_their_breaks(client: LibreTranslateAPI, live: Live) -> None:
    bal, nug = predicted(live, "bal"), predicted(live, "nug")
    assert client.translate("bal\n\n nug\r\nbal\n", "de", "en") == f"{bal}\n\n {nug}\r\n{bal}\n"


def test_the_languages_are_those_of_the_name(client: LibreTranslateAPI) -> None:
    assert client.languages() == [{"code": "de", "name": "de", "targets": ["en"]}]


def test_several_texts_and_alternatives(live: Live) -> None:
    found = live.answer("/translate", q=["bal", "nug"], source="auto", target="en", alternatives=2)
    best = live.service.models.named("de-en").pipeline.with_search({"n_best": 3}).hypotheses(["bal", "nug"])
    assert found["translatedText"] == [each[0].text for each in best]
    assert found["alternatives"] == [[other.text for other in each[1:]] for each in best]
    assert [each["language"] for each in found["detectedLanguage"]] == ["de", "de"]
    single = live.answer("/translate", q="bal", source="auto", target="en", alternatives=1)
    assert single["alternatives"] == [best[0][1].text]
    assert single["detectedLanguage"]["language"] == "de"


def test_tags_of_a_page_stay(live: Live) -> None:
    bal, nug = predicted(live, "bal"), predicted(live, "nug")
    pages = [f"<p>bal</p>\n<br>{'<td>nug</td>' * 70}", "<i>bal</i>", "<hr>"]
    found = live.answer("/translate", q=pages, source="de", target="en", format="html", alternatives=1)
    assert found["translatedText"] == [
        f"<p>{bal}</p>\n<br>{f'<td>{nug}</td>' * 70}",
        f"<i>{bal}</i>",
        "<hr>",
    ]
    second = live.answer("/translate", q="bal", source="de", target="en", alternatives=1)["alternatives"][0]
    assert found["alternatives"][1] == [f"<i>{second}</i>"]


@pytest.mark.parametrize(
    ("told", "body"),
    [
        ("these languages", {"q": "bal", "source": "fr", "target": "en"}),
        ("q", {"source": "de", "target": "en"}),
        ("format", {"q": "bal", "source": "de", "target": "en", "format": "rtf"}),
        ("alternatives", {"q": "bal", "alternatives": -1}),
    ],
)
def test_errors_are_told_as_its_clients_read_them(live: Live, told: str, body: dict[str, Any]) -> None:
    response = live.client.post("/translate", json=body)
    assert response.status_code == 400
    assert told in response.json()["error"]


def test_its_client_gets_an_http_error(client: LibreTranslateAPI) -> None:
    with pytest.raises(HTTPError) as caught:
        client.translate("bal", "fr", "en")
    assert caught.value.code == 400
    caught.value.close()


def test_what_a_page_wants_to_know(live: Live) -> None:
    found = live.client.get("/frontend/settings").json()
    assert found["language"]["source"]["code"] == "de"
    assert found["charLimit"] == 20_000
    assert not found["keyRequired"]
    assert live.client.get("/health").json() == {"status": "ok"}
