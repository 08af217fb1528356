"""How the page looks is a matter of taste, which the browser keeps: language, theme, times, height of rows."""

import re

from playwright.sync_api import Page, expect

from staged import Stage, a_task_of


def choose(page: Page, group: str, name: str) -> None:
    page.get_by_role("group", name=group).locator("label", has_text=name).click()


def test_the_header_leads_to_the_settings_and_each_of_them_is_kept(on_stage: Page, stage: Stage):
    stage.put(a_task_of(1, plugin="acme/kept", minutes_ago=5))
    on_stage.goto("/")
    row = on_stage.locator("[data-uid]").first
    expect(row.locator("time")).to_have_text("5 min ago")
    comfortable = row.bounding_box()
    on_stage.get_by_role("link", name="Settings").click()
    expect(on_stage.get_by_role("heading", name="Settings")).to_be_visible()
    choose(on_stage, "Times", "Date and time")
    choose(on_stage, "Rows of lists", "Compact")
    choose(on_stage, "Theme", "Dark")
    choose(on_stage, "Language", "简体中文")
    expect(on_stage.get_by_role("heading", name="设置")).to_be_visible()
    expect(on_stage.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    on_stage.goto("/")
    expect(row.locator("time")).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(row.locator("time")).to_have_attribute("title", "5 分钟前")
    compact = row.bounding_box()
    assert comfortable is not None
    assert compact is not None
    assert (comfortable["height"], compact["height"]) == (44, 32)
    expect(on_stage.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(on_stage.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")


def test_a_change_in_one_tab_is_seen_in_the_other(on_stage: Page, stage: Stage):
    stage.put(a_task_of(1, plugin="acme/kept", minutes_ago=5))
    on_stage.goto("/")
    other = on_stage.context.new_page()
    other.goto("/settings")
    choose(other, "Times", "Date and time")
    expect(on_stage.locator("[data-uid] time")).to_have_text(re.compile(r"\d\d:\d\d"))


def test_the_version_of_dify_is_asked_once_and_chooses_the_advice(on_stage: Page, stage: Stage):
    stage.put(a_task_of(1, plugin="langgenius/openai"))
    on_stage.goto("/new?plugin=langgenius/ollama&dify=1.9.1")
    expect(on_stage.get_by_role("textbox", name="Your Dify version")).to_have_value("1.9.1")
    assert "dify" not in str([body["spec"] for body in stage.api.objects.values()])
    on_stage.goto("/tasks/default/openai-1-0-0")
    steps = on_stage.get_by_role("region", name="Next steps")
    expect(steps).to_contain_text("ENFORCE_LANGGENIUS_PLUGIN_SIGNATURES=false")
    compatibility = steps.get_by_test_id("compatibility")
    expect(compatibility).to_contain_text("install on Dify 1.0 and later")
    expect(compatibility).to_contain_text("Your Dify 1.9.1 installs it by uv pip install from requirements.txt.")
    field = steps.get_by_role("textbox", name="Your Dify version")
    field.fill("1.13.2")
    expect(steps).not_to_contain_text("ENFORCE_LANGGENIUS_PLUGIN_SIGNATURES")
    expect(steps).to_contain_text("FORCE_VERIFYING_SIGNATURE=false")
    field.fill("0.15")
    expect(compatibility).to_contain_text("Dify 0.15 has no plugins")
    field.fill("newest")
    expect(steps).to_contain_text("Write it as 1.13 or 1.13.2.")
    expect(compatibility).not_to_contain_text("Your Dify")
    field.fill("1.13.2")
    on_stage.goto("/settings")
    expect(on_stage.get_by_role("textbox", name="Your Dify version")).to_have_value("1.13.2")
