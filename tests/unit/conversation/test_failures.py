"""What CLIs say of a failure, as one of a few codes: by their words, and not by words that only look like these."""

import pytest

from swarm_tui.agent.conversation.failures import is_error_text, read_error


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Invalid API key · Please run /login", "authentication"),
        ("you need to log in first", "authentication"),
        ("You exceeded your current quota, please check your plan", "quota"),
        ("insufficient_quota", "quota"),
        ("Your credit balance is too low", "quota"),
        ("insufficient funds", "quota"),
        ("Overloaded", "overload"),
        ("model gpt-9 does not exist", "model-missing"),
        ("prompt is too long: 210000 tokens > 200000 maximum", "context-full"),
        ("getaddrinfo ENOTFOUND api.example", "network"),
        # Words that only hold others.
        ("no entry in catalog in /tmp/catalog.xml", "agent-cli"),
        ("insufficient disk space", "agent-cli"),
        ("insufficient permissions to write /etc/hosts", "agent-cli"),
        ("the dialog in the window was closed", "agent-cli"),
    ],
)
def test_an_error_is_read_by_its_words(words: str, code: str) -> None:
    assert read_error(words).code == code


def test_an_answer_that_speaks_of_errors_is_none() -> None:
    assert is_error_text("I added a test for the rate limit of the API.") is None
    found = is_error_text("API Error: 529 overloaded")
    assert found is not None
    assert found.code == "overload"
