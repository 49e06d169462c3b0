"""The example in docs/testing.md runs as a reader would run it."""

from pathlib import Path

from orchestra import tool


async def test_the_first_example_of_the_page_on_testing_passes():
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    source = page.split("```python\n")[1].split("```")[0]

    @tool(read_only=True)
    def rows(sql: str) -> list[dict]:
        """Run one SELECT."""
        return []

    names = {"rows": rows}
    exec(compile(source, "docs/testing.md", "exec"), names)
    await names["test_a_bad_call_escalates"]()
