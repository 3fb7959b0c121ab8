"""The console as a service, in a browser, as a member sees it. testing/e2e/tests/console.rs starts it, and what plays Identity-Aware Proxy.

    cloud.py ADDRESS FOLDER VIDEO ROWS     VIDEO is the name of a finished request's video, which has so many rows of tracks
"""

import os
import sys

from playwright.sync_api import sync_playwright

HANGS_MS = 120_000
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
VIOLATIONS = "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective, e.blockedURI))"


def looked_at(page, address, folder, video, rows):
    """The list, a request with its player and its tracks, and a statement over all requests."""
    page.goto(address)
    row = page.locator("tbody tr").filter(has_text=video)
    row.locator(".state-done").wait_for()
    assert page.locator("main b").count() == 0, "a name became markup"
    page.screenshot(path=f"{folder}/cloud-requests.png", full_page=True)
    row.get_by_role("link", name=video).click()
    page.wait_for_selector('canvas[data-settled="0"]')
    assert page.locator(".lane").count() > 0, "no track has a row below the player"
    for frame in (57, 99, 3):
        page.locator("form input[placeholder^=frame]").fill(str(frame))
        page.locator("form input[placeholder^=frame]").press("Enter")
        page.wait_for_selector(f'canvas[data-settled="{frame}"]')
    page.screenshot(path=f"{folder}/cloud-request.png", full_page=True)
    # What is not offered here is not on the page.
    for what in ("Mend", "Delete", "Retry"):
        assert page.get_by_role("button", name=what, exact=True).count() == 0, what
    page.goto(f"{address}/ask")
    page.get_by_label("One SELECT").fill("SELECT COUNT(*) AS all_rows FROM tracks")
    page.get_by_label("One SELECT").press("Control+Enter")
    page.wait_for_selector(".grid tbody tr")
    assert page.locator(".grid tbody tr").first.inner_text().split()[-1].replace(",", "") == rows, page.locator(".grid").inner_text()
    page.screenshot(path=f"{folder}/cloud-ask.png", full_page=True)


def main():
    address, folder, video, rows = sys.argv[1:]
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(HANGS_MS)
        page.add_init_script(VIOLATIONS)
        page.on("console", lambda message: message.type in ("error", "warning") and "willReadFrequently" not in message.text and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            looked_at(page, address, folder, video, rows)
        except Exception:
            page.screenshot(path=f"{folder}/cloud-failed.png", full_page=True)
            print(*complaints, sep="\n")
            raise
        finally:
            browser.close()
    assert not complaints, "the page complained: " + "\n".join(complaints)


main()
