"""The examples that the page offers, asked. A part of browser.py."""

import scenes
from canvas import becomes
from rows import same_rows


def examples(browser, data, address):
    """Each example is answered with the rows that `trackdrop query` gives for its statement, over all requests and over one."""
    page = browser.page
    request = data.requests["constant.mp4"]
    with scenes.stored(data, "exemplary"):
        for path in ("/ask", f"/request/{request}?frame=0"):
            page.goto(address + path)
            if "/request/" in path:
                browser.settled(0)
                page.get_by_text("Ask in SQL").click()
            offered = page.get_by_role("group", name="Examples").get_by_role("button")
            offered.first.wait_for()
            asked = set()
            for button in offered.all():
                with page.expect_response("**/api/ask"):
                    button.click()
                page.locator(".ask .said").get_by_text("in ").wait_for()
                sql = page.get_by_label("One SELECT").input_value()
                answer = data.run("query", "--format", "csv", sql)
                count = answer.count("\n") - 1
                assert count > 0, sql
                becomes(page, lambda: page.locator(".ask .said").inner_text().split(", in")[0], f"{count} {'row' if count == 1 else 'rows'}", sql)
                same_rows(page.locator(".ask .grid"), answer)
                with page.expect_download() as saved:
                    page.get_by_role("button", name="Save as CSV").click()
                with open(saved.value.path(), newline="") as file:
                    assert file.read() == answer, sql
                asked.add(sql)
            assert len(asked) == offered.count() >= 4, asked
